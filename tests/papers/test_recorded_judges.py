"""Recorded judges score to the numbers of their sources, by cards and evaluators alone.

LLMBar: Zeng et al. 2023, "Evaluating large language models at evaluating instruction following";
PandaLM: Wang et al. 2023, whose test set has three human labels for each pair of responses.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ember_bench.experiment.prepare import prepare
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards, builtin_root
from tests.support.workspace import Ran, Workspace, run, single

pytestmark = pytest.mark.slow

LLMBAR = {
    "purpose": "Pairs of outputs; the label is the number of the better one.",
    "source": {"data": "llmbar/items.jsonl"},
    "available_from": {
        "repository": "https://github.com/princeton-nlp/LLMBar",
        "commit": "900616bff90b6c6c8e1681f7d079250637c55992",
    },
    "fields": {"id": ["set", "i"], "question": "input", "target": "label", "category": "set"},
    "evaluator": "exact_match",
}
PAIRS = {
    "purpose": "Pairs of responses; the labels are the number of the better one, or 0 for a tie.",
    "source": {"data": "human_agreement/items.jsonl.gz"},
    "available_from": {
        "repository": "https://github.com/WeOpenML/PandaLM",
        "commit": "3871806e72b4832f815ecafd24d3503c73403f48",
    },
    "evaluator": "exact_match",
}
PEOPLE = ["annotator1", "annotator2", "annotator3"]


@pytest.fixture
def lab(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for name in ("llmbar", "human_agreement"):
        if not (data_dir / name).is_dir():
            pytest.skip(f"needs {data_dir / name}")
    monkeypatch.setenv("EMBER_BENCH_DATA", str(data_dir))
    return Workspace(tmp_path)


def card(workspace: Workspace, kind: str, name: str, fields: Mapping[str, Any]) -> None:
    file = f"registry/{kind}/{name.replace(':', '-')}.yaml"
    workspace.write(file, {"name": name, **fields})


def ran(workspace: Workspace, data_dir: Path, **grid: Any) -> Ran:
    workspace.grid(**grid)
    cards = Cards([builtin_root(), workspace.root / "registry"])
    service = ModelService(ModelRegistry.from_cards(cards))
    experiment = prepare(workspace.root / "grid.yaml", cards, service, data_dir=data_dir)
    return run(experiment, workspace.root / "results")


def recorded(workspace: Workspace, name: str, models: list[str], **fields: Any) -> None:
    card(workspace, "models", f"recorded:{name}", {"models": models, **fields})


ORDERS = ("as_given", "swapped")
PROMPTS = {"GPT-4": 15, "ChatGPT": 12, "ChatGPT-0301": 10, "Falcon": 10, "LLaMA2": 10, "PaLM2": 8}
"""The number of prompts that each judge was asked with: 65, for five sets each."""


@pytest.mark.parametrize("judge", PROMPTS)
def test_every_prompt_and_set_of_llmbar(judge: str, lab: Workspace, data_dir: Path) -> None:
    right: dict[tuple[str, ...], list[bool]] = defaultdict(list)
    first: dict[tuple[str, str], list[float]] = defaultdict(list)
    with gzip.open(data_dir / "llmbar" / "verdicts.jsonl.gz", "rt") as file:
        for record in map(json.loads, file):
            for order in ORDERS if record["judge"] == judge else ():
                if (said := record[order]) is not None:  # else no verdict could be read
                    place = record["prompt"], order
                    right[*place, record["set"]].append(said == str(record["label"]))
                    ahead = (said == "1") == (order == "as_given")
                    first[place].append(2 * ahead - 1)
    card(lab, "datasets", "llmbar_verdicts", LLMBAR)
    card(lab, "evaluators", "says_1", {"kind": "by_answer", "scores": {"1": 1, "2": 0}})
    prompts = sorted({prompt for prompt, _ in first})
    for order in ORDERS:
        fields = {"item": ["set", "i"], "answer": order, "model": "prompt"}
        recorded(lab, order, prompts, fields=fields, files="llmbar/verdicts.jsonl.gz",
                 where={"judge": judge})  # fmt: skip
    models = [f"recorded:{order}/{prompt}" for order in ORDERS for prompt in prompts]
    found = ran(
        lab, data_dir,
        datasets=[{"name": "llmbar_verdicts", "also": ["says_1"]}],
        architectures=[single(models, label="{model}")],
        too_few_samples="left_out",
    )  # fmt: skip
    cells = {cell.label.removeprefix("recorded:"): cell for cell in found.summary.cells}
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for (prompt, order, name), flags in right.items():
        accuracy = cells[f"{order}/{prompt}"].categories[name].value
        assert accuracy == pytest.approx(sum(flags) / len(flags)), (prompt, order, name)
        sums[prompt, name] += 50 * accuracy
    assert len(sums) == 5 * PROMPTS[judge]
    for (prompt, order), signs in first.items():  # the bias towards the output shown first
        mean = cells[f"{order}/{prompt}"].further["says_1"].mean.value
        towards = 2 * mean - 1 if order == "as_given" else 1 - 2 * mean
        assert towards == pytest.approx(sum(signs) / len(signs))
    if judge == "GPT-4":  # the paper's best row
        published = {"Natural": 96.0, "Neighbor": 85.4, "GPTInst": 89.7, "GPTOut": 72.3,
                     "Manual": 83.7}  # fmt: skip
        row = {name: round(sums["Metrics_Reference", name], 1) for name in published}
        assert row == published


def test_llmbar_has_325_cells() -> None:
    assert 5 * sum(PROMPTS.values()) == 325


class TestPandaLM:
    def test_the_annotators_agree_as_published(self, lab: Workspace, data_dir: Path) -> None:
        for person in PEOPLE[:2]:
            fields = {"id": "idx", "question": "cmp_key", "target": person}
            card(lab, "datasets", f"of_{person}", PAIRS | {"fields": fields})
        fields = {"item": "idx", "answer": "{model}"}
        recorded(lab, "people", PEOPLE[1:], fields=fields, files="human_agreement/items.jsonl.gz")
        found = ran(
            lab, data_dir,
            datasets=[{"name": f"of_{person}", "metrics": ["cohens_kappa"]}
                      for person in PEOPLE[:2]],
            architectures=[single([f"recorded:people/{person}" for person in PEOPLE[1:]],
                                  label="{model}")],
        )  # fmt: skip
        kappas = {
            (cell.dataset, cell.label.rpartition("/")[2]): round(
                cell.metrics["cohens_kappa"].value, 4
            )
            for cell in found.summary.cells
            if cell.accuracy.value < 1
        }
        assert kappas == {
            ("of_annotator1", "annotator2"): 0.8520,
            ("of_annotator1", "annotator3"): 0.8789,
            ("of_annotator2", "annotator3"): 0.8617,
        }

    @pytest.mark.parametrize(
        ("judge", "agreement", "kappa"),
        [("gpt-3.5-turbo", 0.7107, 0.496), ("pandalm-7b", 0.6677, 0.435)],
    )
    def test_the_judges_agree_with_most_people(
        self, judge: str, agreement: float, kappa: float, lab: Workspace, data_dir: Path
    ) -> None:
        fields = {"id": "idx", "question": "cmp_key", "target": PEOPLE[0], "metadata": PEOPLE}
        card(lab, "datasets", "pairs", PAIRS | {"fields": fields})
        scores = {"1": 1, "0": 0.5, "2": 0}
        card(lab, "evaluators", "verdict", {"kind": "by_answer", "scores": scores, "others": 0.5})
        card(lab, "evaluators", "people", {"kind": "labelled", "label": PEOPLE, "scores": scores})
        recorded(lab, "judges", [judge], fields={"item": "idx", "answer": "result"},
                 files="human_agreement/judge__{model}.jsonl.gz")  # fmt: skip
        found = ran(
            lab, data_dir,
            datasets=[{"name": "pairs", "evaluator": "verdict", "labels": "people"}],
            architectures=[single(f"recorded:judges/{judge}")],
        )  # fmt: skip
        (check,) = found.summary.checks
        assert check.outputs == 999
        assert [sum(row) for row in check.confusion] == [472, 105, 422]  # labels 2, 0 and 1
        assert round(check.agreement.value, 4) == agreement
        assert round(check.kappa.value, 3) == kappa
