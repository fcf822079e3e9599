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
    # Figures that say nothing about real models are marked: the tables, and the sum.
    tables = re.findall(
        r"^(\w+): 200 items, .*\(simulated\)\n(?:.+\n){12}", ran.stdout, re.MULTILINE
    )
    assert tables == ["prime_factorization", "arithmetic"]
    assert re.search(r"paid now \$\d+\.\d+ \(simulated\)", " ".join(ran.stdout.split()))
    assert (tmp_path / "results/mlflow.db").stat().st_size > 0
    markdown = (tmp_path / "results/quickstart/summary.md").read_text()

    again = program("run", "quickstart", cwd=tmp_path)
    assert again.returncode == 0
    assert "0 new calls" in again.stdout
    assert "kept" in again.stderr
    assert "logging to MLflow" not in again.stderr
    repeated = (tmp_path / "results/quickstart/summary.md").read_text()
    assert lasting(repeated) == lasting(markdown)


def lasting(summary: str) -> list[str]:
    """Return the paragraphs that do not tell what the last run did."""
    return [part for part in summary.split("\n\n") if not part.startswith("4,400 trials")]
