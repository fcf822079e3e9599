"""Prompt templates of dataset cards: `{question}`, `{choices}`, and fields of the metadata."""

from __future__ import annotations

import string
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ember_bench.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PLACEHOLDERS: Final = ("question", "choices")
LETTERS: Final = string.ascii_uppercase


@dataclass(frozen=True, slots=True)
class Prompt:
    """A parsed template: pieces of text, each followed by a placeholder or by nothing.

    `str.format` is not used to fill it in: a template such as `{question.__class__}` would
    reach into the program.
    """

    pieces: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, template: str, metadata: Sequence[str] = ()) -> Prompt:
        """Return the parsed template.

        Args:
            template: What a card says.
            metadata: Placeholders that there may be beside `PLACEHOLDERS`.

        Raises:
            ValueError: if it has any other placeholder, or none for the question.
        """
        known = (*PLACEHOLDERS, *metadata)
        try:
            fields = list(string.Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"{error}; write {{{{ and }}}} for literal braces") from None
        for _, name, spec, conversion in fields:
            if name is None:
                continue
            if name not in known:
                hint = did_you_mean(name, known)
                raise ValueError(
                    f"unknown placeholder {{{name}}}{hint}; write {{{{ and }}}} for literal braces"
                )
            if spec or conversion:
                raise ValueError(f"{{{name}}} takes no conversion and no format")
        prompt = cls(tuple((text, name) for text, name, _, _ in fields))
        if not prompt.uses("question"):
            raise ValueError("the placeholder {question} is missing")
        return prompt

    def uses(self, placeholder: str) -> bool:
        """Return whether the template has `placeholder`."""
        return any(name == placeholder for _, name in self.pieces)

    @property
    def metadata(self) -> list[str]:
        """The fields of the metadata that the template has."""
        return [name for _, name in self.pieces if name and name not in PLACEHOLDERS]

    def render(
        self,
        question: str,
        choices: Sequence[str] = (),
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Return the template with its placeholders filled in; their text is never parsed."""
        values = {**metadata, "question": question}
        if self.uses("choices"):
            values["choices"] = lettered(choices)
        return "".join(text + (values[name] if name else "") for text, name in self.pieces)


def lettered(choices: Sequence[str]) -> str:
    """Return the choices one to a line, as `A) ...`."""
    return "\n".join(f"{LETTERS[i]}) {choice}" for i, choice in enumerate(choices))
