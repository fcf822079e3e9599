"""New grids, cards and code: small files that run as they are written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from ember_bench.datasets.guess import Guess
from ember_bench.documents import Document, yaml_text
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.evaluators.kinds import KINDS as EVALUATOR_KINDS
from ember_bench.experiment.spec import ExperimentSpec
from ember_bench.files import write
from ember_bench.graph.architecture import load_architecture
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.presets import PRESETS
from ember_bench.models.providers.base import provider_class
from ember_bench.operators.base import operator_class
from ember_bench.registry import Cards, Kind
from ember_bench.running.find_grids import grids
from ember_bench.running.schemas import attach_schema

REGISTRY: Final = Path("registry")
"""The registry of the working directory, which new cards are written to."""
GRIDS: Final = Path("experiments")
"""The folder of grids that can be run by name."""
DEFAULT_DATASET: Final = "arithmetic"
DEFAULT_MODEL: Final = "simulated:small"
DEFAULT_ARCHITECTURES: Final = ("single", "vote")

# Of an architecture in a new grid, beside its models.
_SWEPT: Final[Mapping[str, Mapping[str, Any]]] = {"vote": {"k": [3, 5]}}
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_HEAD: Final = """\
# Each architecture runs on each dataset; a list where one value is due is swept.
# Calls and cost in advance: ember-bench plan {name}
"""


def dataset_name(path: Path) -> str:
    """Return a dataset's name for a file: its name without endings, in plain characters."""
    stem = path.name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_") or "items"


def new_dataset(guess: Guess, path: Path, name: str, cards: Cards) -> Path:
    """Write the card of a guessed dataset; return its path.

    Args:
        guess: The guess.
        path: The file of records.
        name: The dataset's name.
        cards: The registries in force.

    Raises:
        ConfigError: if there is such a card, or it cannot be written.
    """
    check_is_new("datasets", name, cards)
    card = REGISTRY / "datasets" / f"{name}.yaml"
    source = os.path.relpath(path.resolve(), card.parent.resolve())
    write_new({card: yaml_text(guess.card(name, Path(source).as_posix()), compact=True)})
    attach("dataset", card)
    return card


def new_study(
    name: str,
    datasets: Sequence[str],
    model: str,
    cards: Cards,
    architectures: Sequence[str] = DEFAULT_ARCHITECTURES,
) -> Path:
    """Write a grid; return its path.

    Args:
        name: The experiment's name.
        datasets: Names of datasets.
        model: The model that all architectures ask.
        cards: The registries in force.
        architectures: Names of architectures; the first one is the baseline.

    Raises:
        ConfigError: if there is such a grid, or a name is unknown.
    """
    if name in grids():
        raise ConfigError(f"there is a grid {name!r} already: {grids()[name]}; give another name")
    for dataset in datasets:
        cards.get("datasets", dataset)
    info = ModelRegistry.from_cards(cards).get(model)
    entries = [_entry(architecture, info, cards) for architecture in architectures]
    grid = {
        "name": name,
        "datasets": [*datasets],
        "architectures": entries,
        "baseline": {"name": architectures[0]},
    }
    path = GRIDS / f"{name}.yaml"
    Document(path, grid, {}).parse(ExperimentSpec)
    write_new({path: _HEAD.replace("{name}", name) + yaml_text(grid, compact=True)})
    attach("grid", path)
    return path


def _entry(name: str, model: ModelInfo, cards: Cards) -> dict[str, Any]:
    """Return an architecture of a grid, with the model wherever one is required.

    Raises:
        ConfigError: if it requires anything else.
    """
    known = load_architecture(name, cards).card.parameters
    given: dict[str, Any] = {}
    for parameter, card in known.items():
        if card.type == "model" and card.required:
            given[parameter] = model.model_id
        elif card.type == "models" and card.required:
            given[parameter] = [model.model_id] * max(int(card.minimum or 1), 1)
        elif card.required:
            raise ConfigError(
                f"{name} requires {parameter!r} ({card.type}): add it to a grid by hand"
            )
        elif parameter == "temperature" and card.optional and _lacks_temperature(model):
            given[parameter] = None
    return {"name": name, "parameters": {**given, **_SWEPT.get(name, {})}}


def _lacks_temperature(model: ModelInfo) -> bool:
    lacking = provider_class(model.provider_name).lacks(model)
    return "temperature" in (*model.unsupported_parameters, *lacking)


def new_model(
    model_id: str,
    cards: Cards,
    *,
    base_url: str | None = None,
    prices: tuple[float, float] | None = None,
) -> Path:
    """Write a model's card; return its path.

    Args:
        model_id: `provider:model`.
        cards: The registries in force.
        base_url: The address of the server, if it is not the provider's own.
        prices: US dollars per million tokens of input and of output, if known.

    Raises:
        ConfigError: if there is such a model, or the id has no provider.
    """
    provider, colon, model = model_id.partition(":")
    if not (provider and colon and model):
        raise ConfigError(f"{model_id!r}: expected `provider:model`, such as openai:gpt-4o")
    if provider not in PRESETS:
        provider_class(provider)
    check_is_new("models", model_id, cards)
    card: dict[str, Any] = {"name": model_id, "purpose": f"The model {model} of {provider}."}
    if base_url is not None:
        card["provider"] = {"base_url": base_url}
    if prices is not None:
        names = ("input_cost_per_million", "output_cost_per_million")
        card["cost"] = dict(zip(names, prices, strict=True))
    path = REGISTRY / "models" / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', model_id)}.yaml"
    write_new({path: yaml_text(card)})
    attach("model", path)
    return path


def new_architecture(name: str, cards: Cards) -> Path:
    """Write an architecture's card; return its path.

    Raises:
        ConfigError: if there is such a card.
    """
    check_is_new("architectures", name, cards)
    card = REGISTRY / "architectures" / f"{name}.yaml"
    write_new({card: _template("architecture.yaml", name)})
    attach("architecture", card)
    return card


def new_evaluator(name: str, cards: Cards) -> tuple[Path, Path]:
    """Write a kind of evaluators and its card; return their paths.

    Raises:
        ConfigError: if there is such a card or kind.
    """
    check_is_new("evaluators", name, cards)
    if name in EVALUATOR_KINDS:
        raise ConfigError(f"there is an evaluator kind {name!r} already; give another name")
    code = REGISTRY / "evaluators" / f"{name}.py"
    card = code.with_suffix(".yaml")
    write_new({code: _template("evaluator.py.txt", name), card: _template("evaluator.yaml", name)})
    Cards().all("evaluators")  # registers the kind, which is part of the schema
    attach("evaluator", card)
    return code, card


def new_operator(name: str, cards: Cards) -> tuple[Path, Path]:
    """Write an operator and an architecture that uses it; return their paths.

    Raises:
        ConfigError: if there is such an operator or architecture.
    """
    check_is_new("architectures", name, cards)
    try:
        operator_class(_class_name(name))
    except UnknownNameError:
        pass
    else:
        raise ConfigError(f"there is an operator {_class_name(name)} already; give another name")
    code = REGISTRY / "operators" / f"{name}.py"
    card = REGISTRY / "architectures" / f"{name}.yaml"
    write_new({code: _template("operator.py.txt", name), card: _template("operator.yaml", name)})
    attach("architecture", card)
    return code, card


def check_is_new(kind: Kind, name: str, cards: Cards) -> None:
    """See that no card has the name.

    Raises:
        ConfigError: naming the file that has it, or an invalid name.
    """
    if kind != "models" and _WORD.fullmatch(name.replace("-", "_")) is None:
        raise ConfigError(
            f"{name!r}: a name has letters, digits, `_` and `-`, and begins with a letter"
        )
    known = cards.all(kind)
    if name in known:
        path = known[name].document.path
        raise ConfigError(f"there is a card {name!r} already: {path}; give another name")
    if name in cards.broken(kind):
        raise ConfigError(*cards.broken(kind)[name].problems)


def _template(file: str, name: str) -> str:
    """Return a template with the name, and the class of that name, filled in."""
    text = files("ember_bench.running").joinpath("templates", file).read_text(encoding="utf-8")
    return text.replace("<name>", name).replace("<class>", _class_name(name))


def _class_name(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[_-]+", name))


def write_new(contents: Mapping[Path, str]) -> None:
    """Write new files.

    Raises:
        ConfigError: if one is there already, or cannot be written; then none is written.
    """
    for path in contents:
        if path.exists():
            raise ConfigError(f"{path} is there already; give another name, or remove it")
    for path, text in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, text.encode())
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def attach(kind: str, path: Path) -> None:
    """Name the schema in a file's first line, where editors look for it.

    Raises:
        ConfigError: if the schema cannot be written.
    """
    try:
        attach_schema(kind, path)
    except OSError as error:
        raise ConfigError(f"{path}: the schema cannot be written: {error.strerror}") from None
