"""The files of docs/clusters run shards: schedulers are fake, processes are real."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

FILES = Path(__file__).parent.parent / "docs" / "clusters"
GRID = """\
name: pilot
datasets: [{name: arithmetic, limit: 40}]
architectures:
  - name: vote
    parameters: {model: simulated:small, k: [1, 3]}
"""
SLOW = """\
name: simulated:slow
purpose: A model that takes its time.
cost: {input_cost_per_million: 0.15, output_cost_per_million: 0.60}
options: {accuracy: 0.7, latency_seconds: 0.1, spread: 0, sleep: true}
"""
SHARDS = 3
PATIENCE = 120


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "pilot.yaml").write_text(GRID)
    binaries = tmp_path / "bin"
    binaries.mkdir()
    program(binaries / "ember-bench", f'exec "{sys.executable}" -c "{COMMAND}" "$@"')
    return tmp_path


COMMAND = "from ember_bench.cli import main; main()"


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def environment(here: Path, **variables: str) -> dict[str, str]:
    return {**os.environ, "PATH": f"{here / 'bin'}{os.pathsep}{os.environ['PATH']}", **variables}


def finish(here: Path, *command: str, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=here,
        env=environment(here, **variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def comparable(folder: Path) -> Any:
    summary = json.loads((folder / "pilot/summary.json").read_text())
    del summary["run"]
    return summary


def merged(here: Path) -> Any:
    parts = sorted(map(str, here.glob("parts/part-*")))
    assert len(parts) == SHARDS
    finish(here, "ember-bench", "merge", "merged", *parts)
    return comparable(here / "merged")


def whole(here: Path) -> Any:
    finish(here, "ember-bench", "run", "pilot.yaml", "--no-mlflow", "--results", "whole")
    return comparable(here / "whole")


def trials(folder: Path) -> int:
    """Return the number of stored trials."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/trials.db?mode=ro", uri=True)) as base:
            return int(base.execute("SELECT count(*) FROM trials").fetchone()[0])
    except sqlite3.Error:  # not there yet
        return 0


def slurm_task(here: Path, number: int) -> subprocess.Popen[bytes]:
    """Start a task of an array job as Slurm does: its number is in the environment."""
    variables = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": "1"}
    command = ["bash", str(FILES / "slurm.sh"), "pilot.yaml", "parts", str(SHARDS)]
    return subprocess.Popen(command, cwd=here, env=environment(here, **variables))


def test_tasks_of_a_slurm_array_run_beside_each_other_and_one_is_killed(here: Path) -> None:
    tasks = [slurm_task(here, number) for number in range(1, SHARDS + 1)]
    store = here / "parts/part-2/responses.db"
    end = time.monotonic() + PATIENCE
    while not store.exists() and tasks[1].poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    tasks[1].kill()
    assert [task.wait(PATIENCE) for task in tasks][::2] == [0, 0]
    assert slurm_task(here, 2).wait(PATIENCE) == 0  # sbatch --array=2
    assert merged(here) == whole(here)


def test_the_signal_before_the_end_of_the_time_reaches_the_run(here: Path) -> None:
    models = here / "registry/models"
    models.mkdir(parents=True)
    (models / "slow.yaml").write_text(SLOW)
    # 67 items a shard, a tenth of a second each: the signal comes in the middle.
    slow = GRID.replace("limit: 40", "limit: 200").replace("simulated:small", "simulated:slow")
    (here / "pilot.yaml").write_text(slow + "in_flight: 1\n")
    task = slurm_task(here, 1)
    end = time.monotonic() + PATIENCE
    while not trials(here / "parts/part-1/pilot") and task.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    task.send_signal(signal.SIGTERM)
    # A shell that did not hand it on would have died of it: -15.
    assert task.wait(PATIENCE) == 3
    assert (here / "parts/part-1/pilot/summary.json").exists()


def test_pods_of_an_indexed_job_run_their_shards(here: Path) -> None:
    job = yaml.safe_load((FILES / "kubernetes.yaml").read_text())["spec"]
    assert job["completionMode"] == "Indexed"
    (container,) = job["template"]["spec"]["containers"]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert int(variables["SHARDS"]) == job["completions"]
    own = {"GRID": "pilot.yaml", "PARTS": "parts", "SHARDS": str(SHARDS)}
    assert own.keys() == variables.keys()
    for index in range(SHARDS):
        command = [*container["command"], *container["args"]]
        finish(here, *command, **own, JOB_COMPLETION_INDEX=str(index))
    assert merged(here) == whole(here)


def test_hosts_run_their_shards_over_ssh_and_the_parts_are_fetched(here: Path) -> None:
    # Each host is a folder, which has the grid.
    for host in ("red", "green", "blue"):
        (here / "hosts" / host).mkdir(parents=True)
        (here / "hosts" / host / "pilot.yaml").write_text(GRID)
    program(here / "bin/ssh", f'cd "{here}/hosts/$1" && shift && exec sh -c "$*"')
    program(here / "bin/scp", f'exec cp -r "{here}/hosts/$(echo "$2" | tr : /)" "$3"')
    finish(here, "sh", str(FILES / "ssh.sh"), "pilot.yaml", "merged", "red", "green", "blue")
    assert comparable(here / "merged") == whole(here)


def test_submitit_runs_the_shards_and_merges_them(here: Path) -> None:
    pytest.importorskip("submitit")
    script = [sys.executable, str(FILES / "with_submitit.py")]
    out = finish(here, *script, "pilot.yaml", "parts", str(SHARDS), "merged", "local")
    assert "exit status of each shard: [0, 0, 0]" in out
    assert comparable(here / "merged") == whole(here)
