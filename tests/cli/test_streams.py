"""Whoever was to read what is printed may be gone, or the disk behind it full."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest

from tests.cli.conftest import COMMAND, ENVIRONMENT
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

RUN = shlex.join([*COMMAND, "run", "grid.yaml", "--no-mlflow"])


def shell(here: Workspace, redirected: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"{RUN} {redirected}; exit ${{PIPESTATUS[0]}}"],
        cwd=here.root,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("redirected", "status"),
    [
        ("2>&-", 0),
        (">&-", 0),
        ("<&- >&- 2>&-", 0),
        ("2>/dev/full", 0),
        (">/dev/full", 1),
        ("--json >/dev/full", 1),
        ("| true", 0),
        ("2>&1 | true", 0),
    ],
)
def test_the_run_is_finished_all_the_same(here: Workspace, redirected: str, status: int) -> None:
    here.sums(10)
    here.model("simulated:a")
    here.grid(architectures=[{"name": "single", "parameters": {"model": "simulated:a"}}])
    ended = shell(here, redirected)
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert ("the results cannot be printed: No space left on device" in ended.stderr) == bool(
        status
    )
    summary = json.loads((here.root / "results/trip/summary.json").read_text())
    assert summary["run"]["status"] == "complete"
    assert (here.root / "results/trip/summary.md").exists()
