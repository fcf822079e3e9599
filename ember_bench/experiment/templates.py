"""Templates in a grid: texts with placeholders, written in it, in a file, or on a card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ember_bench.datasets import Item
from ember_bench.datasets.prompts import QUERY, Prompt
from ember_bench.datasets.records import listed
from ember_bench.documents import Document, read_document
from ember_bench.errors import ConfigError, UnknownNameError, did_you_mean
from ember_bench.operators.signature import SignatureCard, SignatureFields, signature_from_card
from ember_bench.plain_errors import plainly
from ember_bench.record_fields import RecordError
from ember_bench.registry import Cards

_LONGEST: Final = 32


@dataclass(frozen=True, slots=True)
class Template:
    """A template as a grid gives it.

    Attributes:
        short: Its name in the names of cells.
        content: Its text; with models of inputs or outputs, the fields of the signature.
    """

    short: str
    content: str | dict[str, Any]

    @property
    def text(self) -> str:
        """The text with the placeholders."""
        if isinstance(self.content, str):
            return self.content
        return self.content.get("prompt_template") or ""


def read_template(value: str | dict[str, Any], folder: Path, cards: Cards) -> Template:
    """Return the template that a grid gives.

    Args:
        value: A text with a `{` or of several lines is the template itself. Any other is the name
            of a signature, or the path of a file. A mapping has the fields of a signature.
        folder: The folder of the grid, for paths.
        cards: The signatures.

    Raises:
        ValueError: if there is no such signature or file, or the fields are not those of one.
        ConfigError: if the file or the card cannot be read.
    """
    if isinstance(value, Mapping):
        return Template(_digest(repr(sorted(value.items()))), _content(_fields(value)))
    if "{" in value or "\n" in value:
        return Template(shortened(value), value)
    path = folder / value
    try:
        return Template(value, _content(SignatureFields.of(signature_from_card(value, cards))))
    except UnknownNameError:
        if not path.is_file():
            hint = did_you_mean(value, cards.all("signatures"))
            raise ValueError(
                "expected a template such as '{question}', a file or a signature; there is no "
                f"file {path}, and no signature of this name{hint}"
            ) from None
    if path.suffix in (".yaml", ".yml"):
        document = read_document(path)
        data = {"name": path.stem, **document.data}
        card = Document(path, data, document.marks).parse(SignatureCard)
        return Template(value, _content(SignatureFields.of(card.signature())))
    try:
        return Template(value, path.read_text(encoding="utf-8").rstrip("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def shortened(text: str) -> str:
    """Return a text for the name of a cell: a long one by its beginning and a digest."""
    line = " ".join(text.split())
    if line == text and len(line) <= _LONGEST:
        return line
    return f"{line[: _LONGEST - 9].rstrip()}... {_digest(text)}"


def misfits(prompt: Prompt, items: Sequence[Item]) -> Iterator[str]:
    """Yield the reasons why the items of a dataset cannot be asked with a prompt."""
    fields = [name for name in prompt.metadata if name != QUERY]
    lettered = 0
    missing: dict[str, str] = {}
    for item in items:
        lettered += bool(item.choices)
        for name in fields:
            if name not in missing and (reason := _unusable(item, name)) is not None:
                missing[name] = reason
    yield from missing.values()
    if prompt.uses("choices") and not lettered:
        yield "the prompt has {choices}, but no item has choices"
    if lettered and not prompt.uses("choices") and not prompt.uses(QUERY):
        yield "the prompt has no {choices}, but items have choices: a model would not see them"


def _unusable(item: Item, name: str) -> str | None:
    """Return why a field of an item cannot stand in a prompt; None if it can."""
    if name not in item.metadata:
        known = ("question", "choices", QUERY, *item.metadata)
        return (
            f"unknown placeholder {{{name}}}{did_you_mean(name, known)}: item {item.id!r} has no "
            f"such field among its `metadata`; write {{{{ and }}}} for literal braces"
        )
    try:
        listed(item.metadata[name], name)
    except RecordError as error:
        return f"item {item.id!r}: {error}"
    return None


def _fields(value: Mapping[str, Any]) -> SignatureFields:
    try:
        return SignatureFields.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"not the fields of a signature: {where}: {plainly(first)}") from None


def _content(fields: SignatureFields) -> str | dict[str, Any]:
    """Return the template alone if there is nothing else in a signature."""
    given = fields.model_dump(exclude_defaults=True)
    template = given.get("prompt_template")
    return template if template is not None and len(given) == 1 else given


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:6]
