"""A Python function as an evaluator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import Score, evaluator, load_evaluator
from ember_bench.evaluators.kinds import KINDS, evaluator_identity
from ember_bench.registry import Cards

ITEM = Item("1", "?", "Paris")


@pytest.fixture(autouse=True)
def _no_kind_stays() -> Iterator[None]:
    before = dict(KINDS)
    yield
    KINDS.clear()
    KINDS.update(before)


def load(folder: Path, code: str, card: str) -> Any:
    (folder / "evaluators").mkdir(exist_ok=True)
    (folder / "mine.py").write_text(f"from ember_bench.evaluators import evaluator\n\n{code}")
    (folder / "evaluators" / "mine.yaml").write_text(card)
    return load_evaluator("mine", Cards([folder]))


CODE = """
@evaluator("test_mentions")
def mentions(item, output, times: int = 1):
    return output.count(item.target) >= times
"""


def test_a_function_of_a_registry_is_a_kind_and_its_parameters_are_a_cards(tmp_path: Path) -> None:
    mine = load(tmp_path, CODE, "kind: test_mentions\ntimes: 2\n")
    assert mine.evaluate(ITEM, "Paris").outcome == "wrong"
    assert mine.evaluate(ITEM, "Paris, Paris").outcome == "correct"


def test_its_identity_covers_parameters_version_and_code(tmp_path: Path) -> None:
    card = "kind: test_mentions\n"
    found = [evaluator_identity(load(tmp_path, CODE, card))]
    found.append(evaluator_identity(load(tmp_path, CODE, f"{card}times: 2\n")))
    found.append(evaluator_identity(load(tmp_path, CODE.replace(">=", "=="), card)))
    newer = CODE.replace('"test_mentions"', '"test_mentions", version=2')
    found.append(evaluator_identity(load(tmp_path, newer, card)))
    assert len(set(found)) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: test_mentions\ntimes: often", ":2:1: times: "),
        ("kind: test_mentions\ntime: 2", ":2:1: unknown field 'time'; did you mean 'times'"),
    ],
)
def test_a_mistake_in_its_card_is_reported(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"mine.yaml{message}"):
        load(tmp_path, CODE, text)


@pytest.mark.parametrize(
    ("returned", "score"),
    [
        (True, Score(1.0, "x", "t: 1")),
        (0.25, Score(0.25, "x", "t: 0.25")),
        (None, Score(0.0, None, "t: no answer could be read.")),
        (Score(0.5, "y", "half"), Score(0.5, "y", "half")),
    ],
)
def test_what_it_returns_is_the_score(returned: Any, score: Score) -> None:
    @evaluator("test_returns")
    def returns(item: Item, output: str) -> Any:
        return returned

    assert returns("t").evaluate(ITEM, " x ") == score


def test_a_score_outside_its_range_is_refused() -> None:
    @evaluator("test_seven")
    def seven(item: Item, output: str) -> float:
        return 7.0

    with pytest.raises(ValueError, match=r"t: a score lies in \[0, 1\], not 7"):
        seven("t").evaluate(ITEM, "x")


@pytest.mark.parametrize(
    "function",
    [
        lambda item: True,
        lambda item, output, *more: True,
        lambda item, output, **more: True,
        lambda item, output, name: True,
    ],
)
def test_a_function_that_cannot_be_called_so_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match=r"a function that scores takes \(item, output\)"):
        evaluator("test_refused")(function)


ANNOTATED = """
from __future__ import annotations

from typing import TYPE_CHECKING

from ember_bench.evaluators import evaluator

if TYPE_CHECKING:
    from ember_bench.datasets import Item


@evaluator("test_annotated")
def annotated(item: Item, output: str, times: int = 1) -> bool:
    return output.count(item.target) >= times
"""


def test_the_item_may_be_annotated_for_type_checkers_alone(tmp_path: Path) -> None:
    (tmp_path / "evaluators").mkdir()
    (tmp_path / "annotated.py").write_text(ANNOTATED)
    (tmp_path / "evaluators" / "mine.yaml").write_text("kind: test_annotated\ntimes: 2\n")
    mine = load_evaluator("mine", Cards([tmp_path]))
    assert mine.evaluate(ITEM, "Paris").outcome == "wrong"
