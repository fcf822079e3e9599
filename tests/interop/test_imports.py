"""`ember-bench import`, and logs that the other tools have made themselves.

`EMBER_BENCH_TOOLS` names the folder of programs of an environment with inspect-ai, lm-eval and
ember-bench; `.ci/run` makes one.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, command, here
from tests.support.workspace import Workspace

__all__ = ["command", "here"]  # fixtures

ROOT = Path(__file__).parents[2]
TOOLS = os.environ.get("EMBER_BENCH_TOOLS")
needs_tools = pytest.mark.skipif(
    TOOLS is None, reason="needs inspect-ai and lm-eval: set EMBER_BENCH_TOOLS to their programs"
)
RIGHT = 3  # of the four sums


class Sums(BaseHTTPRequestHandler):
    """A server of chat completions that cannot work out the last sum."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[0]["text"]
        number = int(text.split()[0])
        answer = str(number + 1 if number <= RIGHT else 0)
        message = {"role": "assistant", "content": answer}
        reply = {
            "id": "x", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8},
        }  # fmt: skip
        encoded = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sums)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def tool(name: str, *arguments: str, cwd: Path, **environment: str) -> str:
    ran = subprocess.run(
        [str(Path(TOOLS or "", name)), *arguments],
        cwd=cwd,
        env={**os.environ, "OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def accuracy(command: Command, name: str) -> tuple[float, dict[str, Any]]:
    ran = command("run", name, "--no-mlflow", "--json", "--quiet")
    assert ran.status == 0, ran.err
    cell = ran.json["cells"][0]
    return cell["accuracy"]["value"], cell


@needs_tools
@pytest.mark.extra
@pytest.mark.slow
def test_samples_of_lm_eval(command: Command, here: Workspace, address: str) -> None:
    rows = [{"q": f"{i} + 1 = ?", "a": str(i + 1)} for i in range(1, 5)]
    here.write("lm/sums.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    metric = {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
    here.write(
        "lm/task.yaml",
        {
            "task": "sums_lm",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(here.root / "lm/sums.jsonl")}},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "{{q}}",
            "doc_to_target": "{{a}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": 8},
            "metric_list": [metric],
        },
    )
    tool(
        "lm_eval", "--model", "local-chat-completions",
        "--model_args", f"model=tiny,base_url={address}/chat/completions",
        "--tasks", "sums_lm", "--include_path", str(here.root / "lm"), "--apply_chat_template",
        "--log_samples", "--output_path", "out", cwd=here.root,
    )  # fmt: skip
    ran = command("import", "lm-eval", "out", "--name", "theirs")
    assert ran.status == 0, ran.err
    assert "4 items, 4 answers of 1 model: tiny" in ran.err
    value, _ = accuracy(command, "theirs")
    assert value == RIGHT / 4
    ours = command("rescore", "theirs", "--evaluator", "numeric_match", "--as", "ours", "--json")
    assert ours.json["cells"][0]["accuracy"]["value"] == RIGHT / 4


TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match
from inspect_ai.solver import generate

@task
def sums():
    samples = [Sample(id=f"s{i}", input=f"{i} + 1 = ?", target=str(i + 1)) for i in range(1, 5)]
    return Task(dataset=samples, solver=generate(), scorer=match(numeric=True), epochs=2)
"""


@needs_tools
@pytest.mark.extra
@pytest.mark.slow
@pytest.mark.parametrize("form", ["eval", "json"])
def test_logs_of_inspect(command: Command, here: Workspace, address: str, form: str) -> None:
    here.write("task.py", TASK)
    tool(
        "inspect", "eval", "task.py", "--model", "openai/tiny", "--log-dir", "logs",
        "--log-format", form, "--display", "none", "-M", "responses_api=false",
        cwd=here.root, OPENAI_BASE_URL=address,
    )  # fmt: skip
    program = "from ember_bench.cli import main; main()"
    tool(
        "python", "-c", program, "import", "inspect", "logs", "--name", "theirs",
        cwd=here.root, PYTHONPATH=str(ROOT),
    )  # fmt: skip
    value, cell = accuracy(command, "theirs")
    assert value == RIGHT / 4
    assert cell["label"] == "recorded:theirs/openai/tiny"
    assert (cell["scheduled"], cell["input_tokens"], cell["output_tokens"]) == (8, 56, 8)
    assert cell["latency_seconds"]["value"] > 0
    assert cell["cost_per_item"] is None


class TestTheCommand:
    def table(self, here: Workspace) -> None:
        rows = ["id,question,expected,model,response,correct,cost_usd"]
        for i in range(6):
            for model, right in (("small", i < 3), ("large", i < 5), ("none", False)):
                said = i + 1 if right else -i
                rows.append(f"{i},{i} + 1?,{i + 1},{model},{said},{str(right).lower()},0.01")
        here.write("answers.csv", "\n".join(rows) + "\n")

    def test_a_table_becomes_an_experiment(self, command: Command, here: Workspace) -> None:
        self.table(here)
        ran = command("import", "completions", "answers.csv", "--yes", "--json")
        assert ran.status == 0, ran.err
        assert "target: expected" in ran.err
        assert [Path(path).suffix for path in ran.json].count(".yaml") == 4
        ran = command("run", "answers", "--no-mlflow", "--json", "--quiet")
        cells = {cell["label"]: cell for cell in ran.json["cells"]}
        small = cells["recorded:answers/small"]
        assert small["accuracy"]["value"] == 0.5
        assert small["cost_per_item"]["value"] == pytest.approx(0.01)
        vote = cells["vote of all"]
        assert vote["cost_per_item"]["value"] == pytest.approx(0.03)
        assert command("import", "completions", "answers.csv", "--yes").status == 2

    def test_scores_of_another_range_become_0_to_1(self, command: Command, here: Workspace) -> None:
        rows = [{"id": i, "question": "q", "target": "t", "response": f"r{i}", "score": i}
                for i in range(1, 6)]  # fmt: skip
        here.write("rated.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        assert command("import", "completions", "rated.jsonl", "--yes").status == 0
        assert accuracy(command, "rated")[0] == pytest.approx(0.5)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("lmeval", "answers.csv"), "did you mean 'lm-eval'"),
            (("completions", "nowhere.csv"), "there is no such file"),
            (("lm-eval", "answers.csv"), "answers.csv:1: not JSON"),
            (("lm-eval", "."), "run lm_eval with --log_samples"),
            (("lm-eval", "answers.csv", "--answer", "x"), "for `import completions`"),
        ],
    )
    def test_mistakes_are_told(
        self, command: Command, here: Workspace, arguments: tuple[str, ...], message: str
    ) -> None:
        self.table(here)
        ran = command("import", *arguments)
        assert (ran.status, message in ran.err) == (2, True), ran.err
