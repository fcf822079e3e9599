"""Columns of a table, and the choice that a reader makes of its rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ember_bench.errors import ConfigError, UnknownNameError

T = TypeVar("T")
Number = Callable[[T], float | None]

CATEGORY: Final = "category"


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column of a table whose rows are of type `T`.

    Attributes:
        name: Its name in options.
        heading: Its heading.
        text: Returns its text of a row.
        number: Returns the number that its rows are sorted by; None if it cannot be sorted by.
        descending: Whether the highest number is the best one, and comes first.
        under: The column that it stands below if there is no room beside it.
        short: Its heading there; by default the same.
        along: Whether it comes with the column `under`, which would mislead without it.
    """

    name: str
    heading: str
    text: Callable[[T], str]
    number: Number[T] | None = None
    descending: bool = False
    under: str = ""
    short: str = ""
    along: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """A choice of the rows and columns of a table.

    Attributes:
        columns: Names of columns, in order; empty for the usual ones.
        sort: The column that rows are sorted by, the best first; None for the grid's order.
        top: At most so many rows of each dataset; None for all.
        datasets: The datasets to show; empty for all.
        by: `category` to show the accuracy by category too.
    """

    columns: Sequence[str] = ()
    sort: str | None = None
    top: int | None = None
    datasets: Sequence[str] = ()
    by: str | None = None

    def check(self, columns: Iterable[Column[T]]) -> None:
        """Check the names of columns, before anything is computed for them.

        Raises:
            UnknownNameError: if a column is unknown, or not one to sort by.
            ConfigError: if rows are grouped by anything but the category.
        """
        known = list(columns)
        names = [column.name for column in known if not column.along]
        for name in self.columns:
            if name not in names:
                raise UnknownNameError("column", name, names)
        sortable = [column.name for column in known if column.number is not None]
        if self.sort is not None and self.sort not in sortable:
            raise UnknownNameError("column to sort by", self.sort, sortable)
        if self.by not in (None, CATEGORY):
            raise ConfigError(f"--by: expected {CATEGORY} (found {self.by!r})")

    def check_datasets(self, known: Collection[str]) -> None:
        """Check the names of datasets.

        Raises:
            UnknownNameError: if one is unknown.
        """
        for name in self.datasets:
            if name not in known:
                raise UnknownNameError("dataset", name, [*known])

    def shows(self, dataset: str) -> bool:
        """Return whether a dataset is shown."""
        return not self.datasets or dataset in self.datasets

    def shown(self, columns: Sequence[Column[T]], usual: Collection[str]) -> list[Column[T]]:
        """Return the columns to show, those that come along included."""
        by_name = {column.name: column for column in columns}
        asked = [by_name[name] for name in self.columns or usual]
        along = {c.under: c for c in columns if c.along}
        found: dict[str, Column[T]] = {}
        for column in asked:
            found[column.name] = column
            if column.name in along:
                found[along[column.name].name] = along[column.name]
        return [*found.values()]

    def chosen(self, rows: Sequence[T], columns: Iterable[Column[T]]) -> list[T]:
        """Return the rows to show, in order; those without a number come last."""
        found = list(rows)
        column = next((c for c in columns if c.name == self.sort), None)
        if column is not None and (number := column.number) is not None:
            sign = -1.0 if column.descending else 1.0
            values = [number(row) for row in found]
            order = sorted(
                range(len(found)),
                key=lambda place: (values[place] is None, sign * (values[place] or 0.0)),
            )
            found = [found[place] for place in order]
        return found[: self.top]


USUAL: Final = View()


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a column in a narrow table.

    Attributes:
        heading: Its heading there.
        under: Index of the column that it stands below; None if it stands beside all.
    """

    heading: str
    under: int | None


def places(columns: Sequence[Column[T]]) -> list[Place]:
    """Return the place of each column in a narrow table."""
    index = {column.name: place for place, column in enumerate(columns)}
    return [
        Place((c.short or c.heading) if c.under in index else c.heading, index.get(c.under))
        for c in columns
    ]
