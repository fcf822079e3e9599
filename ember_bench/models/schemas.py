"""JSON schemas of answers: from pydantic models, and those that providers can enforce."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ember_bench.models.types import ResponseFormat

if TYPE_CHECKING:
    from pydantic import BaseModel

# Keywords whose value is a schema, a list of schemas, or schemas by name.
_SCHEMAS: Final = frozenset(
    [
        "items",
        "additionalProperties",
        "not",
        "contains",
        "propertyNames",
        "if",
        "then",
        "else",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
_LISTS: Final = frozenset(["anyOf", "allOf", "oneOf", "prefixItems"])
_MAPPINGS: Final = frozenset(["properties", "$defs", "definitions", "patternProperties"])

# OpenAI, "Structured model outputs", sections "Supported schemas" and "Some type-specific keywords
# are not yet supported"; `default` is refused in words ("'default' is not permitted").
_NEVER_STRICT: Final = frozenset(
    [
        "allOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "unevaluatedProperties",
        "unevaluatedItems",
        "additionalItems",
        "prefixItems",
        "contains",
        "minContains",
        "maxContains",
        "uniqueItems",
        "minLength",
        "maxLength",
        "default",
    ]
)
_TYPED: Final = frozenset(["type", "anyOf", "$ref", "enum", "const"])
_STRICT_FORMATS: Final = frozenset(
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]
)
_LONGEST_NAME: Final = 64


def response_format(model: type[BaseModel]) -> ResponseFormat:
    """Return the response format of a pydantic model: closed, and with every property required.

    A model that must write every field loses nothing, and its provider can then enforce the schema
    (`is_strict`) where it has no free-form part such as `dict[str, int]`.
    """
    schema = model.model_json_schema()
    name = re.sub(r"[^A-Za-z0-9_-]", "_", model.__name__)[:_LONGEST_NAME]
    return ResponseFormat(name, _closed(schema, schema))


def is_strict(schema: Any) -> bool:
    """Whether a provider's strict mode takes `schema`: one object, closed and complete throughout.

    OpenAI's rules, which are the narrowest.
    """
    return (
        isinstance(schema, dict)
        and schema.get("type") == "object"
        and "anyOf" not in schema
        and all(map(_is_enforceable, _walk(schema)))
    )


def is_free_form(schema: Any) -> bool:
    """Whether an object in `schema` is for properties of any name, such as `dict[str, int]` is."""
    return any(
        "patternProperties" in part or part.get("additionalProperties", False) is not False
        for part in _walk(schema)
    )


def recursive_reference(schema: Any, *, required: bool = False) -> str | None:
    """Return a reference in `schema` to something that it is part of; None if there is none.

    Args:
        schema: The whole schema.
        required: Look only for those that every answer would have to follow for ever, as no
            optional property is on their way.
    """
    ended: set[str] = set()

    def search(part: Any, within: frozenset[str]) -> str | None:
        for reference in _references(part, required):
            if reference in within:
                return reference
            if reference not in ended:
                found = search(_resolved(reference, schema), within | {reference})
                if found is not None:
                    return found
                ended.add(reference)
        return None

    return search(schema, frozenset({"#"}))


def _references(schema: Any, required: bool) -> Iterator[str]:
    """Yield the references in `schema`, but not in its definitions.

    Args:
        schema: A schema.
        required: Leave out optional properties.
    """
    if not isinstance(schema, dict):
        return
    if isinstance(reference := schema.get("$ref"), str):
        yield reference
    needed = schema.get("required", ())
    for keyword, value in schema.items():
        if keyword in _SCHEMAS:
            yield from _references(value, required)
        elif keyword in _LISTS and isinstance(value, list):
            for entry in value:
                yield from _references(entry, required)
        elif keyword in ("properties", "patternProperties") and isinstance(value, dict):
            for name, entry in value.items():
                if name in needed or not required:
                    yield from _references(entry, required)


def _resolved(reference: str, root: Any) -> Any:
    """Return what a reference stands for; an empty schema if it leads nowhere."""
    try:
        return root if reference == "#" else _referred(reference, root)
    except (KeyError, TypeError, ValueError):
        return {}


def _is_enforceable(schema: dict[str, Any]) -> bool:
    if not _NEVER_STRICT.isdisjoint(schema) or _TYPED.isdisjoint(schema):
        return False
    if "$ref" in schema:
        return len(schema) == 1
    if schema.get("format", "uuid") not in _STRICT_FORMATS:
        return False
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        closed = schema.get("additionalProperties") is False
        return closed and set(schema.get("required", ())) == set(properties)
    return True


def _walk(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield `schema` and every schema in it; names of properties are no keywords."""
    if not isinstance(schema, dict):
        return
    yield schema
    for keyword, value in schema.items():
        if keyword in _SCHEMAS:
            yield from _walk(value)
        elif keyword in _LISTS and isinstance(value, list):
            for entry in value:
                yield from _walk(entry)
        elif keyword in _MAPPINGS and isinstance(value, dict):
            for entry in value.values():
                yield from _walk(entry)


def _closed(schema: Any, root: dict[str, Any], within: tuple[str, ...] = ()) -> Any:
    """Return a copy of `schema`, which pydantic made, as strict as its types allow.

    Args:
        schema: A part of `root`.
        root: Has the definitions that are referred to.
        within: The references whose content `schema` is part of.
    """
    if not isinstance(schema, dict):
        return schema
    given = {k: v for k, v in schema.items() if k not in ("default", "discriminator")}
    if (reference := given.get("$ref")) is not None and len(given) > 1:
        # What stands beside a reference is refused; what is referred to may have it.
        if reference in within:
            return {"$ref": reference}
        del given["$ref"]
        return _closed({**_referred(reference, root), **given}, root, (*within, reference))
    closed: dict[str, Any] = {}
    for keyword, value in given.items():
        if keyword in _MAPPINGS:
            closed[keyword] = {name: _closed(part, root, within) for name, part in value.items()}
        elif keyword in _LISTS:
            # The variants of a discriminated union exclude each other as they are.
            kept = "anyOf" if keyword == "oneOf" else keyword
            closed[kept] = [_closed(part, root, within) for part in value]
        else:
            closed[keyword] = _closed(value, root, within) if keyword in _SCHEMAS else value
    if "properties" in closed:
        closed.setdefault("additionalProperties", False)
        closed["required"] = list(closed["properties"])
    return closed


def _referred(reference: str, root: dict[str, Any]) -> dict[str, Any]:
    found: Any = root
    for key in reference.removeprefix("#/").split("/"):
        found = found[key.replace("~1", "/").replace("~0", "~")]
    return dict(found)
