"""What is written of logs that are not whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from ember_bench.datasets import load_dataset
from ember_bench.errors import ConfigError
from ember_bench.interop.found import Found, FoundAnswer, FoundItem
from ember_bench.registry import Cards
from ember_bench.running.imports import summary, write_import


def found(*answers: FoundAnswer, targets: tuple[str, ...]) -> Found:
    items = {str(n): FoundItem(str(n), f"q{n}", target) for n, target in enumerate(targets)}
    return Found("a log", items, list(answers))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_answers_without_scores_need_right_answers(tmp_path: Path) -> None:
    log = found(FoundAnswer("m", "1", 0, "2"), targets=("2", ""))
    message = r"no answer has a score, and 1 of the 2 items have no right answer, such as '1'"
    with pytest.raises(ConfigError, match=message):
        write_import(log, "mine", Cards())
    assert not list(tmp_path.iterdir())


def test_an_unknown_right_answer_is_said_and_is_not_the_item_s_id() -> None:
    log = found(FoundAnswer("m", "1", 0, "2", score=1.0), targets=("2", ""))
    assert any("1 of the 2 items have no right answer" in line for line in summary(log))
    write_import(log, "mine", Cards())
    items = [(item.id, item.target) for item in load_dataset("mine", Cards())]
    assert items == [("0", "2"), ("1", "unknown")]


def test_models_with_fewer_answers_than_the_grid_has_epochs_are_said() -> None:
    answers = [FoundAnswer("m", "0", k, "2") for k in range(2)] + [FoundAnswer("m", "1", 0, "2")]
    whole = found(*answers[:2], targets=("2",))
    assert not any(line.startswith("note") for line in summary(whole))
    lines = summary(found(*answers, targets=("2", "3")))
    assert any("1 to 2 answers to an item" in line for line in lines)
