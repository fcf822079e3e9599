"""Texts about fields, read out of docstrings."""

from __future__ import annotations

import inspect


def attribute_texts(docstring: str) -> dict[str, str]:
    """Return the entries below `Attributes:` in a docstring, by name."""
    lines = inspect.cleandoc(docstring).partition("\nAttributes:\n")[2].splitlines()
    texts: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith("        ") and name:
            texts[name] += f" {line.strip()}"
        elif line.startswith("    ") and ": " in line:
            name, _, text = line.strip().partition(": ")
            texts[name] = text
    return texts
