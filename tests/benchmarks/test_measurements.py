"""Each measurement once, tiny: that it measures, not how fast anything is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import __main__ as program
from benchmarks import analysis, commands, in_process, memory, report, resume, startup, sweep
from benchmarks.commands import Ran
from benchmarks.findings import Failure, Findings, Row, Spread, Table, number, ratios
from benchmarks.programs import ROOT
from benchmarks.setting import FULL, Setting
from tests.support.programs import started

pytestmark = pytest.mark.slow

SMALL = "smaller than the target is about"


def test_overhead_in_process(setting: Setting) -> None:
    found = in_process.measure(setting)
    assert not found.failures
    assert [row.because for row in found.rows] == [SMALL] * 4
    assert {(s["what"], s["store"]) for s in found.samples} == {
        (what, store)
        for what in ("trials of one call", "votes over five calls")
        for store in ("memory", "disk")
    }
    assert all(s["answers"] == s["calls"] for s in found.samples)
    assert all(0 < s["more"]["model_cpu_seconds"] < s["cpu_seconds"] for s in found.samples)


def test_starting(setting: Setting) -> None:
    found = startup.measure(setting)
    assert not found.failures
    assert [row.target for row in found.rows] == ["under 150 ms", "under 50 ms"]
    assert len(found.tables[0].rows) == 3


def test_a_sweep_makes_the_calls_of_its_largest_k(setting: Setting) -> None:
    found = sweep.measure(setting)
    assert not found.failures
    assert [(row.target, row.met) for row in found.rows] == [("30, exactly those of K = 15", True)]


def test_resuming(setting: Setting) -> None:
    found = resume.measure(setting)
    assert not found.failures
    assert [row.because for row in found.rows] == [SMALL]
    assert [s["trials"] for s in found.samples] == [50]


def test_the_report(setting: Setting) -> None:
    found = analysis.measure(setting)
    assert not found.failures
    assert [row.because for row in found.rows] == [SMALL]
    assert {s["what"].split()[1] for s in found.samples} == {"report", "export"}


def test_memory_is_that_of_one_cell_and_of_many(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = []

    def run_grid(*arguments: Any) -> Ran:
        ran = commands.run_grid(*arguments)
        printed.append(ran.printed)
        return ran

    monkeypatch.setattr(memory, "run_grid", run_grid)
    found = memory.measure(setting)
    assert not found.failures
    assert [row.because for row in found.rows] == [SMALL] * 2
    assert [(s["trials"], s["cells"]) for s in found.samples] == [(10, 1), (60, 1), (60, 3)]
    assert all(s["peak_megabytes"] > 10 for s in found.samples)
    # Had cells a call in common, there would be fewer calls than trials.
    assert "60 new calls, 0 reused" in printed[-1]


def ran(peak: float, seconds: float = 1.0) -> Ran:
    return Ran(wall_seconds=seconds, cpu_seconds=1.0, peak_megabytes=peak, printed="")


@pytest.mark.parametrize(
    ("peak", "met"), [(150.0, True), (170.0, False), (401.0, False)], ids=["flat", "grows", "much"]
)
def test_a_million_trials_in_many_cells_are_run_where_there_is_time(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, peak: float, met: bool
) -> None:
    monkeypatch.setattr(
        memory, "run_grid", lambda grid, *_: ran(peak if grid_cells(grid) == 100 else 140.0)
    )
    full = replace(setting, sizes=FULL, seconds_left=lambda: 13.0)
    many, one = memory.measure(full).rows
    assert many.value == f"140 MB at 10,000, 140 MB at 100,000, {peak:.0f} MB at 1,000,000"
    assert many.met is met
    assert (one.met, one.because) == (None, "only with --memory")
    many, one = memory.measure(replace(full, seconds_left=lambda: 11.0)).rows
    assert (many.met, many.because) == (None, "would take 12 s more: --memory takes that time")
    _, one = memory.measure(replace(full, million=True)).rows
    assert one.met


def grid_cells(grid: Path) -> int:
    parameters = yaml.safe_load(grid.read_text())["architectures"][0]["parameters"]
    return len(parameters.get("temperature", [None]))


def test_a_command_that_fails_is_told_with_its_last_words(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.grids.SIMULATED", "simulated:nobody")
    found = memory.measure(setting)
    assert all("simulated:nobody" in failure.reason for failure in found.failures)
    assert [failure.what for failure in found.failures] == [
        "10 trials in one cell",
        "10 trials in cells of 20 items",
    ]
    assert [row.met for row in found.rows] == [None, None]


# ---- the whole program


def test_the_program_writes_what_it_found(
    tmp_path: Path, server_program: Path, monkeypatch: pytest.MonkeyPatch, setting: Setting
) -> None:
    monkeypatch.setattr(program, "build", lambda _: server_program)
    monkeypatch.setattr(program, "QUICK", setting.sizes)
    files = [tmp_path / "results.json", tmp_path / "RESULTS.md"]
    arguments = ["--quick", "--only", "startup", "--work", str(tmp_path)]
    arguments += ["--json", str(files[0]), "--markdown", str(files[1])]
    assert program.main(arguments) == 0
    found = json.loads(files[0].read_text())
    assert {sample["measurement"] for sample in found["samples"]} == {"startup"}
    assert found["machine"]["command"].startswith("python -m benchmarks --quick --only startup")
    assert "| under 150 ms |" in files[1].read_text()
    assert not list(tmp_path.glob("ember-bench-speed-*"))


def test_a_measurement_that_breaks_does_not_stop_the_others(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: Setting) -> Findings:
        raise ZeroDivisionError("no trial")

    monkeypatch.setitem(program._OTHERS, "overhead", breaks)
    found = Findings()
    program._measure_all(setting, ["overhead", "startup"], found)
    assert [failure.what for failure in found.failures] == ["overhead"]
    assert {sample["measurement"] for sample in found.samples} == {"startup"}


def test_ctrl_c_stops_it_in_order_and_leaves_nothing_behind(
    tmp_path: Path, server_program: Path
) -> None:
    (tmp_path / "venvs").mkdir()
    command = [sys.executable, "-m", "benchmarks", "--only", "resume"]
    command += ["--venvs", str(tmp_path / "venvs"), "--work", str(tmp_path)]
    command += ["--json", str(tmp_path / "x.json"), "--markdown", str(tmp_path / "x.md")]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    with started(command, stderr=subprocess.PIPE, text=True, env=variables) as process:
        assert process.stderr is not None
        assert "resume: 100,000 trials" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
    assert "stopped" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("ember-bench-speed-*"))


# ---- how numbers are shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.1234, "0.123"),
        (12.34, "12.3"),
        (123.4, "123"),
        (54321.0, "54,321"),
        (0.95, "0.95"),
    ],
)
def test_numbers_keep_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_spread_shows_median_least_and_most() -> None:
    assert Spread((3.0, 1.0, 2.0)).show("s") == "2 s [1, 3]"
    assert Spread((1.0,)).show("s") == "1 s"
    assert Spread.of([]) is None


def test_ratios_are_of_the_same_round() -> None:
    found = ratios({0: 1.0, 1: 10.0, 2: 5.0}, {0: 2.0, 1: 20.0, 3: 1.0})
    assert found == Spread((0.5, 0.5))
    assert ratios({0: 1.0}, {}) is None


def test_a_report_tells_misses_failures_and_conditions(tmp_path: Path) -> None:
    from benchmarks.machine import describe

    found = Findings(
        rows=[
            Row("a", "under 1", "2", met=False),
            Row("b", "under 1", "0.5", met=True),
            Row("c", "under 1", "not measured", met=None, because="a|b"),
        ],
        tables=[Table("Side by side", ("", "x"), [("ours", "1")], "As it was.")],
        failures=[Failure("dspy", "calls", "broke\ndown")],
    )
    text = report.markdown(describe(["python", "-m", "benchmarks"], tmp_path), found)
    assert "| a | under 1 | 2 | **not met** |" in text
    assert "| b | under 1 | 0.5 | met |" in text
    assert "| c | under 1 | not measured | not judged: a\\|b |" in text
    assert "| dspy | calls | broke down |" in text
    assert "## Side by side\n\n|  | x |\n| --- | --- |\n| ours | 1 |\n\nAs it was.\n" in text
