"""`ember-bench import`, and logs that the other tools have made themselves.

`EMBER_BENCH_TOOLS` names the folder of programs of an environment with inspect-ai, lm-eval and
ember-bench, `EMBER_BENCH_EVERY_EVAL_EVER` the program of that name; `.ci/run` makes both.
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
from tests.support import promptfoo
from tests.support.workspace import Workspace

__all__ = ["command", "here"]  # fixtures

ROOT = Path(__file__).parents[2]
TOOLS = os.environ.get("EMBER_BENCH_TOOLS")
needs_tools = pytest.mark.skipif(
    TOOLS is None, reason="needs inspect-ai and lm-eval: set EMBER_BENCH_TOOLS to their programs"
)
RECORDS = os.environ.get("EMBER_BENCH_EVERY_EVAL_EVER")
needs_records = pytest.mark.skipif(
    RECORDS is None, reason="needs every_eval_ever: set EMBER_BENCH_EVERY_EVAL_EVER to the program"
)
RIGHT = 3  # of the four sums


class Sums(BaseHTTPRequestHandler):
    """A server of chat completions that cannot work out the last sum."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "prompt" in body:
            text = body["prompt"][0] if isinstance(body["prompt"], list) else body["prompt"]
        else:
            content = body["messages"][-1]["content"]
            text = content if isinstance(content, str) else content[0]["text"]
        number = int(text.split()[0])
        if body["model"] == "broken" and number == RIGHT:
            self.send_error(400)
            return
        answer = str(number + 1 if number <= RIGHT else 0)
        message = {"role": "assistant", "content": answer}
        reply = {
            "id": "x", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [
                {"index": 0, "finish_reason": "stop", "message": message, "text": answer}
            ],
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


def lm_eval(here: Workspace, kind: str, address: str, *arguments: str) -> None:
    """Run lm_eval on four sums, with its samples in the folder `out`."""
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
        "lm_eval", "--model", f"local-{kind.replace('/', '-')}",
        "--model_args", f"model=acme/tiny,base_url={address}/{kind},tokenizer_backend=None",
        "--tasks", "sums_lm", "--include_path", str(here.root / "lm"),
        "--log_samples", "--output_path", "out", *arguments, cwd=here.root,
    )  # fmt: skip


@needs_tools
@pytest.mark.extra
@pytest.mark.slow
def test_samples_of_lm_eval(command: Command, here: Workspace, address: str) -> None:
    lm_eval(here, "chat/completions", address, "--apply_chat_template")
    ran = command("import", "lm-eval", "out", "--name", "theirs")
    assert ran.status == 0, ran.err
    assert "4 items, 4 answers of 1 model: acme/tiny" in ran.err
    value, _ = accuracy(command, "theirs")
    assert value == RIGHT / 4
    ours = command("rescore", "theirs", "--evaluator", "numeric_match", "--as", "ours", "--json")
    assert ours.json["cells"][0]["accuracy"]["value"] == RIGHT / 4


@needs_tools
@needs_records
@pytest.mark.extra
@pytest.mark.slow
def test_records_that_every_eval_ever_made_of_samples_of_lm_eval(
    command: Command, here: Workspace, address: str
) -> None:
    lm_eval(here, "completions", address)
    convert = ["convert", "lm_eval", "--log_path", "out", "--output_dir", "data"]
    told = ["--source_organization_name", "us", "--evaluator_relationship", "third_party"]
    subprocess.run(
        [str(RECORDS), *convert, *told, "--include_samples"], cwd=here.root, check=True, timeout=120
    )
    ran = command("import", "every-eval-ever", "data", "--name", "theirs")
    assert ran.status == 0, ran.err
    assert "4 items, 4 answers of 1 model: acme/tiny" in ran.err
    assert accuracy(command, "theirs")[0] == RIGHT / 4
    unknown = ("import", "every-eval-ever", "data", "--scorer", "exact", "--name", "more")
    assert "unknown scorer 'exact'; did you mean 'exact_match'" in command(*unknown).err


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


@promptfoo.needs_promptfoo
@pytest.mark.extra
@pytest.mark.slow
class TestResultsOfPromptfoo:
    """Two providers, of which one has an error, two repeats, and assertions of two weights."""

    @pytest.fixture
    def evaluated(self, here: Workspace, address: str) -> None:
        def test(number: int) -> dict[str, Any]:
            told: list[dict[str, Any]] = [
                {"type": "equals", "value": "{{expected}}", "metric": "exactly"}
            ]
            if number > RIGHT:
                told.append({"type": "contains", "value": "0", "weight": 3})
            return {"vars": {"n": number, "expected": str(number + 1)}, "assert": told}

        config = {"config": {"apiBaseUrl": address}}
        here.write(
            "promptfooconfig.yaml",
            {
                "prompts": ["{{n}} + 1 = ?"],
                "providers": [
                    {"id": "openai:chat:gpt-4o-mini", **config},
                    {"id": "openai:chat:broken", "label": "the other", **config},
                ],
                "tests": [test(number) for number in range(1, 5)],
            },
        )
        promptfoo.evaluate(here.root, "--repeat", "2", "--no-cache", "-o", "results.json")

    def test_passes_tokens_seconds_and_prices_are_kept(
        self, command: Command, here: Workspace, evaluated: None
    ) -> None:
        ran = command("import", "promptfoo", "results.json", "--name", "theirs")
        assert ran.status == 0, ran.err
        assert "4 items, 16 answers of 2 models: openai:chat:gpt-4o-mini, the other" in ran.err
        assert "2 of the 16 requests failed" in ran.err
        ran = command("run", "theirs", "--no-mlflow", "--json", "--quiet")
        cells = {cell["label"]: cell for cell in ran.json["cells"]}
        mini = cells["recorded:theirs/openai:chat:gpt-4o-mini"]
        assert mini["accuracy"]["value"] == RIGHT / 4
        assert (mini["input_tokens"], mini["output_tokens"]) == (56, 8)
        # The prices that promptfoo has for this model: $0.15 and $0.60 per million tokens.
        assert mini["cost_per_item"]["value"] == pytest.approx(7 * 0.15e-6 + 0.6e-6)
        assert mini["latency_seconds"]["value"] > 0
        other = cells["recorded:theirs/the other"]
        assert other["accuracy"]["value"] == pytest.approx((RIGHT - 1) / 3)
        assert other["cost_per_item"] is None
        ours = command(
            "rescore", "theirs", "--evaluator", "numeric_match", "--as", "ours", "--json"
        )
        assert ours.json["cells"][0]["accuracy"]["value"] == RIGHT / 4

    def test_scores_and_metrics_are_chosen(
        self, command: Command, here: Workspace, evaluated: None
    ) -> None:
        score = ("import", "promptfoo", "results.json", "--name", "scores", "--scorer")
        assert command(*score, "score").status == 0
        assert accuracy(command, "scores")[0] == pytest.approx((RIGHT + 0.75) / 4)
        assert "did you mean 'exactly'" in command(*score, "exacty").err
        metric = ("import", "promptfoo", "results.json", "--name", "metric", "--scorer", "exactly")
        assert command(*metric).status == 0
        assert accuracy(command, "metric")[0] == RIGHT / 4

    def test_several_prompts_are_systems_of_the_same_items(
        self, command: Command, here: Workspace, evaluated: None
    ) -> None:
        config = here.root / "promptfooconfig.yaml"
        text = config.read_text()
        chat = json.dumps([{"role": "user", "content": "{{n}} and 1?"}])
        config.write_text(text.replace("prompts:", f"prompts:\n- '{chat}'"))
        promptfoo.evaluate(here.root, "--no-cache", "-o", "two.json")
        ran = command("import", "promptfoo", "two.json", "--name", "two")
        assert "4 items, 16 answers of 4 models: openai:chat:gpt-4o-mini prompt 1" in ran.err
        assert "prompt 2 is '{{n}} + 1 = ?'" in ran.err
        ran = command("run", "two", "--no-mlflow", "--json", "--quiet")
        assert {cell["label"] for cell in ran.json["cells"]} >= {
            "recorded:two/openai:chat:gpt-4o-mini prompt 2",
            "recorded:two/the other prompt 1",
        }


class TestTheCommand:
    def table(self, here: Workspace) -> None:
        rows = ["id,question,expected,model,response,correct,cost_usd"]
        for i in range(6):
            for model, right in (("small", i < 3), ("large", i < 5), ("none", False)):
                said = i + 1 if right else -i
                rows.append(f"{i},{i} + 1?,{i + 1},{model},{said},{str(right).lower()},0.01")
        here.write("answers.csv", "\n".join(rows) + "\n")
        here.write("empty/none.txt", "")

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
            (("promptfoo", "answers.csv"), "answers.csv:1: not JSON"),
            (("promptfoo", "empty"), "run promptfoo eval -o results.json"),
            (("completions", "answers.csv", "answers.csv"), "are read from one file"),
        ],
    )
    def test_mistakes_are_told(
        self, command: Command, here: Workspace, arguments: tuple[str, ...], message: str
    ) -> None:
        self.table(here)
        ran = command("import", *arguments)
        assert (ran.status, message in ran.err) == (2, True), ran.err
