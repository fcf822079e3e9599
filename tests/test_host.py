"""The package runs where the modules that only POSIX has are missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ember_bench.host import lives

ROOT = Path(__file__).parent.parent
RUN = """
import sys
from pathlib import Path
from ember_bench import host
from ember_bench.running.session import Options, open_experiment, run_experiment

assert host.LOCKS_BYTES
options = Options(results=Path(sys.argv[2]), mlflow=False)
for _ in range(2):
    run = run_experiment(open_experiment(Path("experiments/quickstart.yaml")), options).summary.run
    print(run.status, run.trials_run > 0, run.trials_kept > 0)
"""


def without_posix(code: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.windows", code, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_public_name_can_be_imported_without_posix() -> None:
    code = "import ember_bench; print([getattr(ember_bench, name) for name in ember_bench.__all__])"
    assert without_posix(code)


@pytest.mark.slow
def test_a_simulated_grid_runs_and_resumes_without_posix(tmp_path: Path) -> None:
    assert without_posix(RUN, str(tmp_path)) == ["complete True False", "complete False True"]


def test_a_process_lives_until_it_has_ended() -> None:
    assert lives(os.getpid())
    assert lives(1)  # another user's
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not lives(child.pid)
