"""Tables as texts, before the terminal, Markdown or a page draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ember_bench.report.columns import Place


@dataclass(frozen=True, slots=True)
class Row:
    """One system, as a table shows it.

    Attributes:
        label: Its label.
        notes: Facts needed to read its numbers: an oracle, unfinished, failures.
        values: Its texts, one for each column.
    """

    label: str
    notes: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The systems on one dataset.

    Attributes:
        title: Names the dataset and its items.
        headings: The columns' headings.
        places: The columns' places in a narrow table.
        rows: The systems.
        footers: What all have in common; counts of outcomes, if not all are right or wrong; and
            pass@k, if there are several epochs.
        about: What the columns tell of: the systems, their judges, the items' categories, what
            stands beside the accuracy, or (with scores for systems) the labels of people.
    """

    title: str
    headings: tuple[str, ...]
    places: tuple[Place, ...]
    rows: tuple[Row, ...]
    footers: tuple[str, ...]
    about: Literal["systems", "judges", "categories", "beside", "labels"] = "systems"

    @property
    def first(self) -> str:
        """The heading of the labels of rows."""
        return "" if self.about == "labels" else "system"
