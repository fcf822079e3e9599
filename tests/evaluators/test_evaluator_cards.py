"""Cards of evaluators: what they give, and what is said of mistakes in them."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from ember_bench.answers.formats import _FORMATS
from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.evaluators import NumericMatch, load_evaluator
from ember_bench.evaluators.kinds import KINDS
from ember_bench.registry import Cards, builtin_root
from tests.identity.digests import OTHERS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def read(folder: Path, text: str) -> object:
    (folder / "evaluators").mkdir()
    (folder / "evaluators" / "mine.yaml").write_text(text)
    return load_evaluator("mine", Cards([folder]))


def test_every_built_in_card_loads() -> None:
    cards = Cards([builtin_root()])
    # Those of other harnesses have the package's version in their identity: tests/datasets.
    names = [name for name in cards.all("evaluators") if name not in OTHERS]
    evaluators = [load_evaluator(name, cards) for name in names]
    assert len({evaluator.identity for evaluator in evaluators}) == len(evaluators) > 5
    for name, card in cards.all("evaluators").items():
        assert card.document.data["purpose"]
        assert card.document.path.stem == name


def test_a_card_gives_its_kind_its_parameters(tmp_path: Path) -> None:
    mine = read(tmp_path, "kind: numeric_match\npurpose: x\nrelative_tolerance: 1e-2\n")
    assert mine == NumericMatch("mine", relative_tolerance=Decimal("0.01"))


MISTAKES = {
    "purpose: x": ":1:1: kind: expected one of .*exact_match, .*multiple_choice, numeric_match",
    "kind: [exact_match]": ":1:1: kind: expected one of .*exact_match",
    "kind: exact_mach": ":1:1: unknown evaluator kind 'exact_mach'; did you mean 'exact_match'",
    "kind: exact_match\nignore_cse: true": (
        ":2:1: unknown field 'ignore_cse'; did you mean 'ignore_case'"
    ),
    "kind: exact_match\nignore_case: sometimes": ":2:1: ignore_case: .*'sometimes'",
    "kind: numeric_match\nabsolute_tolerance: -1": ":2:1: absolute_tolerance: .*-1",
    "kind: numeric_match\nabsolute_tolerance: .nan": ":2:1: absolute_tolerance: ",
    "kind: numeric_match\nabsolute_tolerance: a little": ":2:1: absolute_tolerance: ",
    "kind: exact_match\nanswer_format: numbr": (
        ":2:1: unknown answer format 'numbr'; did you mean 'number'"
    ),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_a_mistake_is_reported_where_it_stands(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"mine.yaml{message}"):
        read(tmp_path, text)


def test_an_unknown_card_lists_near_matches() -> None:
    with pytest.raises(UnknownNameError, match=r"'numeric_mach'.*'numeric_match'"):
        load_evaluator("numeric_mach", Cards([builtin_root()]))


CODE = """
from dataclasses import dataclass

from ember_bench.evaluators import Score, evaluator
from ember_bench.operators import answer_format


@answer_format("test_shout", version=2)
def shout(text, choices):
    return text.strip().upper() or None


@evaluator("test_length", version=4)
@dataclass(frozen=True)
class Length:
    name: str
    most: int = 10

    @property
    def identity(self) -> str:
        return f"test_length@4 {self.most}"

    def evaluate(self, item, output):
        return Score(float(len(output) <= self.most), output, "by its length")
"""


def test_code_beside_cards_adds_kinds_and_formats(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    try:
        mine = read(tmp_path, "kind: test_length\nmost: 3\n")
        assert mine.evaluate(Item("1", "?", "x"), "four").outcome == "wrong"
        (tmp_path / "evaluators" / "loud.yaml").write_text(
            "kind: exact_match\nanswer_format: test_shout\n"
        )
        loud = load_evaluator("loud", Cards([tmp_path]))
        assert loud.evaluate(Item("1", "?", "Paris"), "paris").outcome == "correct"
        assert loud.identity.endswith(" test_shout@2")
    finally:
        KINDS.pop("test_length", None)
        _FORMATS.pop("test_shout", None)


def test_importing_the_package_imports_no_kind() -> None:
    code = (
        "import sys, ember_bench.evaluators as e; "
        "assert 'pydantic' not in sys.modules and 'ember_bench.operators' not in sys.modules; "
        "assert all(getattr(e, name) for name in e.__all__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
