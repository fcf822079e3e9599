"""Prompt templates as instructions and the rest: the paragraphs before the first input are theirs.

Answer in one word.          <- the instructions

Question: {query}            <- the rest: from the paragraph of the first input on
Answer:
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}|[{}]")
"""The marks of a template: `{{` and `}}` for braces, `{name}` for an input; others are mistakes."""

_PARAGRAPH: Final = re.compile(r"\n[ \t]*\n")


def split_template(template: str) -> tuple[str, str]:
    """Return the instructions of a template, as plain text, and the rest, as a template.

    Without an input, the template is all instructions.
    """
    inputs = (match for match in PLACEHOLDER.finditer(template) if match[1])
    first = next(inputs, None)
    if first is None:
        return _plain(template), ""
    ends = [match.end() for match in _PARAGRAPH.finditer(template, 0, first.start())]
    start = ends[-1] if ends else 0
    return _plain(template[:start]).rstrip(), template[start:]


def join_template(instructions: str, rest: str, examples: Sequence[str] = ()) -> str:
    """Return the template of instructions, solved examples (both plain text) and the rest."""
    plain = [as_template(text.strip()) for text in (instructions, *examples)]
    return "\n\n".join(text for text in (*plain, rest) if text)


def as_template(text: str) -> str:
    """Return the template that is rendered as this text."""
    return text.replace("{", "{{").replace("}", "}}")


def _plain(template: str) -> str:
    """Return the text of a template without inputs."""
    return template.replace("{{", "{").replace("}}", "}")
