"""Suites: datasets that are reported as one, such as the tasks of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.models.recorded.data_dir import Text

if TYPE_CHECKING:
    from ember_bench.registry import Card, Cards

Strata = Literal["dataset", "category"]


class SuiteCard(BaseModel):
    """A suite: datasets with macro and micro averages over them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text
    """The suite's name in grids."""
    purpose: Text
    """Its purpose, in one line."""
    datasets: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Names of cards in `registry/datasets/`."""
    strata: Strata = "dataset"
    """What the macro average gives equal weights to: each dataset, or each category of the items,
    such as the subjects of MMLU."""
    citation: Text | None = None
    """The publication that reports these averages."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Datasets that are reported as one.

    Attributes:
        name: Its name.
        datasets: Names of its datasets.
        strata: What weighs the same in the macro average.
    """

    name: str
    datasets: tuple[str, ...]
    strata: Strata


def load_suite(suite: str | Card, cards: Cards) -> Suite:
    """Return the suite that a card describes.

    Args:
        suite: The name of a card, or a card.
        cards: Where to find the cards.

    Raises:
        UnknownNameError: if there is no such card.
        ConfigError: with every mistake in the card: a dataset that is not there, or twice.
    """
    card = cards.get("suites", suite) if isinstance(suite, str) else suite
    document = card.document
    read = document.parse(SuiteCard)
    problems = []
    for index, name in enumerate(read.datasets):
        at = document.at("datasets", index)
        if name in read.datasets[:index]:
            problems.append(document.problem(f"duplicate dataset {name!r}", "datasets", index))
        try:
            cards.get("datasets", name, at)
        except UnknownNameError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    return Suite(read.name, read.datasets, read.strata)
