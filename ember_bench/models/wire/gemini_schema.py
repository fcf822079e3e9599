"""JSON schemas in the dialect of OpenAPI 3.0 that Gemini's older field for them takes.

It has no references, no unions and no bounds on values, and its objects are closed; see
`google.ai.generativelanguage.Schema`.
"""

from __future__ import annotations

from typing import Any, Final

# Nothing is lost without them.
_ANNOTATIONS: Final = frozenset(
    {
        "$schema",
        "$id",
        "$defs",
        "definitions",
        "title",
        "default",
        "examples",
        "additionalProperties",
    }
)
_KEPT: Final = frozenset(
    {"description", "format", "nullable", "enum", "minItems", "maxItems", "required"}
)


class SchemaError(Exception):
    """A schema that cannot be said in this dialect; the message says what part of it."""


def openapi_schema(schema: Any) -> dict[str, Any]:
    """Return `schema` in Gemini's dialect.

    Raises:
        SchemaError: if it has a part that would have to be left out.
    """
    return _translated(schema, schema, ("#",))


def _translated(schema: Any, root: Any, within: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(schema, dict):
        raise SchemaError(f"{schema!r} for a schema")
    if (reference := schema.get("$ref")) is not None:
        if reference in within:
            raise SchemaError(f"{reference}, which refers to itself")
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return _translated({**_referred(reference, root), **rest}, root, (*within, reference))
    if schema.get("additionalProperties", False) is not False:
        raise SchemaError("an object with properties of any name")
    translated: dict[str, Any] = {}
    for keyword, value in _simplified(schema).items():
        if keyword == "type":
            translated["type"] = str(value).upper()
        elif keyword == "properties":
            # An object without properties is refused unless it says nothing of them.
            translated |= (
                {"properties": {k: _translated(v, root, within) for k, v in value.items()}}
                if value
                else {}
            )
        elif keyword == "items":
            translated["items"] = _translated(value, root, within)
        elif keyword in _KEPT:
            translated[keyword] = value
        elif keyword not in _ANNOTATIONS:
            raise SchemaError(repr(keyword))
    if not all(isinstance(choice, str) for choice in translated.get("enum", ())):
        raise SchemaError("'enum' of something else than texts")
    return translated


def _simplified(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` with `nullable` for a union with null, and `enum` for a constant."""
    schema = dict(schema)
    for union in ("anyOf", "oneOf"):
        variants = schema.get(union)
        others = [v for v in variants or () if v != {"type": "null"}]
        if len(others) == 1:
            del schema[union]
            schema = {**others[0], **schema, **_nullable(len(others) < len(variants or ()))}
    if isinstance(types := schema.get("type"), list):
        others = [t for t in types if t != "null"]
        if len(others) != 1:
            raise SchemaError("'type' with several types")
        schema |= {"type": others[0], **_nullable(len(others) < len(types))}
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    return schema


def _nullable(yes: bool) -> dict[str, Any]:
    return {"nullable": True} if yes else {}


def _referred(reference: str, root: Any) -> dict[str, Any]:
    found = root
    for escaped in reference.removeprefix("#/").split("/"):
        key = escaped.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or key not in found:
            raise SchemaError(f"{reference}, which is nowhere")
        found = found[key]
    return dict(found)
