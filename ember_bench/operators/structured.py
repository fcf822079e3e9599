"""Answers with fields: what a model is told of them, and how they are found in its text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel

from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import provider_class
from ember_bench.models.schemas import response_format
from ember_bench.models.types import Message, ResponseFormat

_FENCED: Final = re.compile(r"```(?:json)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_SCHEMA: Final = "Reply with a JSON object that fits this JSON schema, and nothing else:"


def structured(
    messages: Sequence[Message], output: type[BaseModel], model: ModelInfo
) -> tuple[list[Message], ResponseFormat | None]:
    """Return what a model is asked for an answer with the fields of `output`.

    Returns:
        The messages, and the schema for the provider. A model that takes none has None, and reads
        the schema in the last message.
    """
    if _takes_schemas(model):
        return list(messages), response_format(output)
    return [*messages[:-1], _with_schema(messages[-1], output)], None


def json_in(text: str) -> str:
    """Return the first JSON object in a text, in a fence or elsewhere; the text if it has none."""
    fenced = _FENCED.search(text)
    parts: list[str] = [fenced[1], text] if fenced else [text]
    for part in parts:
        for start in (match.start() for match in re.finditer(r"\{", part)):
            try:
                _, end = json.JSONDecoder().raw_decode(part, start)
            except (ValueError, RecursionError):
                continue
            return part[start:end]
    return text


def _takes_schemas(model: ModelInfo) -> bool:
    lacks = provider_class(model.provider_name).lacks(model)
    return "response_format" not in {*model.unsupported_parameters, *lacks}


def _with_schema(message: Message, model: type[BaseModel]) -> Message:
    schema = json.dumps(response_format(model).json_schema)
    content = f"{message.content}\n\n{_SCHEMA}\n{schema}"
    return Message(message.role, content, message.images, files=message.files)
