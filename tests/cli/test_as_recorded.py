"""Runs that are scored as their recordings were."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ember_bench.datasets import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import load_evaluator
from tests.cli.conftest import Command
from tests.support.workspace import Workspace, single


class TestCards:
    def load(self, here: Workspace, recorded: str) -> Any:
        card = {"name": "theirs", "kind": "as_recorded", "purpose": "T.", "recorded": recorded}
        here.write("registry/evaluators/theirs.yaml", card)
        return load_evaluator("theirs", here.cards())

    def test_the_set_must_be_there_and_have_scores(self, here: Workspace) -> None:
        here.tape({"1": ["2"]})
        here.model("counted:a")
        with pytest.raises(ConfigError, match=r"theirs.yaml:4:\d+: unknown .*recorded:tape"):
            self.load(here, "recorded:tap")
        with pytest.raises(ConfigError, match="expected a recorded set, found 'counted:a'"):
            self.load(here, "counted:a")
        with pytest.raises(ConfigError, match="recorded:tape has no scores; its card names"):
            self.load(here, "recorded:tape").check_item(Item("1", "1 + 1?", "2"))


def evaluator(here: Workspace, recorded: str) -> None:
    card = {"name": "theirs", "kind": "as_recorded", "purpose": "T.", "recorded": recorded}
    here.write("registry/evaluators/theirs.yaml", card)


def test_both_score_one_run_and_disagreement_is_listed(command: Command, here: Workspace) -> None:
    here.sums(6)
    here.tape({})
    rows = [
        {"id": f"sums-{i}", "o": f"Answer: {8 * i if i % 2 else -1}", "c": i < 4} for i in range(6)
    ]
    here.write("registry/models/tape.json", json.dumps(rows))
    here.edit("registry/models/tape.yaml", "answer: output", "answer: o\n  correct: c")
    evaluator(here, "recorded:tape")
    here.grid(architectures=[single("recorded:tape/m")])
    assert command("run", "grid.yaml", "--no-mlflow").status == 0
    again = command("rescore", "grid.yaml", "--evaluator", "theirs", "--as", "theirs")
    assert again.status == 0, again.err
    compared = command("compare", "trip", "theirs", "--anyway")
    for item in ("sums-0", "sums-2", "sums-5"):
        assert item in compared.out
    for item in ("sums-1", "sums-3", "sums-4"):
        assert item not in compared.out


def test_routerbench_is_replayed_from_answers_whose_questions_are_not_public(
    here: Workspace, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBER_BENCH_DATA", str(data_dir))
    file = "routing/routerbench_mini_v5.predictions.csv.gz"
    strategies = ["always_cheap", "always_strong", "global_oracle"]
    here.write(
        "registry/models/router.yaml",
        {
            "name": "recorded:router",
            "files": file,
            "fields": {"item": "canonical_id", "model": "strategy", "answer": "answer",
                       "correct": "correct", "cost": "cost", "latency": "latency_ms",
                       "input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"},
            "scale": {"latency": 0.001},
            "models": strategies,
        },
    )  # fmt: skip
    with gzip.open(data_dir / file, "rt", newline="") as opened:
        ids = dict.fromkeys(row["canonical_id"] for row in csv.DictReader(opened))
    lines = "".join(json.dumps({"id": name}) + "\n" for name in ids)
    here.write("registry/datasets/router.jsonl", lines)
    here.write(
        "registry/datasets/router.yaml",
        {"name": "router", "purpose": "Ids.", "source": {"file": "router.jsonl"},
         "fields": {"id": "id", "question": "id", "target": "id"}, "answer_format": "exact",
         "evaluator": "theirs"},
    )  # fmt: skip
    evaluator(here, "recorded:router")
    models = [f"recorded:router/{name}" for name in strategies]
    here.grid(datasets=["router"], architectures=[single(models)])
    with (data_dir / file.replace("predictions.csv.gz", "test_summary_all_slices.csv")).open() as f:
        rows = [row for row in csv.DictReader(f) if row["slice_type"] == "all"]
    published = {row["strategy"]: row for row in rows}
    for name, cell in zip(strategies, here.run().summary.cells, strict=True):
        row = published[name]
        assert cell.accuracy is not None
        assert cell.cost_per_item is not None
        assert cell.latency_seconds is not None
        assert cell.accuracy.value == pytest.approx(float(row["accuracy"]), abs=1e-12)
        assert 800 * cell.cost_per_item.value == pytest.approx(float(row["total_cost"]), abs=1e-6)
        seconds = float(row["avg_latency_ms"]) / 1000
        assert cell.latency_seconds.value == pytest.approx(seconds, abs=1e-5)


def test_a_text_of_thoughts_alone_has_its_verdict(command: Command, here: Workspace) -> None:
    here.sums(2)
    here.tape({})
    rows = [
        {"id": f"sums-{i}", "o": "below.\n[/THOUGHT]" if i else "", "c": bool(i)} for i in range(2)
    ]
    here.write("registry/models/tape.json", json.dumps(rows))
    here.edit("registry/models/tape.yaml", "answer: output", "answer: o\n  correct: c")
    evaluator(here, "recorded:tape")
    here.edit("registry/datasets/sums.yaml", "evaluator: numeric_match", "evaluator: theirs")
    here.grid(architectures=[single("recorded:tape/m")])
    ran = command("run", "grid.yaml", "--no-mlflow", "--json", "--quiet")
    assert ran.status == 0, ran.err
    (cell,) = ran.json["cells"]
    assert (cell["outcomes"]["error"], cell["accuracy"]["value"]) == (0, 0.5)
