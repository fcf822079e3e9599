"""The papers' grids with real models: planned within their budgets, and run against a server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from ember_bench.experiment.edits import Edits
from ember_bench.experiment.forecast.calls import forecast
from ember_bench.experiment.prepare import prepare
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards, builtin_root
from tests.papers.runs import PAPERS
from tests.support.loopback import Asked
from tests.support.openai_server import Answer, OpenAIServer
from tests.support.workspace import run

LIVE: Final = sorted(path.parent.name for path in PAPERS.glob("*/live.yaml"))
QUESTION: Final = "Ann has 12 apples and buys 7 more on each of three days. " * 4
# What stands for the records of datasets that are fetched: one of the length of a real one.
RECORDS: Final[dict[str, dict[str, Any]]] = {
    "mmlu": {"question": QUESTION, "choices": list("abcd"), "answer": 1, "subject": "s"},
    "gsm8k": {"question": QUESTION, "answer": "#### 33"},
    "math_500": {"unique_id": "", "problem": QUESTION, "answer": "33", "subject": "s", "level": 1},
    "alpaca_eval_2": {"instruction": QUESTION, "output": 6 * QUESTION, "dataset": "d"},
    "truthfulqa": {
        "question": QUESTION,
        "mc1_targets": {"choices": list("abcd"), "labels": [1, 0, 0, 0]},
    },
    "gpqa_diamond": {
        "Record ID": "",
        "Question": QUESTION,
        "High-level domain": "d",
        "Correct Answer": "a",
        **{f"Incorrect Answer {n}": f"wrong {n}" for n in (1, 2, 3)},
    },
}  # fmt: skip


def test_the_papers_that_ask_for_it_have_one() -> None:
    assert {name.partition("_")[0] for name in LIVE} == {
        "davis2024", "chen2024", "du2023", "wang2024", "saadfalcon2024", "shao2024",
    }  # fmt: skip


def records(name: str, items: int) -> list[dict[str, Any]]:
    """Return records of a dataset, each another one."""
    found = []
    for number in range(items):
        record = dict(RECORDS[name])
        for key, value in record.items():
            if isinstance(value, str) and (not value or value == QUESTION):
                record[key] = f"{value}({number})"
        found.append(record)
    return found


def registry(folder: Path, name: str, base_url: str) -> Cards:
    """Return the cards of a paper, with models that the server answers for, and local records."""
    builtin = Cards([builtin_root()])
    text = (PAPERS / name / "live.yaml").read_text(encoding="utf-8")
    for model in sorted(set(re.findall(r"\b(?:openai|openrouter|anthropic):[\w./-]*[\w]", text))):
        card = {**builtin.get("models", model).document.data, "override": True, "name": model}
        card["provider"] = {"base_url": base_url, "default_api_key": "none"}
        if model.startswith("anthropic:"):  # the server speaks one wire format
            card["provider"]["name"] = "openai"
            card.pop("options", None)
        write(folder / "models" / f"{model.replace('/', '-').replace(':', '-')}.yaml", card)
    asked = {entry["name"]: entry.get("limit") for entry in yaml.safe_load(text)["datasets"]}
    for dataset in RECORDS.keys() & asked.keys():
        card = {**builtin.get("datasets", dataset).document.data, "override": True}
        card |= {"name": dataset, "source": {"records": records(dataset, asked[dataset])}}
        card.pop("sha256", None)
        write(folder / "datasets" / f"{dataset}.yaml", card)
    return Cards([builtin_root(), PAPERS / name / "registry", folder])


def write(path: Path, card: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(card), encoding="utf-8")


def reply(asked: Asked) -> Answer:
    """Answer any of the prompts of the grids' networks."""
    prompt = asked.body["messages"][-1]["content"]
    if "outline of an article" in prompt:
        return Answer("# History\n# Use")
    if "perspectives" in prompt:
        return Answer("1. A historian\n2. An engineer")
    return Answer("Ranking: 1 > 2\nScore: 7\nVerdict: yes\nThe answer is \\boxed{33}.\nAnswer: A")


# One in every run of the tests, as they are alike.
@pytest.mark.parametrize(
    "name",
    [n if n == "du2023_debate" else pytest.param(n, marks=pytest.mark.slow) for n in LIVE],
)
def test_it_is_planned_and_runs(name: str, tmp_path: Path) -> None:
    grid = PAPERS / name / "live.yaml"
    with OpenAIServer(reply) as server:
        cards = registry(tmp_path / "registry", name, server.base_url)
        models = ModelRegistry.from_cards(cards)
        planned = forecast(grid, cards, models, edits=Edits(limit=2))
        assert server.count == 0
        assert planned.expected_usd is not None
        service = ModelService(models)
        ran = run(prepare(grid, cards, service, edits=Edits(limit=2)), tmp_path / "results")
        assert server.count == ran.summary.run.calls_made > 0
    for cell in ran.summary.cells:
        assert cell.outcomes["error"] == cell.outcomes["skipped"] == 0, cell.name
    assert (ran.summary.run.spend_usd or 0) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", LIVE)
def test_its_budget_is_enough(name: str, tmp_path: Path) -> None:
    grid = PAPERS / name / "live.yaml"
    budget = yaml.safe_load(grid.read_text(encoding="utf-8"))["budget_usd"]
    cards = registry(tmp_path / "registry", name, "http://127.0.0.1:9/v1")
    planned = forecast(grid, cards, ModelRegistry.from_cards(cards))
    assert planned.expected_usd is not None
    # Answers may be several times as long as the plan takes them to be.
    assert 2 * planned.expected_usd.high < budget < 20 * planned.expected_usd.high
