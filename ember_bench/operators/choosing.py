"""Lists of models, or texts, that a grid names by what they are chosen from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import comb, perm
from typing import Annotated, Any, Self, overload

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ember_bench.errors import did_you_mean
from ember_bench.plain_errors import plainly

Size = Annotated[int, Field(ge=1, le=100, strict=True)]


class Choose(BaseModel):
    """All lists of some length: `{choose: 3, of: [a, b, c, d]}`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    choose: Size | list[Size]
    """Length of the lists, or several."""
    of: list[str] = Field(min_length=1)
    """What their entries are chosen from, each once."""
    ordered: bool = False
    """Whether the order of a list matters, so that each order is a list of its own."""
    repeated: bool = False
    """Whether an entry may stand in a list several times."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if twice := next((entry for entry in self.of if self.of.count(entry) > 1), None):
            raise ValueError(f"of: {twice!r} stands there twice; repeated: true repeats entries")
        n = len(self.of)
        if not self.repeated and (long := [k for k in self.sizes if k > n]):
            raise ValueError(f"cannot choose {long[0]} of {n} without repeated: true")
        return self

    @property
    def sizes(self) -> list[int]:
        """The lengths, each once."""
        return list(dict.fromkeys(self.choose if isinstance(self.choose, list) else [self.choose]))


class Choices(Sequence[list[str]]):
    """The lists that a mapping with `choose` stands for; each is made when it is asked for.

    Raises:
        ValueError: if the mapping is wrong, or too few entries are there.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        known = Choose.model_fields
        if unknown := [name for name in given if name not in known]:
            raise ValueError(f"unknown field {unknown[0]!r}{did_you_mean(str(unknown[0]), known)}")
        try:
            self.given = Choose.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"{where}: {plainly(first)}" if where else plainly(first)) from None
        n = len(self.given.of)
        self._ends = list(accumulate(self._number(n, k) for k in self.given.sizes))

    @property
    def firsts(self) -> list[list[str]]:
        """The first list of each length."""
        return [self[start] for start in [0, *self._ends[:-1]]]

    def _number(self, n: int, k: int) -> int:
        """Return the number of lists of k of n entries."""
        if self.given.ordered:
            return n**k if self.given.repeated else perm(n, k)
        return comb(n + k - 1, k) if self.given.repeated else comb(n, k)

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[str]]: ...
    def __getitem__(self, index: int | slice) -> list[str] | list[list[str]]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        which = next(i for i, end in enumerate(self._ends) if index < end)
        rest = index - (self._ends[which - 1] if which else 0)
        return self._list(list(self.given.of), self.given.sizes[which], rest)

    def _list(self, left: list[str], k: int, rest: int) -> list[str]:
        """Return the list of k entries in place `rest`, in lexicographic order."""
        found: list[str] = []
        while len(found) < k:
            first = 0
            while True:
                after = self._after(left, first)
                lists = self._number(len(after), k - len(found) - 1)
                if rest < lists:
                    break
                rest, first = rest - lists, first + 1
            found.append(left[first])
            left = after
        return found

    def _after(self, left: list[str], first: int) -> list[str]:
        """Return the entries that may follow the one in place `first` of those left."""
        if self.given.ordered:
            return left if self.given.repeated else [*left[:first], *left[first + 1 :]]
        return left[first if self.given.repeated else first + 1 :]
