"""Generated families of questions of reasoning-gym."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from ember_bench.datasets.item_reader import json_like
from ember_bench.datasets.records import Records
from ember_bench.datasets.sources import Opening, record_source
from ember_bench.errors import ConfigError, Problem, did_you_mean
from ember_bench.models.recorded.data_dir import Text
from ember_bench.record_fields import RecordError

KEY: Final = "reasoning_gym"
"""The field of a record, and of an item's metadata, that says which entry it is."""
_EXTRA: Final = "reasoning-gym"
_NO_TARGET: Final = "(none)"
_SET_APART: Final = ("seed", "size")


class ReasoningGymSource(BaseModel):
    """One of reasoning-gym's families."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Text
    """Its name, such as `countdown`."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the questions."""
    size: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Number of questions."""
    config: dict[str, Any] = Field(default_factory=dict)
    """Fields of the family's configuration, such as `{min_numbers: 4}`."""
    system_prompt: Text | None = "default"
    """The name of one of reasoning-gym's system prompts, which ask for `<answer>` tags; null for
    none."""


@record_source(
    KEY,
    ReasoningGymSource,
    fields={
        "id": "id",
        "question": "question",
        "target": "answer",
        "system": "system",
        "answer_format": "answer_format",
        "metadata": [KEY],
    },
)
def open_reasoning_gym(source: ReasoningGymSource, opening: Opening) -> Records:
    """Questions that a family of reasoning-gym generates, with its own verifier.

    Raises:
        ConfigError: if there is no such family, or its configuration is refused; says why.
    """
    opening.package(KEY, extra=_EXTRA)
    from importlib.metadata import version  # noqa: PLC0415

    _check(source, opening)
    system = _system_prompt(source, opening)
    place = {
        "task": source.task,
        "seed": source.seed,
        "size": source.size,
        "config": _config_of(source, opening),
    }
    try:
        _, entries = _generated(json.dumps(place, sort_keys=True))
    except Exception as error:  # a family checks its configuration in any way
        message = f"reasoning-gym cannot make {source.task!r}: {type(error).__name__}: {error}"
        raise ConfigError(opening.problem(message.strip())) from error
    rows = (
        {
            "id": str(index),
            "question": entry["question"],
            "answer": _NO_TARGET if entry["answer"] in (None, "") else str(entry["answer"]),
            "system": system,
            "answer_format": "exact",
            "entry": entry,
            KEY: place | {"index": index},
        }
        for index, entry in enumerate(entries)
    )
    shown = "".join(f", {key}={value!r}" for key, value in sorted(place["config"].items()))
    name = f"reasoning-gym: {source.task}(seed={source.seed}, size={source.size}{shown})"

    def locate(number: int, message: str) -> Problem:
        return opening.problem(f"question {number} of {source.task}: {message}")

    revision = f"reasoning-gym@{version('reasoning-gym')}"
    return Records(name, revision, enumerate(rows, 1), "record", locate)


def reasoning_gym_entry(metadata: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return the family, as reasoning-gym's dataset, and the entry of an item.

    Args:
        metadata: The item's metadata.

    Raises:
        ConfigError: if the item is none of `source: {reasoning_gym: ...}`.
    """
    place = metadata.get(KEY)
    if not isinstance(place, Mapping):
        raise ConfigError(
            f"the item is none of a dataset with `source: {{{KEY}: ...}}`, or its card leaves"
            f" `metadata: [{KEY}]` out of `fields`"
        )
    made = {key: value for key, value in place.items() if key != "index"}
    family, entries = _generated(json.dumps(made, sort_keys=True))
    return family, entries[place["index"]]


@lru_cache(maxsize=64)
def _generated(place: str) -> tuple[Any, tuple[Mapping[str, Any], ...]]:
    """Return a family and all its entries, which are made once."""
    from reasoning_gym import create_dataset  # noqa: PLC0415 - an extra

    made = json.loads(place)
    family = create_dataset(made["task"], seed=made["seed"], size=made["size"], **made["config"])
    return family, tuple(family[index] for index in range(made["size"]))


def _check(source: ReasoningGymSource, opening: Opening) -> None:
    """Refuse names that reasoning-gym does not have."""
    from reasoning_gym.factory import DATASETS  # noqa: PLC0415 - an extra

    if source.task not in DATASETS:
        near = did_you_mean(source.task, DATASETS)
        raise ConfigError(opening.problem(f"reasoning-gym has no {source.task!r}{near}"))
    known = [one.name for one in fields(DATASETS[source.task][1]) if one.name not in _SET_APART]
    for name in source.config:
        if name in _SET_APART:
            raise ConfigError(opening.problem(f"`{name}` stands beside `config`, not in it"))
        if name not in known:
            near = did_you_mean(name, known)
            raise ConfigError(opening.problem(f"{source.task} has no option {name!r}{near}"))


def _system_prompt(source: ReasoningGymSource, opening: Opening) -> str | None:
    from reasoning_gym.utils import SYSTEM_PROMPTS  # noqa: PLC0415 - an extra

    if source.system_prompt is None:
        return None
    if source.system_prompt not in SYSTEM_PROMPTS:
        near = did_you_mean(source.system_prompt, SYSTEM_PROMPTS)
        message = f"reasoning-gym has no system prompt {source.system_prompt!r}{near}"
        raise ConfigError(opening.problem(message))
    return str(SYSTEM_PROMPTS[source.system_prompt])


def _config_of(source: ReasoningGymSource, opening: Opening) -> Any:
    try:
        return json_like(source.config)
    except RecordError as error:
        raise ConfigError(opening.problem(f"config: {error}")) from None
