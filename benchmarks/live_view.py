"""What the live view takes of a run: `python -m benchmarks.live_view`.

A grid of simulated models that take their time is run in three ways, by turns, each in a process
of its own: without the file that says what it is doing now, with it, and with it while the live
view is open and its pages are read as often as a browser reads them. CPU is that of the process
that runs the trials, while it runs them; those of writing the file, which are among it, and of the
view are told apart. Where other programs are running, only these two say anything.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import asynccontextmanager
from logging.handlers import MemoryHandler
from pathlib import Path
from unittest import mock

from ember_bench.running import session
from ember_bench.running.live import shown_live
from ember_bench.running.places import TRIALS

WAYS = ("without the file", "with the file", "watched")
GRID = """
name: live
datasets: [{{name: arithmetic, parameters: {{count: {items}}}}}]
architectures: [{{name: vote, parameters: {{model: "simulated:waits", k: 5}}}}]
in_flight: {in_flight}
"""
MODEL = """
name: "simulated:waits"
max_concurrency: 100000
options: {{sleep: true, latency_seconds: {seconds}}}
"""
PAGES = ("live", "under-way/live?part=main")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_view", description=__doc__)
    parser.add_argument("--items", type=int, default=4_000, help="trials, of five calls each")
    parser.add_argument("--in-flight", type=int, default=200, help="trials at once")
    parser.add_argument("--seconds", type=float, default=1.0, help="median time of an answer")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--run", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run)))
        return
    print(
        f"{options.items:,} trials of 5 calls, {options.in_flight} at once, answers after"
        f" {options.seconds:g} s; {options.repeats} runs each, the least CPU of them"
    )
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(options.repeats):
        for way, runs in found.items():
            runs.append(measure(way, options.items, options.in_flight, options.seconds))
    least = {way: min(run["cpu_seconds"] for run in runs) for way, runs in found.items()}
    for way, runs in found.items():
        best = min(runs, key=lambda run: run["cpu_seconds"])
        more = least[way] / least[WAYS[0]] - 1
        written = "" if way == WAYS[0] else (
            f"; {best['writings']:.0f} writings {best['writing_cpu_seconds']:.3f} s,"
            f" {100 * best['writing_cpu_seconds'] / best['cpu_seconds']:.2f} %"
        )  # fmt: skip
        view = best.get("view_cpu_seconds")
        seen = "" if view is None else (
            f"; view {view:.2f} s, {100 * view / best['wall_seconds']:.1f} % of a core,"
            f" {best['readings']:.0f} readings"
        )  # fmt: skip
        print(
            f"{way:<18} CPU {best['cpu_seconds']:6.2f} s ({100 * more:+.1f} %),"
            f" wall {best['wall_seconds']:6.2f} s{written}{seen}"
        )


def measure(way: str, items: int, in_flight: int, seconds: float) -> dict[str, float]:
    """Run the grid in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "registry/models").mkdir(parents=True)
        (folder / "registry/models/waits.yaml").write_text(MODEL.format(seconds=seconds))
        (folder / "grid.yaml").write_text(GRID.format(items=items, in_flight=in_flight))
        root = str(Path(__file__).parents[1])
        environment = {**os.environ, "PYTHONPATH": root, "EMBER_BENCH_STATE": f"{folder}/state"}
        if way != "watched":
            with begun(way, folder, environment) as process:
                return result(process)
        command = [sys.executable, "-m", "ember_bench", "view"]
        with subprocess.Popen(
            command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
        ) as view:
            assert view.stderr is not None
            url = view.stderr.readline().split()[1]
            with begun(way, folder, environment) as process:
                watched = watch(process, folder / "results/live", url, view.pid)
                found = result(process)
            view.terminate()
    return {**found, **watched}


def begun(way: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    """Begin the run."""
    command = [sys.executable, "-m", "benchmarks.live_view", "--run", way]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> dict[str, float]:
    """Wait for the end of the run; return what it measured."""
    assert process.stdout is not None
    found: dict[str, float] = json.loads(process.stdout.read().splitlines()[-1])
    return found


def watch(process: subprocess.Popen[str], folder: Path, url: str, view: int) -> dict[str, float]:
    """Read the pages of the live view until a run has ended, as often as they ask for it."""
    while not (folder / TRIALS).exists() and process.poll() is None:
        time.sleep(0.05)
    began, readings = cpu_seconds(view), 0
    due = dict.fromkeys(PAGES, 0.0)
    while process.poll() is None and (folder / ".lock").exists():
        for page, at in due.items():
            if at <= time.monotonic():
                with urllib.request.urlopen(url + page) as answer:
                    answer.read()
                    wait = int(answer.headers["x-next-ms"]) / 1_000
                due[page] = time.monotonic() + wait
                readings += 1
        time.sleep(0.02)
    return {"view_cpu_seconds": cpu_seconds(view) - began, "readings": readings}


def cpu_seconds(process: int) -> float:
    """Return the CPU seconds of a process so far (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def nothing(*_: object):  # type: ignore[no-untyped-def]
    """Stand for the writer of the file, and write none."""
    yield


def run(way: str) -> dict[str, float]:
    """Run the grid here; return the CPU and the time of its trials."""
    experiment = session.open_experiment(Path("grid.yaml"))
    options = session.Options(mlflow=False, dedicated=True)
    trials = session._Session._trials
    found: dict[str, float] = {}
    logger = logging.getLogger("ember_bench.live")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler := MemoryHandler(1_000, logging.CRITICAL))

    async def timed(*given: object) -> object:
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        done = await trials(*given)  # type: ignore[arg-type]
        after = resource.getrusage(resource.RUSAGE_SELF)
        found["cpu_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found["wall_seconds"] = time.perf_counter() - began
        return done

    writer = shown_live if way != WAYS[0] else nothing
    with (
        mock.patch.object(session._Session, "_trials", timed),
        mock.patch.object(session, "shown_live", writer),
    ):
        session.run_experiment(experiment, options)
    for record in handler.buffer:
        if isinstance(record.args, tuple):
            _, found["writings"], found["writing_cpu_seconds"] = record.args  # type: ignore[assignment]
    return found


if __name__ == "__main__":
    main()
