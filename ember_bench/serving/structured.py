"""Answers that must be JSON: a network is asked for it in words, and what it says is checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from ember_bench.errors import EmberBenchError

_FENCED: Final = re.compile(r"```(?:json)?\s*\n(.*?)\n?```", re.DOTALL)


@dataclass(frozen=True)
class Schema:
    """The schema that an answer must follow.

    Attributes:
        schema: A JSON Schema; None for any JSON object.
    """

    schema: dict[str, Any] | None

    @classmethod
    def checked(cls, schema: dict[str, Any]) -> Self:
        """Return a schema.

        Raises:
            ValueError: if it is none, or cannot be checked as a package is missing.
        """
        try:
            from jsonschema import Draft202012Validator  # noqa: PLC0415 - an optional dependency
            from jsonschema.exceptions import SchemaError  # noqa: PLC0415 - the same
        except ImportError:
            raise ValueError(
                "to check answers the server needs jsonschema:"
                " pip install 'ember-bench[json-schema]'"
            ) from None
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"no JSON Schema: {error.message}") from None
        for reference in _references(schema):
            if not reference.startswith("#"):  # it would be fetched
                raise ValueError(f"$ref {reference!r}: only parts of the schema can be referred to")
        return cls(schema)

    def asked(self, question: str) -> str:
        """Return the question with the request for JSON."""
        if self.schema is None:
            return f"{question}\n\nAnswer with a JSON object and nothing else."
        written = json.dumps(self.schema, ensure_ascii=False)
        return (
            f"{question}\n\nAnswer with JSON that follows this schema, and nothing else:\n{written}"
        )

    def read(self, text: str) -> str:
        """Return the JSON of an answer.

        Raises:
            EmberBenchError: if it has none that follows the schema.
        """
        fenced = _FENCED.search(text)
        try:
            value = json.loads(fenced[1] if fenced else text)
        except ValueError as error:
            raise EmberBenchError(f"the network's answer is no JSON: {error}") from None
        if self.schema is None:
            if not isinstance(value, dict):
                raise EmberBenchError("the network's answer is JSON, but no object")
        else:
            from jsonschema import Draft202012Validator  # noqa: PLC0415 - `checked` had it
            from referencing.exceptions import Unresolvable  # noqa: PLC0415 - of jsonschema

            try:
                problem = next(Draft202012Validator(self.schema).iter_errors(value), None)
            except (Unresolvable, RecursionError) as error:
                raise EmberBenchError(
                    f"the schema cannot be followed: {str(error).splitlines()[0]}"
                ) from None
            if problem is not None:
                raise EmberBenchError(
                    f"the network's answer does not follow the schema: {problem.message}"
                )
        return json.dumps(value, ensure_ascii=False)


def _references(schema: Any) -> Iterator[str]:
    """Yield all `$ref` of a schema."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
