"""`ember-bench gate`."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Command
from tests.cli.test_compare import again
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow


@pytest.fixture
def ran(command: Command, sums: Workspace) -> Workspace:
    sums.sums(40)
    sums.grid(architectures=[single(label="alone"), vote([3], label="vote <of> {k}")])
    command("run", "grid.yaml", "--no-mlflow", "--quiet")
    return sums


def test_results_that_keep_their_rules_exit_with_0(command: Command, ran: Workspace) -> None:
    again(command, ran, "second")
    rules = ("--rule", "no worse than 1 point, 95 %", "--rule", "cost/item at most +5 %")
    result = command("gate", "second", "--baseline", "trip", *rules)
    assert result.status == 0  # the same calls: the difference is 0 by construction
    assert result.out.startswith("gate passed: second against trip")
    shown = command("gate", "second", "--baseline", "trip", *rules, "--json").json
    assert [verdict["result"] for verdict in shown["verdicts"]] == ["holds"] * 4


def test_a_broken_rule_exits_with_1_and_stands_in_comment_and_xml(
    command: Command, ran: Workspace
) -> None:
    result = command(
        "gate", "trip", "--rule", "cost/item at most +5 %", "--rule", "failures at most 1 %",
        "--comment", "c.md", "--junit", "j.xml",
    )  # fmt: skip
    assert result.status == 1
    comment = Path("c.md").read_text()
    assert comment.startswith("<!-- ember-bench gate -->\n## gate failed: trip against alone")
    assert r"| vote \<of\> 3 | cost/item at most +5 % | broken | +" in comment
    suite = ElementTree.parse("j.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    (failed,) = (case for case in suite if case.find("failure") is not None)
    assert failed.get("name") == "vote <of> 3: cost/item at most +5 %"
    assert "broken: +" in failed.find("failure").get("message")


def test_a_rule_that_is_not_shown_passes_if_told(command: Command, ran: Workspace) -> None:
    rule = ("--rule", "accuracy at least 99.9 %, 95 %")
    strict = command("gate", "trip/alone", *rule, "--json").json
    (verdict,) = strict["verdicts"]
    told = command("gate", "trip/alone", *rule, "--pass-unclear", "--junit", "j.xml")
    assert strict["passed"] is False
    assert told.status == (0 if verdict["result"] == "not shown" else 1)


def test_a_system_that_is_gone_fails(command: Command, ran: Workspace) -> None:
    again(command, ran, "second")
    ran.grid(architectures=[single(label="alone")], name="fewer")
    command("run", "grid.yaml", "--no-mlflow", "--quiet")
    rule = ("--rule", "no worse than 50 points")
    result = command("gate", "fewer", "--baseline", "trip", *rule, "--junit", "j.xml")
    assert result.status == 1
    shown = " ".join(result.out.split())
    assert "1 of 2 rules holds, 0 broken, 1 not shown" in shown
    assert "Only in the baseline: sums: vote <of> 3" in shown
    assert "the system is only in the baseline" in Path("j.xml").read_text()
    assert command("gate", "second/alone", "--baseline", "trip", *rule).status == 0
    named = command("gate", "fewer", "--baseline", "trip", "--rule", "alone: no worse than 1 point")
    assert named.status == 0


def test_a_committed_summary_is_a_baseline(command: Command, ran: Workspace) -> None:
    again(command, ran, "second")
    summary = "results/trip/summary.json"
    result = command(
        "gate", "second", "--baseline", summary, "--rule", "no worse than 50 points, 95 %"
    )
    assert result.status == 0
    assert "items are not paired" in " ".join(result.out.split())
    ran.sums(41)
    again(command, ran, "third")
    refused = command("gate", "third", "--baseline", summary, "--rule", "no worse than 1 point")
    assert (refused.status, "the datasets' items differ" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("trip",), "no rule: give one or more"),
        (("trip", "--rule", "no worse then 1 point"), "did you mean 'no worse than 1 point'"),
        (("trip", "--rule", "vote: accuracy at least 5 %"), "is for no system"),
        (("tirp", "--rule", "failures at most 5 %"), "did you mean 'trip'"),
        (("trip", "--rule", "no worse than 1 point", "--baseline", "trap"), "did you mean 'trip'"),
        (("trip", "--rule", "failures at most 5 %", "--baseline", "trap"), "did you mean 'trip'"),
        (("trip/allone", "--rule", "failures at most 5 %"), "did you mean 'alone'"),
    ],
)
def test_bad_input_exits_with_2(
    command: Command, ran: Workspace, arguments: tuple[str, ...], said: str
) -> None:
    result = command("gate", *arguments)
    assert (result.status, said in result.err) == (2, True), result.err
