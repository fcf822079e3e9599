"""Prompt templates: `{question}`, `{choices}`, and fields of the metadata."""

from __future__ import annotations

import string
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ember_bench.datasets.records import listed
from ember_bench.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ember_bench.datasets.item import Item

PLACEHOLDERS: Final = ("question", "choices")
QUERY: Final = "query"
"""In a prompt of a grid: the question with the dataset card's own prompt."""
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
        """Return the parsed template of a dataset card.

        Args:
            template: The text on the card.
            metadata: Placeholders that there may be beside `PLACEHOLDERS`.

        Raises:
            ValueError: if it has any other placeholder, or none for the question.
        """
        prompt = cls._parsed(template)
        known = (*PLACEHOLDERS, *metadata)
        for name in prompt.metadata:
            if name not in known:
                hint = did_you_mean(name, known)
                raise ValueError(
                    f"unknown placeholder {{{name}}}{hint}; write {{{{ and }}}} for literal braces"
                )
        if not prompt.uses("question"):
            raise ValueError("the placeholder {question} is missing")
        return prompt

    @classmethod
    def for_items(cls, template: str) -> Prompt:
        """Return the parsed template of a grid; `render_item` fills it in.

        Raises:
            ValueError: if it has a placeholder neither for the question nor for the query.
        """
        prompt = cls._parsed(template)
        if not prompt.uses("question") and not prompt.uses(QUERY):
            raise ValueError(
                "the placeholder {question} is missing (or {query}, which is the question with the "
                "dataset card's prompt)"
            )
        return prompt

    @classmethod
    def _parsed(cls, template: str) -> Prompt:
        try:
            fields = list(string.Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"{error}; write {{{{ and }}}} for literal braces") from None
        for _, name, spec, conversion in fields:
            if name is not None and (spec or conversion):
                raise ValueError(f"{{{name}}} takes no conversion and no format")
        return cls(tuple((text, name) for text, name, _, _ in fields))

    def uses(self, placeholder: str) -> bool:
        """Return whether the template has `placeholder`."""
        return any(name == placeholder for _, name in self.pieces)

    @property
    def metadata(self) -> list[str]:
        """The fields of the metadata that the template has."""
        return [n for _, n in self.pieces if n is not None and n not in PLACEHOLDERS]

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
        return self._filled(values)

    def without_choices(self) -> Prompt:
        """Return the template for a question without choices: without their place and its lines."""
        return Prompt(
            tuple(
                (text, None) if name == "choices" else (text, name)
                for text, name in self.pieces
                if name != "choices" or text.strip()
            )
        )

    def render_item(self, item: Item) -> str:
        """Return the template of a grid with the fields of `item` filled in.

        Raises:
            KeyError: if the item has no such field among its metadata.
            RecordError: if such a field is no text, number, or list of them.
        """
        fields = (name for name in self.metadata if name != QUERY)
        values = {name: listed(item.metadata[name], name) for name in fields}
        values[QUERY] = item.question
        bare = item.question if item.bare is None else item.bare
        return self.render(bare, item.choices, values)

    def _filled(self, values: Mapping[str, str]) -> str:
        return "".join(
            text + (values[name] if name is not None else "") for text, name in self.pieces
        )


def lettered(choices: Sequence[str]) -> str:
    """Return the choices one to a line, as `A) ...`."""
    return "\n".join(f"{LETTERS[i]}) {choice}" for i, choice in enumerate(choices))
