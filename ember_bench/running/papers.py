"""The folders of papers: claims, grids, published numbers, and known differences.

experiments/papers/<paper>/paper.yaml         title, citation, claim
                           grid*.yaml         what is run
                           registry/          cards and code of the grids
                           published.csv      the published numbers
                           differences.yaml   why some of ours are different
                           measures.py        quantities that no summary has
                           repack.py          from the public repository's files to ours
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from ember_bench.documents import read_document
from ember_bench.errors import (
    ConfigError,
    DataMissingError,
    Location,
    Problem,
    UnknownNameError,
    did_you_mean,
)
from ember_bench.models.recorded.data_dir import DATA_DIR_VARIABLE, AvailableFrom, data_dir
from ember_bench.registry import Cards
from ember_bench.running.find_grids import PAPER_GRID, grid_folders

PAPER: Final = "paper.yaml"
PUBLISHED: Final = "published.csv"
DIFFERENCES: Final = "differences.yaml"
MEASURES: Final = "measures.py"
REPACK: Final = "repack.py"

_NONE: Final = ("", "-", "\N{EN DASH}")
"""Entries of a published table without a number."""
Text = Annotated[str, Field(min_length=1)]


class PaperCard(BaseModel):
    """`paper.yaml`: what a paper claims."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Text
    """What is reproduced, in one line."""
    citation: Text
    """The publication."""
    claim: Text
    """The claim of the publication that the numbers stand for."""
    published_in: Text
    """The table or file that the published numbers were read from."""
    simulated: bool = False
    """Whether the models are simulated, and the published numbers those of a formula."""


class Difference(BaseModel):
    """Why numbers of ours differ from published ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    systems: Annotated[tuple[Text, ...], Field(min_length=1)]
    """The systems, as the published table names them."""
    metrics: tuple[Text, ...] = ()
    """The columns; by default all."""
    datasets: tuple[Text, ...] = ()
    """The datasets; by default all."""
    why: Text
    """The reason."""


class Differences(BaseModel):
    """`differences.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    differences: Annotated[tuple[Difference, ...], Field(min_length=1)]
    """The known differences."""


@dataclass(frozen=True, slots=True)
class Published:
    """One number of a published table.

    Attributes:
        system: The label of a system of the grid; `recorded:SET/` before it may be left out.
        metric: The column: `accuracy`, `pass_at_5`, `cost`, or one that `measures.py` computes.
        printed: The number as it is printed.
        dataset: Its dataset; "" if there is only one with that system.
        category: The category of items; "" for all items.
        where: Where the number stands in the publication; "" for where `paper.yaml` says.
        location: Its place in the file.
    """

    system: str
    metric: str
    printed: str
    dataset: str
    category: str
    where: str
    location: Location

    @property
    def value(self) -> float:
        """The number."""
        return float(self.printed)

    def problem(self, message: str) -> ConfigError:
        """Return an error at the number's place."""
        return ConfigError(Problem(message, self.location))

    @property
    def decimals(self) -> int:
        """The number of printed decimals."""
        return max(0, -int(Decimal(self.printed).as_tuple().exponent))

    @property
    def half_unit(self) -> float:
        """Half a unit of the last printed digit."""
        return 0.5 * 10.0 ** int(Decimal(self.printed).as_tuple().exponent)


_KEYS: Final = ("system", "dataset", "category", "where", "published_as")


@dataclass(frozen=True)
class Paper:
    """The folder of a paper."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @cached_property
    def card(self) -> PaperCard:
        """The paper's card.

        Raises:
            ConfigError: if it is missing or wrong.
        """
        return read_document(self.folder / PAPER).parse(PaperCard)

    @property
    def grids(self) -> Sequence[Path]:
        """The grids that are run, in the order of their names."""
        return sorted(self.folder.glob("grid*.yaml"))

    @cached_property
    def published(self) -> Sequence[Published]:
        """The published numbers, in the order of their file.

        Raises:
            ConfigError: if the file cannot be used.
        """
        path = self.folder / PUBLISHED
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return list(_published(csv.DictReader(file), path))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(Problem(f"cannot read it: {error}", Location(path))) from None

    @cached_property
    def differences(self) -> Sequence[Difference]:
        """The known differences; each names systems of the published table.

        Raises:
            ConfigError: if they cannot be used.
        """
        path = self.folder / DIFFERENCES
        if not path.is_file():
            return ()
        document = read_document(path)
        found = document.parse(Differences).differences
        known = {row.system for row in self.published}
        for i, difference in enumerate(found):
            for j, system in enumerate(difference.systems):
                if system not in known:
                    at = document.at("differences", i, "systems", j)
                    raise UnknownNameError("system of published.csv", system, known, at)
        return found

    def check_data(self) -> None:
        """See that the files in the data directory that its cards read are there.

        Raises:
            DataMissingError: naming the first one that is not, and their number.
        """
        folder, wanted = data_dir(), list(dict.fromkeys(self._files()))
        if folder is None and wanted:
            raise DataMissingError(
                f"{self.name}: needs recorded data: say where it is with --data-dir DIR or "
                f"{DATA_DIR_VARIABLE}=DIR, so that DIR/{wanted[0]} exists"
            )
        missing = [file for file in wanted if folder and not (folder / file).is_file()]
        if missing:
            more = f", and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            raise DataMissingError(f"{self.name}: its data is not in {folder}: {missing[0]}{more}")

    def _files(self) -> Iterator[str]:
        """Yield the files that its cards read from the data directory."""
        for card in self._cards.all("datasets").values():
            file = card.document.data.get("source", {}).get("data")
            if file is not None:
                yield file if isinstance(file, str) else file["path"]
        for card in self._cards.all("models").values():
            files = card.document.data.get("files", ())
            for file in (files,) if isinstance(files, str) else files:
                for model in card.document.data["models"]:
                    yield file.replace("{model}", str(model))

    @cached_property
    def _cards(self) -> Cards:
        return Cards([self.folder / "registry"])

    @cached_property
    def sources(self) -> Sequence[AvailableFrom]:
        """The public repositories that its cards read, each commit once, by repository.

        Raises:
            ConfigError: if a card cannot be used.
        """
        found: dict[tuple[str, str], AvailableFrom] = {}
        for kind in ("models", "datasets"):
            for card in self._cards.all(kind).values():
                if (source := card.document.data.get("available_from")) is not None:
                    known = AvailableFrom.model_validate(source)
                    key = (known.repository, known.commit)
                    if key not in found or found[key].licence is None:
                        found[key] = known
        return [found[key] for key in sorted(found)]


def papers() -> dict[str, Paper]:
    """Return the papers by name: the working directory's, then those built in."""
    found: dict[str, Paper] = {}
    for folder in grid_folders():
        for path in sorted(folder.glob(f"papers/*/{PAPER}")):
            found.setdefault(path.parent.name, Paper(path.parent))
    return dict(sorted(found.items()))


def find_paper(name: str) -> Paper:
    """Return a paper by its name or folder.

    Raises:
        ConfigError: if there is none; lists near matches.
    """
    folder = Path(name)
    if (folder / PAPER).is_file():
        return Paper(folder)
    known = papers()
    if name in known:
        return known[name]
    if (folder / PAPER_GRID).is_file():
        raise ConfigError(f"{name}: there is no {PAPER} in it, which says what is reproduced")
    raise UnknownNameError("paper", name, known)


def _published(rows: csv.DictReader[str], path: Path) -> Iterator[Published]:
    names = rows.fieldnames or ()
    if "system" not in names:
        near = did_you_mean("system", names)
        raise ConfigError(Problem(f"expected a column 'system'{near}", Location(path, 1)))
    metrics = [name for name in names if name not in _KEYS]
    for name in metrics:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            message = f"column {name!r}: expected a name of small letters, digits and _"
            raise ConfigError(Problem(message, Location(path, 1)))
    for row in rows:
        if None in row or None in row.values():
            message = f"expected {len(names)} columns"
            raise ConfigError(Problem(message, Location(path, rows.line_num)))
        for metric in metrics:
            printed = row[metric].strip()
            if printed in _NONE:
                continue
            _check_number(printed, metric, Location(path, rows.line_num))
            yield Published(
                row["system"],
                metric,
                printed,
                row.get("dataset", ""),
                row.get("category", ""),
                row.get("where", ""),
                Location(path, rows.line_num),
            )


def _check_number(printed: str, metric: str, location: Location) -> None:
    try:
        finite = Decimal(printed).is_finite()
    except InvalidOperation:
        finite = False
    if not finite:
        raise ConfigError(Problem(f"{metric}: expected a number, found {printed!r}", location))
