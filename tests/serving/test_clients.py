"""Other harnesses as clients, unmodified: what they score is what the grid scores.

`EMBER_BENCH_TOOLS` names the folder of programs of an environment with inspect-ai and lm-eval;
`.ci/run` makes one. promptfoo is in a folder of npm.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.registry import Cards, default_roots
from ember_bench.serving.networks import find_networks
from ember_bench.serving.openai_api import Access, OpenAIServer
from tests.experiment.conftest import workspace
from tests.support import promptfoo
from tests.support.asgi import serving
from tests.support.workspace import Workspace, vote

__all__ = ["workspace"]

TOOLS = os.environ.get("EMBER_BENCH_TOOLS")
pytestmark = [pytest.mark.extra, pytest.mark.slow]
needs_tools = pytest.mark.skipif(
    TOOLS is None, reason="needs inspect-ai and lm-eval: set EMBER_BENCH_TOOLS to their programs"
)
MODEL = "grid.yaml/vote"
INSPECT_TASK = """\
import json
from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import match
from inspect_ai.solver import generate

@task
def sums():
    rows = [json.loads(line) for line in open("sums.jsonl")]
    samples = [Sample(id=r["id"], input=r["question"], target=r["answer"]) for r in rows]
    return Task(dataset=MemoryDataset(samples), solver=generate(), scorer=match(location="exact"))
"""


@pytest.fixture
def scored(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> float:
    """The accuracy of a vote in a grid, whose calls are in the results folder."""
    monkeypatch.chdir(workspace.root)
    workspace.sums(30)
    lines = (workspace.root / "registry/datasets/sums.jsonl").read_text()
    (workspace.root / "sums.jsonl").write_text(lines)
    workspace.model("counted:a", right=0.7)
    workspace.grid(architectures=[vote([3])])
    accuracy = workspace.run().cell.accuracy
    assert accuracy is not None
    assert 0.5 < accuracy.value < 1
    return accuracy.value


@pytest.fixture
def url(scored: float, workspace: Workspace) -> Iterator[str]:
    """The address of a server of that vote, which must make no call."""
    plain = ModelService(ModelRegistry(), offline=True)
    store = ResponseStore(workspace.root / "results/responses.db")
    storing = ModelService(ModelRegistry(), store=store, offline=True)
    networks = find_networks([MODEL], {}, plain, Cards(default_roots()))
    server = OpenAIServer(networks, Access(None, 1000), plain, storing, own_sampling=True)
    with serving(server.app()) as address:
        yield f"{address}/v1"


def finish(folder: Path, program: str, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [f"{TOOLS}/{program}", *arguments],
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_tools
def test_lm_eval_scores_what_the_grid_scores(workspace: Workspace, scored: float, url: str) -> None:
    task = {
        "task": "served_sums",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(workspace.root / "sums.jsonl")}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["\n\n"], "do_sample": False, "temperature": 0},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    workspace.write("tasks/served_sums.yaml", yaml.safe_dump(task))
    model = f"model={MODEL},base_url={url}/chat/completions,num_concurrent=20"
    finish(
        workspace.root, "lm_eval", "--model", "local-chat-completions", "--include_path", "tasks",
        "--tasks", "served_sums", "--model_args", f"{model},tokenized_requests=False",
        "--apply_chat_template", "--output_path", "out", OPENAI_API_KEY="any",
    )  # fmt: skip
    (written,) = (workspace.root / "out").rglob("results_*.json")
    found = json.loads(written.read_text())["results"]["served_sums"]["exact_match,none"]
    assert found == pytest.approx(scored)


@needs_tools
def test_inspect_scores_what_the_grid_scores(workspace: Workspace, scored: float, url: str) -> None:
    workspace.write("served.py", INSPECT_TASK)
    finish(
        workspace.root, "inspect", "eval", "served.py", "--model", f"openai-api/served/{MODEL}",
        "--display", "none", "--log-dir", "logs", "--log-format", "json",
        SERVED_BASE_URL=url, SERVED_API_KEY="any",
    )  # fmt: skip
    (log,) = (workspace.root / "logs").glob("*.json")
    results = json.loads(log.read_text())["results"]
    assert results["scores"][0]["metrics"]["accuracy"]["value"] == pytest.approx(scored)


@promptfoo.needs_promptfoo
def test_promptfoo_scores_what_the_grid_scores(
    workspace: Workspace, scored: float, url: str
) -> None:
    rows = [json.loads(line) for line in (workspace.root / "sums.jsonl").read_text().splitlines()]
    tests = [
        {
            "vars": {"question": row["question"]},
            "assert": [{"type": "equals", "value": row["answer"]}],
        }
        for row in rows
    ]
    provider = {"id": f"openai:chat:{MODEL}", "config": {"apiBaseUrl": url}}
    config = {"prompts": ["{{question}}"], "providers": [provider], "tests": tests}
    workspace.write("promptfooconfig.yaml", config)
    promptfoo.evaluate(workspace.root, "-o", "results.json")
    stats = json.loads((workspace.root / "results.json").read_text())["results"]["stats"]
    assert stats["errors"] == 0
    assert stats["successes"] / len(rows) == pytest.approx(scored)
