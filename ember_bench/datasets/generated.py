"""Generated datasets: functions that make items, registered by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Annotated, Any, Final, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ember_bench.datasets.item import Item
from ember_bench.datasets.repeats import SeenTexts
from ember_bench.datasets.splitmix import SplitMix
from ember_bench.errors import ConfigError, Location, Problem, UnknownNameError, did_you_mean
from ember_bench.plain_errors import plainly

MakeItem = Callable[..., Item]
MakeItemT = TypeVar("MakeItemT", bound=MakeItem)
Locate = Callable[..., Location]

_generators: Final[dict[str, Generator]] = {}

# So many draws in a row that gave nothing new mean that there is nothing new.
_PATIENCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Generator:
    """A registered generator.

    Attributes:
        name: What cards call it.
        make: `make(random, item_id, **parameters)` returns one item.
        parameters: The model of what may be set: `count`, `seed`, and `make`'s own.
    """

    name: str
    make: MakeItem
    parameters: type[BaseModel]


def generator(name: str) -> Callable[[MakeItemT], MakeItemT]:
    """Register a function `(random: SplitMix, item_id: str, *, ...) -> Item` as a generator.

    Its parameters are keyword-only, typed, and have defaults; `Annotated[int, Field(ge=1)]` sets
    bounds. `count` (how many items) and `seed` are added to them. The function draws everything
    from `random`, so that an item never changes.
    """

    def register(make: MakeItemT) -> MakeItemT:
        known = _generators.get(name)
        if known is not None and _home(known.make) != _home(make):
            raise ConfigError(f"generator {name!r} is already registered by {_home(known.make)}")
        _generators[name] = Generator(name, make, _parameters(name, make))
        return make

    return register


def generators() -> dict[str, Generator]:
    """Return every registered generator by name."""
    for module in ("builtin_generators", "network_flows"):
        import_module(f"ember_bench.datasets.{module}")
    return dict(sorted(_generators.items()))


def get_generator(name: str, location: Location | None = None) -> Generator:
    """Return the generator, or raise `UnknownNameError` with near matches."""
    known = generators()
    if name not in known:
        raise UnknownNameError("generator", name, known, location)
    return known[name]


def check_parameters(
    source: Generator, given: Mapping[str, Any], locate: Locate | None = None
) -> dict[str, Any]:
    """Return the parameters in `given`, checked against the generator's signature.

    Raises:
        ConfigError: with one problem for each mistake, placed by `locate(name)` if given.
    """
    try:
        checked = source.parameters.model_validate(dict(given))
    except ValidationError as error:
        problems = []
        for mistake in error.errors():
            key = str(mistake["loc"][0])
            if mistake["type"] == "extra_forbidden":
                near = did_you_mean(key, source.parameters.model_fields)
                message = f"generator {source.name!r} has no parameter {key!r}{near}"
            else:
                message = f"{key}: {plainly(mistake)} (found {mistake['input']!r})"
            problems.append(Problem(message, locate(key) if locate else None))
        raise ConfigError(*problems) from None
    return checked.model_dump(exclude_unset=True)


def generate(source: Generator, given: Mapping[str, Any]) -> Iterator[Item]:
    """Yield the items for checked parameters, no question twice.

    Item i depends on the seed, the parameters and the items before it, never on `count`.

    Raises:
        ConfigError: if there are not `count` different questions.
    """
    parameters = source.parameters(**given).model_dump()
    count, seed = parameters.pop("count"), parameters.pop("seed")
    settings = sorted(parameters.items())
    stream = SplitMix.streams(source.name, settings, seed)
    again: dict[int, int] = {}  # how often an item was drawn anew, where it was

    def draw(index: int, random: SplitMix) -> Item:
        return source.make(random, f"{source.name}-{index}", **parameters)

    def question(index: int) -> str:
        random = stream(index)
        for _ in range(again.get(index, 0)):
            draw(index, random)
        return draw(index, random).question

    seen = SeenTexts(count, question)
    for index in range(count):
        random = stream(index)
        item = draw(index, random)
        while not seen.note(item.question):
            again[index] = again.get(index, 0) + 1
            if again[index] == _PATIENCE:
                shown = ", ".join(f"{k}={v!r}" for k, v in settings)
                raise ConfigError(
                    f"generator {source.name!r} has only about {index} different items with"
                    f" {shown}; count: {count} is too many"
                )
            item = draw(index, random)
        yield item


def _parameters(name: str, make: MakeItem) -> type[BaseModel]:
    """Return the model of a generator's parameters, from its signature."""
    parameters = list(inspect.signature(make).parameters.values())[2:]
    # Only these: the others' types may have been imported for the type checker alone.
    settable = {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
    hints = get_type_hints(
        SimpleNamespace(__annotations__=settable), make.__globals__, include_extras=True
    )
    fields: dict[str, Any] = {
        "count": (Annotated[int, Field(ge=1, le=1_000_000)], 100),
        "seed": (int, 0),
    }
    for parameter in parameters:
        unusable = (
            parameter.kind is not parameter.KEYWORD_ONLY
            or parameter.default is parameter.empty
            or parameter.name not in hints
            or parameter.name in fields
        )
        if unusable:
            raise ConfigError(
                f"generator {name!r}: parameter {parameter.name!r} must be keyword-only, typed, "
                "with a default, and called neither count nor seed"
            )
        fields[parameter.name] = (hints[parameter.name], parameter.default)
    config = ConfigDict(extra="forbid", strict=True)
    model: type[BaseModel] = create_model(f"{name}_parameters", __config__=config, **fields)
    return model


def _home(make: MakeItem) -> str:
    return f"{make.__module__}.{make.__qualname__}"
