"""Runs on a real Ray cluster of two nodes on this machine, whose parts are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ember_bench.models.store.response_store import ResponseStore
from tests.faults.study import (
    NEEDED,
    FaultyServer,
    fill,
    moments,
    responses,
    right_or_wrong,
)
from tests.support.local_models import free_ports, local_models, started
from tests.support.openai_server import Answer, Asked, OpenAIServer
from tests.support.workspace import Workspace, single

pytestmark = [pytest.mark.extra, pytest.mark.timeout(200)]

EXAMPLE = Path(__file__).parents[2] / "docs" / "clusters" / "ray_here.py"
COMMAND = "from ember_bench.cli import main; main()"
KEY = "sk-never-in-a-log-0123456789"
# It comes to the program that sets it by its standard input.
KEY_IN_CODE = "sk-of-the-code-alone-9876543210"
PATIENCE = 120
RUN = ("run", "grid.yaml", "--no-mlflow", "--quiet", "--json")


class Cluster:
    """Two nodes of one processor each; the second one has a GPU, as far as Ray knows."""

    def __init__(self) -> None:
        ray_cluster = pytest.importorskip("ray.cluster_utils")
        head = {"num_cpus": 1, "include_dashboard": False}
        self._cluster: Any = ray_cluster.Cluster(initialize_head=True, head_node_args=head)
        self.second: Any = self._cluster.add_node(num_cpus=1, num_gpus=1)
        self._cluster.wait_for_nodes()

    @property
    def engine(self) -> str:
        return f"ray:{self._cluster.address}"

    @property
    def logs(self) -> Path:
        return Path(self._cluster.head_node.get_session_dir_path())

    def kill_second(self) -> None:
        """Kill a node with all that runs there, and add another one."""
        self._cluster.remove_node(self.second, allow_graceful=False)
        self.second = self._cluster.add_node(num_cpus=1, num_gpus=1)

    def shutdown(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster()
    try:
        yield made
    finally:
        made.shutdown()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(lambda asked, before: None) as made:
        yield made


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=folder,
        env={**os.environ, "OPENAI_API_KEY": KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(process.communicate()) from None
    return process.returncode, out, err


def finished(folder: Path, *arguments: str) -> Any:
    """Run the command to its end; return the summary that it prints."""
    status, out, err = end(start(folder, *arguments))
    assert status == 0, err
    assert err == ""  # Ray's own messages are none of the user's
    return json.loads(out)


def workers() -> list[int]:
    """Return the processes of workers on this machine."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                name = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if name.startswith(b"ray::RayWorker"):
                found.append(int(folder.name))
    return found


def some_workers(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes of workers, once there are some."""
    deadline = time.monotonic() + PATIENCE
    while not (found := workers()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no worker was started"
        time.sleep(0.05)
    return found


def wait_for(server: FaultyServer, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until so many requests of a run have come."""
    deadline = time.monotonic() + PATIENCE
    while server.count < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{server.count} requests came"
        time.sleep(0.005)


def without_seconds(summary: Any) -> Any:
    del summary["run"]["started"], summary["run"]["wall_seconds"]
    for cell in summary["cells"]:
        for name in ("calls_made", "calls_shared", "spend_usd"):
            cell.pop(name, None)
    return summary


def test_a_summary_is_that_of_the_local_engine(cluster: Cluster, tmp_path: Path) -> None:
    run = ("run", "quickstart", "--limit", "15", "--no-mlflow", "--quiet", "--json")
    local = finished(tmp_path, *run, "--results", "local")
    ran = finished(tmp_path, *run, "--results", "ray", "--engine", cluster.engine)
    assert without_seconds(ran) == without_seconds(local)
    # No worker is left, and what is done is known to either engine.
    again = finished(tmp_path, *run, "--results", "ray")
    assert again["run"]["trials_run"] == 0


def test_killed_workers_and_nodes_lose_and_repeat_nothing(
    cluster: Cluster, server: FaultyServer, tmp_path: Path
) -> None:
    workspace = fill(tmp_path, server.base_url, max_concurrency=6)
    slow(server)
    chosen = moments("ray")
    process = start(tmp_path, *RUN, "--engine", cluster.engine)
    parts = ["worker", "node"]
    chosen.shuffle(parts)
    # While there is enough left to do.
    for part, moment in zip(parts, sorted(chosen.sample(range(4, NEEDED // 2), 2)), strict=True):
        wait_for(server, moment, process)
        if part == "node":
            cluster.kill_second()
        else:
            os.kill(chosen.choice(some_workers(process)), signal.SIGKILL)
    status, out, err = end(process)
    assert status == 0, err
    summary = json.loads(out)
    assert summary["run"]["status"] == "complete"
    assert not summary.get("failed")
    assert len(server.answered) == NEEDED
    # Requests that a killed worker waited for are made again, six at most; nothing else is.
    assert sum(server.answered.values()) - NEEDED <= 2 * 6
    assert_is_complete(workspace, server, summary)


def slow(server: FaultyServer) -> None:
    """Let the server take its time."""
    answer = server._reply
    server._reply = lambda asked: Answer(answer(asked).text, delay=0.15)  # type: ignore[attr-defined]


def assert_is_complete(workspace: Workspace, server: FaultyServer, summary: Any) -> None:
    """See that the local engine finds everything there, and comes to the same."""
    asked = server.count
    again = finished(workspace.root, *RUN)
    assert server.count == asked
    assert again["run"]["trials_run"] == 0
    local = finished(workspace.root, *RUN, "--results", "elsewhere")
    for one in (again, local):
        assert accuracies(one) == accuracies(summary)


def accuracies(summary: Any) -> Any:
    """Return all of the cells but what depends on a server's speed, and on who paid."""
    return [
        {k: v for k, v in cell.items() if not k.startswith(("latency", "calls_", "spend_usd"))}
        for cell in summary["cells"]
    ]


def stored_calls(workspace: Workspace) -> int:
    store = ResponseStore(responses(workspace))
    try:
        return len(store)
    finally:
        store.close()


def test_a_killed_driver_pays_no_stored_answer_again(
    cluster: Cluster, server: FaultyServer, tmp_path: Path
) -> None:
    workspace = fill(tmp_path, server.base_url, max_concurrency=6)
    slow(server)
    process = start(tmp_path, *RUN, "--engine", cluster.engine)
    wait_for(server, moments("driver").randrange(10, NEEDED - 5), process)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + PATIENCE
    while workers():  # they end with their driver
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kept = stored_calls(workspace)
    before = sum(server.answered.values())
    assert kept > 0
    summary = finished(tmp_path, *RUN, "--engine", cluster.engine)
    assert sum(server.answered.values()) - before == NEEDED - kept
    assert_is_complete(workspace, server, summary)


def test_ctrl_c_stops_in_order(cluster: Cluster, server: FaultyServer, tmp_path: Path) -> None:
    workspace = fill(tmp_path, server.base_url, max_concurrency=4)
    slow(server)
    process = start(tmp_path, *RUN, "--engine", cluster.engine)
    wait_for(server, 12, process)
    os.killpg(process.pid, signal.SIGINT)
    status, _, err = end(process)
    assert status == 3, err
    assert "stopped early; to continue: ember-bench run grid.yaml" in err
    # All that was answered is stored.
    assert stored_calls(workspace) == sum(server.answered.values()) < NEEDED
    finished(tmp_path, *RUN, "--engine", cluster.engine)
    assert sum(server.answered.values()) == NEEDED


def test_rates_and_budgets_hold_over_the_cluster(
    cluster: Cluster, server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBER_BENCH_STATE", str(tmp_path / "state"))
    limit = {"requests_per_minute": 360}
    workspace = fill(tmp_path, server.base_url, rate_limit=limit, max_output_tokens=20)
    workspace.edit("grid.yaml", "in_flight: 12", "in_flight: 12\nbudget_usd: 0.3")
    times: list[float] = []
    server.before_reply = lambda: times.append(time.monotonic())
    status, out, err = end(start(tmp_path, *RUN, "--engine", cluster.engine))
    assert status == 3, err
    assert "budget reached: the run: $" in err
    spent = json.loads(out)["run"]["spend_usd"]
    paid = sum(price(asked) for asked in server.asked)
    assert spent == pytest.approx(paid)
    assert 0.1 < paid <= 0.3
    # Six a second, and as many at once: the first of them come together.
    assert len(times) > 12
    assert times[-1] - times[0] >= (len(times) - 6 - 1) / 6 * 0.95


def price(asked: Asked) -> float:
    """Return what a request cost: prices of the card, tokens as the server counts them."""
    usage = right_or_wrong(asked).body(asked)["usage"]
    return float(usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 1000


def test_code_and_files_travel_and_keys_are_in_no_log(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "prefix.txt").write_text("Add: ")
    (tmp_path / "shouting.py").write_text("def shout(text):\n    return text.upper()\n")
    (tmp_path / "study.py").write_text(STUDY)
    with OpenAIServer(added) as server:
        card = {"name": "openai:here", "provider": {"name": "openai", "base_url": server.base_url}}
        Workspace(tmp_path).write("registry/models/here.yaml", card)
        summary = {}
        for engine in ("local", cluster.engine):
            done = subprocess.run(
                [sys.executable, "study.py", engine],
                cwd=tmp_path,
                env={**os.environ, "OPENAI_API_KEY": KEY, "HERE": server.base_url},
                input=KEY_IN_CODE,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            summary[engine] = without_seconds(json.loads(done.stdout))
        assert accuracies(summary["local"]) == accuracies(summary[cluster.engine])
        assert summary["local"]["cells"][0]["accuracy"] is not None
        keys = Counter(asked.headers["authorization"] for asked in server.asked)
        assert keys == {f"Bearer {KEY}": 24, f"Bearer {KEY_IN_CODE}": 24}
        assert all(asked.prompt.startswith("ADD: ") for asked in server.asked)
    for folder in (cluster.logs, tmp_path):
        for file in folder.rglob("*"):
            if file.is_file() and not file.is_symlink():
                content = file.read_bytes()
                assert not any(key.encode() in content for key in (KEY, KEY_IN_CODE)), file


def added(asked: Asked) -> Answer:
    a, b = asked.prompt.removeprefix("ADD: ").split("+")
    return Answer(str(int(a) + int(b)))


def test_servers_are_placed_where_a_gpu_is_and_share_it_in_turn(
    cluster: Cluster, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    with free_ports(3) as ports:  # of the cards; the cluster has others
        models = local_models(workspace, ports, per_hour=2.5)
        workspace.grid(architectures=[single(models)], in_flight=6)
        run = [argument for argument in RUN if argument != "--quiet"]
        status, out, err = end(start(tmp_path, *run, "--engine", cluster.engine))
        assert status == 0, err
        assert json.loads(out)["run"]["status"] == "complete"
    assert [gpu for _, gpu in started(workspace)] == ["0", "0", "0"]
    assert not list(tmp_path.glob("gpu-*"))  # all have ended
    assert (
        len(re.findall(r"openai:[abc]: its server ran for .* per million tokens served", err)) == 3
    )


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    (tmp_path / "pilot.yaml").write_text(
        "name: pilot\ndatasets: [{name: arithmetic, limit: 5}]\n"
        "architectures: [{name: single, parameters: {model: simulated:small}}]\n"
    )
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "pilot.yaml", "results"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "pilot" in done.stdout
    summary = json.loads((tmp_path / "results" / "pilot" / "summary.json").read_text())
    assert summary["run"]["trials_run"] == 5


STUDY = """
import os
import sys
from pathlib import Path

import ember_bench as eb
import msgspec
from shouting import shout

lm = eb.LMModule(eb.LMModuleConfig(model_name="openai:here"))


def add(query):
    return lm(shout(Path("prefix.txt").read_text()) + query)


def with_key(key):
    registry = eb.ModelRegistry()
    provider = {"name": "openai", "base_url": os.environ["HERE"]}
    registry.register_model(eb.ModelInfo(model_id="openai:key", provider=provider, api_key=key))
    keyed = eb.LMModule(eb.LMModuleConfig(model_name="openai:key"), model_registry=registry)

    def add_with_key(query):
        return keyed("ADD: " + query)

    return add_with_key


if __name__ == "__main__":
    sums = eb.Dataset.from_records(
        [{"q": f"{n}+{n}", "t": str(2 * n)} for n in range(12)],
        question="q",
        target="t",
        answer_format="number",
        evaluator="numeric_match",
        name="sums",
    )
    study = eb.Study(name="adding", datasets=[sums], architectures={
        "add": add, "keyed": with_key(sys.stdin.read())
    })
    engine = sys.argv[1]
    results = study.run(results="results-" + engine[:3], mlflow=False, quiet=True, engine=engine)
    print(msgspec.json.encode(results.summary).decode())
"""
