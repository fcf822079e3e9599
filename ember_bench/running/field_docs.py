"""Tables of the fields of grids and cards, for the pages of the documentation.

The tables come from the JSON Schemas, and so from the models that read the files. A page marks the
place of a table of a kind:

    <!-- fields: grid -->
    <!-- end -->

and that of a table of the built-in cards of a kind by `<!-- cards: dataset -->`.

`python -m ember_bench.running.field_docs docs/*.md` writes the tables of the pages anew.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ember_bench.running.card_docs import cards_of
from ember_bench.running.schemas import Schema, schema_of

_TABLE: Final = re.compile(r"<!-- fields: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
_CARDS: Final = re.compile(r"<!-- cards: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
_HEADING: Final = "| field | type | default | meaning |\n| --- | --- | --- | --- |"
_REQUIRED: Final = "required"
_TYPES: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "`null`",
}
_BOUNDS: Final = {
    "minimum": "from {}",
    "exclusiveMinimum": "over {}",
    "maximum": "to {}",
    "exclusiveMaximum": "under {}",
    "minItems": "({} or more)",
    "maxItems": "({} or fewer)",
}


def with_tables(page: str) -> str:
    """Return a page with its tables written anew.

    Raises:
        UnknownNameError: if a page names a kind that there is not; lists near matches.
    """
    page = _TABLE.sub(
        lambda found: f"<!-- fields: {found[1]} -->\n\n{fields_of(found[1])}\n\n<!-- end -->", page
    )
    return _CARDS.sub(
        lambda found: f"<!-- cards: {found[1]} -->\n\n{cards_of(found[1])}\n\n<!-- end -->", page
    )


def fields_of(kind: str) -> str:
    """Return the tables of a kind: its own fields, then those of each part, under headings."""
    return "\n\n".join(_tables(schema_of(kind), kind))


def _tables(schema: Schema, kind: str) -> Iterator[str]:
    parts: dict[str, Schema] = schema.get("$defs", {})
    if "properties" in schema and "allOf" not in schema:
        yield _table(schema, kind)
    for name, part in _in_order(schema, parts).items():
        if "properties" in part:
            about = _first_paragraph(part.get("description", ""))
            yield "\n\n".join(
                filter(None, (f"### {_title(name, kind)}", about, _table(part, kind)))
            )


def _in_order(schema: Schema, parts: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the parts in the order in which they are first referred to."""
    found: dict[str, Schema] = {}
    waiting = [schema]
    while waiting:
        for name in _references(waiting.pop(0)):
            if name in parts and name not in found:
                found[name] = parts[name]
                waiting.append(parts[name])
    return found


def _references(value: Any) -> Iterator[str]:
    """Yield the names of the parts that a schema without its own parts refers to."""
    if isinstance(value, Mapping):
        if isinstance(reference := value.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for key, inner in value.items():
            if key != "$defs":
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _table(schema: Schema, kind: str) -> str:
    required = schema.get("required", ())
    rows = [
        (f"`{name}`", _type(part, kind), _default(part, name in required), _meaning(part))
        for name, part in schema["properties"].items()
    ]
    return "\n".join([_HEADING, *(f"| {' | '.join(row)} |" for row in rows)])


def _type(part: Schema, kind: str) -> str:
    """Return the type of a field in words."""
    if (reference := part.get("$ref")) is not None:
        title = _title(reference.rpartition("/")[2], kind)
        return f"[{title}](#{title.replace(' ', '-')})"
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in map(_shown, part["enum"]))
    for key in ("anyOf", "oneOf"):
        if key in part:
            return " or ".join(dict.fromkeys(_type(option, kind) for option in part[key]))
    bounds = [text.replace("{}", f"{part[key]:,}") for key, text in _BOUNDS.items() if key in part]
    return " ".join([_plain_type(part, kind), *bounds])


def _shown(value: Any) -> str:
    """Return a value as YAML has it, fit for a table."""
    return json.dumps(value).strip('"').replace("|", r"\|")


def _plain_type(part: Schema, kind: str) -> str:
    match part.get("type"):
        case "array":
            return f"list of {_type(part['items'], kind)}" if part.get("items") else "list"
        case "object":
            inner = part.get("additionalProperties")
            return (
                f"mapping to {_type(inner, kind)}"
                if isinstance(inner, dict) and inner
                else "mapping"
            )
        case str(name):
            return _TYPES[name]
        case _:
            return "any"


def _default(part: Schema, required: bool) -> str:
    if required:
        return _REQUIRED
    default = part.get("default")
    if default is None and part.get("type") in ("object", "array"):
        return "empty"
    return f"`{json.dumps(default)}`"


def _meaning(part: Schema) -> str:
    text = " ".join(part.get("description", "").split()).replace("|", r"\|")
    return re.sub(r"\bNone\b", "`null`", text)


def _first_paragraph(text: str) -> str:
    return re.sub(r"\bNone\b", "`null`", " ".join(text.partition("\n\n")[0].split()))


def _title(name: str, kind: str) -> str:
    """Return the heading of a part: `DatasetSpec` of a grid -> `grid dataset`."""
    bare = re.sub(r"(Spec|Info|Options|Card)$", "", name)
    title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", bare).lower()
    return title if title.startswith(kind) else f"{kind} {title}"


def main(pages: list[str]) -> None:
    """Write the tables of pages anew."""
    for page in map(Path, pages):
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
