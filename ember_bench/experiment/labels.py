"""Names and labels of cells.

Results are stored under a cell's name, which has all parameters that the grid gives and never
changes. A label is for people: it says what tells a cell from the others of its experiment.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from ember_bench.experiment.cells import json_digest

_LONG_LIST: Final = 3
_NULL: Final = "null"
_MODEL: Final = "model"


@dataclass(frozen=True, slots=True)
class Told:
    """What a name and a label may tell of a cell.

    Attributes:
        architecture: Name of its architecture.
        texts: Its parameters as texts, defaults included.
        given: Those of them that the grid gives.
        models: Those of its parameters that are models, or lists of them.
        label: As the grid says; None if it does not.
    """

    architecture: str
    texts: Mapping[str, str]
    given: Sequence[str]
    models: Mapping[str, str | Sequence[str]]
    label: str | None = None

    @property
    def name(self) -> str:
        """Its name without the dataset: the architecture with the parameters given."""
        inside = ", ".join(f"{name}={self.texts[name]}" for name in self.given)
        return f"{self.architecture}({inside})" if inside else self.architecture


def labels(cells: Sequence[Told]) -> list[str]:
    """Return a label for each cell: the grid's, else its architecture and what differs.

    `archon`, `vote k=5`, `single large`: a parameter is said if cells of the architecture differ in
    it, a model without its provider. A cell that would be labelled as a different one gets its name
    as its label.
    """
    short = _short_models(cells)
    own = [cell.label if cell.label is not None else _label(cell, cells, short) for cell in cells]
    named: dict[str, set[str]] = {}
    for cell, label in zip(cells, own, strict=True):
        named.setdefault(label, set()).add(cell.name)
    return [
        cell.name if cell.label is None and len(named[label]) > 1 else label
        for cell, label in zip(cells, own, strict=True)
    ]


def shown(value: Any) -> str:
    """Return a parameter as names show it; long lists by number and digest, which is unique."""
    if isinstance(value, list):
        if len(value) > _LONG_LIST:
            return f"[{len(value)}: {json_digest(value)[:6]}]"
        return "[" + ", ".join(map(str, value)) + "]"
    if value is None or isinstance(value, float):
        return json.dumps(value).removesuffix(".0")
    return str(value)


def with_parameter(name: str, parameter: str, value: object) -> str:
    """Return the name of a cell with one more parameter."""
    return (
        f"{name[:-1]}, {parameter}={value})"
        if name.endswith(")")
        else (f"{name}({parameter}={value})")
    )


def _label(cell: Told, cells: Sequence[Told], short: Mapping[str, str]) -> str:
    alike = [
        other for other in cells if other.architecture == cell.architecture and other.label is None
    ]
    names = dict.fromkeys(name for other in alike for name in other.given)
    differing = [n for n in names if len({other.texts.get(n, _NULL) for other in alike}) > 1]
    one_model = sum(isinstance(cell.models.get(name), str) for name in differing) == 1
    parts = []
    for name in differing:
        value = cell.texts.get(name, _NULL)
        if value == _NULL and name not in cell.given:
            continue  # left to the model
        models = cell.models.get(name)
        if isinstance(models, str):
            value = short[models]
        elif models is not None and len(counted := _counted(models, short)) <= _LONG_LIST:
            value = f"[{', '.join(counted)}]"
        bare = isinstance(models, str) and (one_model or name == _MODEL)
        parts.append(value if bare else f"{name}={value}")
    return f"{cell.architecture} {', '.join(parts)}" if parts else cell.architecture


def _counted(models: Sequence[str], short: Mapping[str, str]) -> list[str]:
    """Return models, those that follow each other as one: `small x3`."""
    runs = ((short[model], len(list(same))) for model, same in groupby(models))
    return [name if number == 1 else f"{name} x{number}" for name, number in runs]


def _short_models(cells: Sequence[Told]) -> dict[str, str]:
    """Return models without their providers, where these do not tell them apart."""
    found: dict[str, str] = {}
    for cell in cells:
        for models in cell.models.values():
            for model in [models] if isinstance(models, str) else models:
                found[model] = model.partition(":")[2] or model
    number = Counter(found.values())
    return {model: short if number[short] == 1 else model for model, short in found.items()}
