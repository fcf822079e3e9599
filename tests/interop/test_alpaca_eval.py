"""Annotations of AlpacaEval: of its repository, and of the program itself.

`EMBER_BENCH_ALPACA_EVAL` names the program; `.ci/run` makes an environment with it.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, command, here
from tests.support.workspace import Workspace

__all__ = ["command", "here"]

PROGRAM = os.environ.get("EMBER_BENCH_ALPACA_EVAL")
ANNOTATOR = "weighted_alpaca_eval_gpt4_turbo"


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_recorded_annotations_give_the_published_win_rate(
    data_dir: Path, command: Command, here: Workspace
) -> None:
    folder, model = data_dir / "alpaca_eval", "vicuna-7b"
    items = lines(folder / "items.jsonl.gz")
    outputs = {row["id"]: row["output"] for row in lines(folder / f"outputs__{model}.jsonl.gz")}
    annotations = [
        {
            "instruction": items[row["id"]]["instruction"],
            "dataset": items[row["id"]]["dataset"],
            "output_1": items[row["id"]]["reference_output"],
            "generator_1": "gpt4_1106_preview",
            "output_2": outputs[row["id"]],
            "generator_2": model,
            "annotator": ANNOTATOR,
            "preference": row["preference"],
        }
        for row in lines(folder / f"judge__{model}.jsonl.gz")
    ]
    here.write(f"results/{model}/{ANNOTATOR}/annotations.json", json.dumps(annotations))
    with (folder / "leaderboard.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    row = next(row for row in table if model in row[:2])
    published = float(row[table[0].index("win_rate")])
    ran = command("import", "alpaca-eval", "results", "--name", "judged")
    assert ran.status == 0, ran.err
    assert f"805 items, 805 answers of 1 model: {model}" in ran.err
    (cell,) = command("run", "judged", "--no-mlflow", "--quiet", "--json").json["cells"]
    assert 100 * cell["accuracy"]["value"] == pytest.approx(published, abs=1e-6)


ROW = {"instruction": "Say a", "output_1": "b", "output_2": "a", "generator_2": "mine"}


class TestFiles:
    def test_outputs_that_were_not_compared_are_there_without_a_score(
        self, command: Command, here: Workspace
    ) -> None:
        row = ROW | {"annotator": "j", "preference": 1.5}
        here.write("mine/annotations.json", json.dumps([row]))
        told = [{"instruction": f"Say {x}", "output": x, "generator": "mine"} for x in "abc"]
        here.write("mine/model_outputs.json", json.dumps(told))
        ran = command("import", "alpaca-eval", "mine")
        assert "3 items, 3 answers of 1 model: mine" in ran.err
        assert "1 of the answers have a score; mean 0.500" in ran.err

    def test_one_of_several_annotators_is_chosen(self, command: Command, here: Workspace) -> None:
        rows = [
            ROW | {"annotator": name, "preference": value}
            for name, value in (("first", 2.0), ("second", 1.0))
        ]
        here.write("annotations.json", json.dumps(rows))
        both = ("import", "alpaca-eval", "annotations.json")
        ran = command(*both, "--name", "one")
        assert "preferences are those of first, and not of second" in ran.err
        assert "mean 1.000" in ran.err
        assert "mean 0.000" in command(*both, "--name", "two", "--scorer", "second").err
        assert "did you mean 'second'" in command(*both, "--scorer", "secnd").err

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({}, "expected a list"),
            ([{"a": 1}], "record 0: expected an annotation or an output with an instruction"),
            ([{"instruction": "x"}], "record 0: expected `output`"),
            ([ROW | {"preference": 3}], "record 0: expected a preference from 1 to 2, found 3"),
        ],
    )
    def test_strangers_are_told(
        self, command: Command, here: Workspace, content: Any, message: str
    ) -> None:
        here.write("annotations.json", json.dumps(content))
        ran = command("import", "alpaca-eval", "annotations.json")
        assert (ran.status, message in ran.err) == (2, True), ran.err


class Judge(BaseHTTPRequestHandler):
    """An annotator that prefers `good` with a probability of 1 / (1 + exp(-2.25))."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        good = re.search(r'"(?:model|model_identifier)": "(\w)",\s*"\w+": "+\s*a good', text)
        assert good is not None, text
        tokens = [(good[1], -0.1), ("M" if good[1] == "m" else "m", -2.35)]
        tops = [{"token": name, "logprob": value, "bytes": None} for name, value in tokens]
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": good[1]},
            "logprobs": {"content": [tops[0] | {"top_logprobs": tops}]},
        }
        usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
        encoded = json.dumps(
            {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"],
             "choices": [choice], "usage": usage}
        ).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


@pytest.mark.extra
@pytest.mark.slow
@pytest.mark.skipif(
    PROGRAM is None, reason="needs alpaca_eval: set EMBER_BENCH_ALPACA_EVAL to the program"
)
def test_annotations_that_alpaca_eval_made(command: Command, here: Workspace, address: str) -> None:
    for name, better in (("mine", {3}), ("ref", {0, 1, 2})):
        rows = [
            {
                "instruction": f"Say {i}",
                "dataset": "d",
                "output": "a good one" if i in better else "poor",
                "generator": name,
            }
            for i in range(4)
        ]
        here.write(f"{name}.json", json.dumps(rows))
    subprocess.run(
        [
            str(PROGRAM), "--model_outputs", "mine.json", "--reference_outputs", "ref.json",
            "--annotators_config", ANNOTATOR, "--output_path", "out", "--caching_path", "None",
            "--precomputed_leaderboard", "None", "--is_overwrite_leaderboard", "True",
            # The default metric downloads the difficulties of AlpacaEval's own instructions.
            "--fn_metric", "get_winrate", "--metric_kwargs", "{}", "--sort_by", "win_rate",
        ],
        cwd=here.root, check=True, capture_output=True, timeout=240,
        env={**os.environ, "OPENAI_API_KEY": "none", "OPENAI_API_BASE": address,
             "OPENAI_BASE_URL": address, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    with (here.root / f"out/{ANNOTATOR}/leaderboard.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    ran = command("import", "alpaca-eval", "out", "--name", "judged")
    assert ran.status == 0, ran.err
    assert "4 items, 4 answers of 1 model: mine" in ran.err
    found = re.search(r"mean ([\d.]+)", ran.err)
    assert found is not None
    assert 100 * float(found[1]) == pytest.approx(float(row["win_rate"]), abs=0.05)
