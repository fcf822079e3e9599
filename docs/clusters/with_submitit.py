"""An array job of Slurm through submitit (`pip install submitit`): run the shards, then merge.

    python with_submitit.py GRID PARTS SHARDS OUT [local]

With `local` the shards run as processes of this machine.
"""

import subprocess
import sys
from pathlib import Path

import submitit


def run_shard(grid: str, parts: str, number: int, count: int) -> int:
    """Run one shard; return the exit status of the command."""
    part = Path(parts, f"part-{number}")
    command = ["ember-bench", "run", grid, "--shard", f"{number}/{count}", "--results", str(part)]
    return subprocess.run([*command, "--quiet"], check=False).returncode


def main(grid: str, parts: str, shards: str, out: str, cluster: str = "slurm") -> int:
    """Run all shards and merge them; return the exit status of the merge."""
    count = int(shards)
    executor = submitit.AutoExecutor(folder=Path(parts, "logs"), cluster=cluster)
    executor.update_parameters(name="ember-bench", timeout_min=720, cpus_per_task=1, mem_gb=2)
    numbers = list(range(1, count + 1))
    jobs = executor.map_array(run_shard, [grid] * count, [parts] * count, numbers, [count] * count)
    print("exit status of each shard:", [job.result() for job in jobs])
    folders = [str(Path(parts, f"part-{number}")) for number in numbers]
    return subprocess.run(["ember-bench", "merge", out, *folders], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
