"""Contestants on one server: ours for real, and peers that are made up."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import contestants, over_http
from benchmarks.contestants import CALLS, CONTESTANTS, EFFICIENCY, LONG, VOTE, Contestant
from benchmarks.findings import Findings
from benchmarks.peers.measured import Job
from benchmarks.programs import ProgramFailedError, started
from benchmarks.setting import Setting

pytestmark = pytest.mark.slow

JOBS = (CALLS, EFFICIENCY, LONG, VOTE)


def fake(name: str, does: str = "works") -> Contestant:
    items = {CALLS: 100, VOTE: 50}
    return Contestant(name, "tests.benchmarks.fake_peer", None, "", items, arguments=(does,))


def measure(setting: Setting, *taking_part: Contestant) -> Findings:
    found = Findings()
    over_http.measure(setting, JOBS, found, taking_part)
    return found


def test_what_was_measured_before_it_is_interrupted_is_kept(
    setting: Setting,
) -> None:
    def say(text: str) -> None:
        if "second" in text:
            raise KeyboardInterrupt

    found = Findings()
    with pytest.raises(KeyboardInterrupt):
        over_http.measure(replace(setting, say=say), JOBS, found, (fake("first"), fake("second")))
    assert [s["contestant"] for s in found.samples] == ["first", "first"]
    assert found.tables


def test_ours_and_a_peer_are_measured_in_turn_on_what_both_do(setting: Setting) -> None:
    ours = next(c for c in CONTESTANTS if c.name == contestants.SDK)
    found = measure(setting, replace(ours, items={CALLS: 100, VOTE: 50}), fake(contestants.BARE))
    assert not found.failures
    order = [(s["round"], s["contestant"], s["job"]) for s in found.samples]
    assert order == [
        (number, who, job)
        for number in range(setting.sizes.repeats)
        for who in (contestants.SDK, contestants.BARE)
        for job in (CALLS, VOTE)
    ]
    for sample in found.samples:
        assert sample["calls"] == sample["items"] * (5 if sample["job"] == VOTE else 1)
        assert sample["wall_seconds"] > 0
        assert sample["cpu_seconds"] > 0
        assert sample["server_cpu_seconds"] >= 0
    (row,) = [row for row in found.rows if row.measurement.startswith(contestants.SDK)]
    assert row.value.startswith(tuple("0123456789"))
    assert row.met is None  # of ten calls nothing is concluded
    assert {table.title for table in found.tables} >= {"Calls at latency 0, concurrency 100"}


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("dies", "the peer is broken"),
        ("makes answers up", "the server was asked 0 times"),
        ("loses an answer", "19 of 20 calls answered"),
    ],
)
def test_a_peer_that_fails_is_named_with_its_reason_and_the_others_are_measured(
    setting: Setting, does: str, reason: str
) -> None:
    found = measure(setting, fake("broken", does), fake("sound"))
    (failure,) = found.failures
    assert failure.who == "broken"
    assert reason in failure.reason
    assert [s["contestant"] for s in found.samples] == ["sound"] * 2 * setting.sizes.repeats


def test_a_card_that_cannot_be_read_is_the_reason_why_a_row_was_not_measured(
    setting: Setting,
) -> None:
    direct = next(c for c in CONTESTANTS if c.name == contestants.DIRECT)
    unknown = replace(direct, card={"transport": "carrier pigeon"})
    found = measure(setting, unknown)
    rows = [row for row in found.rows if row.measurement.startswith(contestants.DIRECT)]
    assert rows
    for row in rows:
        assert (row.value, row.met) == ("not measured", None)
        assert row.because == "ember-bench, direct failed, see below"
    assert "bench.yaml:10:1" in found.failures[0].reason


def test_a_program_that_does_not_come_back_is_given_up_and_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.fake_peer", "sleeps"]
    with (
        pytest.raises(ProgramFailedError, match="not done in 0 s"),
        started(command, folder=tmp_path) as program,
    ):
        program.do(Job("calls", "", 1, 1), seconds=0.1)
    assert program.process.returncode == -signal.SIGKILL


def test_an_environment_that_cannot_be_made_is_the_peers_failure(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    peer = replace(fake("peer"), environment="dspy")
    found = measure(setting, peer)
    assert "its environment could not be made" in found.failures[0].reason


def test_every_contestant_has_a_program_and_an_environment() -> None:
    from benchmarks.environments import pinned
    from benchmarks.programs import ROOT

    for contestant in CONTESTANTS:
        assert ROOT.joinpath(*contestant.module.split(".")).with_suffix(".py").is_file()
        assert contestant.environment is None or contestant.environment in pinned()
        assert contestant.items.keys() <= contestants.KINDS.keys()
    for packages in pinned().values():
        assert all("==" in package for package in packages)


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import environments

    made: list[list[str]] = []

    def run(command: list[str], **_: object) -> None:
        made.append(command)
        (tmp_path / "dspy").mkdir(exist_ok=True)

    monkeypatch.setattr(environments.subprocess, "run", run)
    said: list[str] = []
    say: Callable[[str], None] = said.append
    assert environments.make(tmp_path, ["dspy", "dspy"], say) == {}
    assert [command[1] for command in made] == ["-m", "install"]
    assert said == [f"dspy: installing {', '.join(environments.pinned()['dspy'])}"]
    assert environments.make(tmp_path, ["dspy"], say) == {}
    assert len(made) == 2
    pins = {"dspy": ["dspy==0"]}
    monkeypatch.setattr(environments, "pinned", lambda: pins)
    environments.make(tmp_path, ["dspy"], say)
    assert len(made) == 4
