from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from ember_bench.datasets import load_dataset
from ember_bench.datasets.cards import DatasetCard
from ember_bench.datasets.records import Records
from ember_bench.datasets.sources import Opening, record_source, record_sources
from ember_bench.errors import ConfigError
from ember_bench.registry import Cards

CODE = """\
from pydantic import BaseModel
from ember_bench.datasets import Opening, Records, record_source

class Count(BaseModel, extra="forbid"):
    upto: int

@record_source("counting", Count)
def open_counting(count: Count, opening: Opening) -> Records:
    "Numbers and their doubles."
    rows = ((n, {"q": f"{n} * 2 = ?", "a": 2 * n}) for n in range(1, count.upto + 1))
    return Records("counting", "1", rows, "record", lambda n, message: opening.problem(message))
"""
CARD = """\
name: counted
purpose: x
source: {counting: {upto: 3}}
fields: {question: q, target: a}
evaluator: exact_match
"""


_NUMBERS = count()


@pytest.fixture
def name() -> str:
    """A name that no other test has registered in this process."""
    return f"counting{next(_NUMBERS)}"


@pytest.fixture
def cards(tmp_path: Path, name: str) -> Cards:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "code.py").write_text(CODE.replace('"counting"', f'"{name}"'))
    (tmp_path / "datasets" / "counted.yaml").write_text(CARD.replace("counting", name))
    return Cards([tmp_path])


def test_a_source_of_a_users_own_is_one_registered_function(cards: Cards) -> None:
    dataset = load_dataset("counted", cards)
    assert [item.target for item in dataset] == ["2", "4", "6"]
    assert dataset.revision == "1"
    assert "code.py" in {file.rpartition("/")[2] for file in dataset.code}


def test_its_options_are_checked_at_their_place(cards: Cards, tmp_path: Path, name: str) -> None:
    file = tmp_path / "datasets" / "counted.yaml"
    file.write_text(CARD.replace("upto: 3", "upto: many").replace("counting", name))
    with pytest.raises(ConfigError) as caught:
        load_dataset("counted", Cards([tmp_path]))
    assert str(caught.value).startswith(f"{file}:3:22: source.{name}.upto: ")


def test_it_is_in_the_cards_schema(cards: Cards, name: str) -> None:
    cards.all("datasets")
    definition = DatasetCard.model_json_schema()["$defs"]["Source"]["properties"][name]
    assert definition["description"] == "Numbers and their doubles."


def test_built_in_sources_come_first() -> None:
    assert list(record_sources())[:3] == ["hub", "file", "data"]


@pytest.mark.parametrize("taken", ["hub", "generated"])
def test_a_name_that_is_taken_is_refused(taken: str) -> None:
    def open_mine(options: str, opening: Opening) -> Records:
        raise NotImplementedError

    with pytest.raises(ConfigError, match=f"record source '{taken}' is already registered"):
        record_source(taken, str)(open_mine)
