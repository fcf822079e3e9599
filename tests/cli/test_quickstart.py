"""The README's command, as a new user gives it: in an empty folder, with its output piped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import program


@pytest.mark.slow
def test_the_quick_start(tmp_path: Path) -> None:
    ran = program("run", "quickstart", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr
    assert "mlflow ui --backend-store-uri sqlite:///results/mlflow.db" in ran.stderr
    # Each row with figures is marked.
    rows = [line for line in ran.stdout.splitlines() if "$" in line and "[" in line]
    assert len(rows) == 22
    assert all(re.search(r" simulated(,| )", row) for row in rows)
    assert (tmp_path / "results/mlflow.db").stat().st_size > 0
    markdown = (tmp_path / "results/quickstart/summary.md").read_text()

    again = program("run", "quickstart", cwd=tmp_path)
    assert again.returncode == 0
    assert "0 new calls" in again.stdout
    assert "kept" in again.stderr
    assert "logging to MLflow" not in again.stderr
    repeated = (tmp_path / "results/quickstart/summary.md").read_text()
    assert repeated.split("\n\n")[2:] == markdown.split("\n\n")[2:]
