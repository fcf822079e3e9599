"""Rules that results must keep, written as people say them: `no worse than 1 point, 95 %`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

from ember_bench.errors import ConfigError, did_you_mean

Metric = Literal["accuracy", "cost/item", "latency", "failures"]
Scale = Literal["points", "percent", "ratio", "usd", "seconds"]

EXAMPLES: Final = (
    "no worse than 1 point, 95 %",
    "accuracy at least 85 %, 95 %",
    "cost/item at most +5 %",
    "cost/item at most $0.01",
    "latency at most +10 %",
    "latency at most 2 s",
    "failures at most 1 %",
)
"""A rule of each form."""

_NUMBER: Final = r"(?P<number>[+-]?\d+(?:\.\d+)?)"
_FORMS: Final[tuple[tuple[str, Metric, Scale], ...]] = (
    (rf"(?:accuracy )?no worse than {_NUMBER} points?", "accuracy", "points"),
    (rf"accuracy at least {_NUMBER} ?%", "accuracy", "percent"),
    (rf"cost(?:/item| per item)? at most {_NUMBER} ?%", "cost/item", "ratio"),
    (rf"cost(?:/item| per item)? at most \$ ?{_NUMBER}", "cost/item", "usd"),
    (rf"latency at most {_NUMBER} ?%", "latency", "ratio"),
    (rf"latency at most {_NUMBER} ?s", "latency", "seconds"),
    (rf"failures at most {_NUMBER} ?%", "failures", "percent"),
)
_LEVEL: Final = re.compile(r"(?P<rest>.*\S) ?, ?(?P<level>\d+(?:\.\d+)?) ?%")


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition.

    Attributes:
        text: As it was written.
        system: Pattern of the labels or names of the systems that it is for (`*` and `?` stand for
            any text and any character); `*` for all.
        metric: The amount.
        scale: What `limit` is in. `points` is a difference to the baseline in [-1, 1], `ratio` the
            amount over the baseline's; the others are amounts of the system alone.
        limit: The least of an accuracy, or of a difference; the most of anything else.
        level: Confidence with which it must be shown, one-sided; None if the measured value counts.
    """

    text: str
    system: str
    metric: Metric
    scale: Scale
    limit: float
    level: float | None

    @property
    def relative(self) -> bool:
        """Whether it takes a baseline."""
        return self.scale in ("points", "ratio")

    @property
    def least(self) -> bool:
        """Whether the limit is from below."""
        return self.metric == "accuracy"

    def concerns(self, name: str, label: str) -> bool:
        """Return whether it is for the system of this name and label."""
        return any(fnmatchcase(given, self.system) for given in (name, label))


def read_rule(text: str) -> Rule:
    """Return the rule that a text stands for: `[SYSTEM: ]CONDITION[, LEVEL %]`.

    Raises:
        ConfigError: if it is none; shows one of each form.
    """
    system, _, condition = text.rpartition(": ")
    said = " ".join(condition.split())
    level = None
    if found := _LEVEL.fullmatch(said):
        said, level = found["rest"], float(found["level"]) / 100
        if not 0.5 < level < 1:
            raise ConfigError(
                f"rule {text!r}: the confidence lies between 50 and 100 %, not at"
                f" {found['level']} %"
            )
    for form, metric, scale in _FORMS:
        if found := re.fullmatch(form, said, re.IGNORECASE):
            limit = _limit(text, scale, float(found["number"]))
            return Rule(text.strip(), system.strip() or "*", metric, scale, limit, level)
    near = did_you_mean(said, [example.partition(",")[0] for example in EXAMPLES])
    raise ConfigError(f"rule {text!r}: is not understood{near}; rules are {_listed()}")


def _listed() -> str:
    return "; ".join(f"`{example}`" for example in EXAMPLES)


def _limit(text: str, scale: Scale, number: float) -> float:
    """Return the limit on its scale.

    Raises:
        ConfigError: if the number is out of range.
    """
    ranges: dict[Scale, tuple[float, float]] = {
        "points": (0, 100), "percent": (0, 100), "ratio": (-100, float("inf")),
        "usd": (0, float("inf")), "seconds": (0, float("inf")),
    }  # fmt: skip
    low, high = ranges[scale]
    if not low <= number <= high:
        raise ConfigError(f"rule {text!r}: {number:g} is not between {low:g} and {high:g}")
    limits: dict[Scale, float] = {
        "points": -number / 100, "percent": number / 100, "ratio": 1 + number / 100,
        "usd": number, "seconds": number,
    }  # fmt: skip
    return limits[scale]
