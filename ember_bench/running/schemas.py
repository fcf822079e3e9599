"""JSON Schemas of grids and cards, for editors that complete and check YAML."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from ember_bench.datasets.cards import dataset_card_model
from ember_bench.datasets.suites import SuiteCard
from ember_bench.docstrings import attribute_texts
from ember_bench.errors import UnknownNameError
from ember_bench.evaluators.cards import card_model
from ember_bench.evaluators.kinds import KINDS as EVALUATOR_KINDS
from ember_bench.experiment.spec import ExperimentSpec
from ember_bench.graph.architecture import ArchitectureCard
from ember_bench.models.info import ModelInfo
from ember_bench.models.recorded.card import RecordedSet
from ember_bench.operators.cards import NodeCard
from ember_bench.operators.signature import SignatureCard
from ember_bench.registry import ENVELOPE

Schema = dict[str, Any]

_DIALECT: Final = GenerateJsonSchema.schema_dialect
_FOLDER: Final = ".schemas"
_MODELINE: Final = "# yaml-language-server: $schema="
# A card's own key for the registry, which no model of a card has.
_OVERRIDE: Final[Schema] = {
    "type": "boolean",
    "default": False,
    "description": "Replace the card of this name in a registry below.",
}


def schema_of(kind: str) -> Schema:
    """Return the JSON Schema of `grid`, or of a kind of card.

    Raises:
        UnknownNameError: if there is no such kind; lists near matches.
    """
    name = _SINGULAR.get(kind, kind)
    if name not in _SCHEMAS:
        raise UnknownNameError("kind", kind, _SCHEMAS)
    return {"$schema": _DIALECT} | _SCHEMAS[name]() | {"title": f"ember-bench {name}"}


def kinds() -> tuple[str, ...]:
    """Return the kinds that have a schema."""
    return tuple(_SCHEMAS)


def _grid() -> Schema:
    return _described(ExperimentSpec)


def _dataset() -> Schema:
    return _as_card(_described(dataset_card_model()))


def _suite() -> Schema:
    return _as_card(_described(SuiteCard))


def _architecture() -> Schema:
    """A card is a parameterised graph; or, without `graph`, an operator's, as it is saved."""
    graph, node = _as_card(_described(ArchitectureCard)), _as_card(_described(NodeCard))
    definitions = graph.pop("$defs") | node.pop("$defs")
    graph["required"] = [name for name in graph["required"] if name != "name"]
    head = {name: graph["properties"][name] for name in ("name", "purpose")}
    node["properties"] = head | node["properties"]
    del node["properties"]["inputs"]  # there are no other nodes
    node["description"] = "The card of an operator, as `save_operator` writes it."
    return {
        "type": "object",
        "if": {"anyOf": [{"required": ["graph"]}, {"not": {"required": ["operator"]}}]},
        "then": {"$ref": f"#/$defs/{ArchitectureCard.__name__}"},
        "else": {"$ref": f"#/$defs/{NodeCard.__name__}"},
        "$defs": definitions | {ArchitectureCard.__name__: graph, NodeCard.__name__: node},
    }


def _signature() -> Schema:
    schema = _as_card(_described(SignatureCard))
    return schema | {"required": [name for name in schema["required"] if name != "name"]}


def _evaluator() -> Schema:
    """One schema for each registered kind of evaluator; `kind:` says which holds."""
    models = {kind: card_model(found) for kind, found in sorted(EVALUATOR_KINDS.items())}
    found, definitions = models_json_schema([(m, "validation") for m in models.values()])
    parts: list[Schema] = []
    for kind, model in models.items():
        reference = found[model, "validation"]["$ref"].rpartition("/")[2]
        part = _as_card(
            _with_attributes(definitions["$defs"][reference], EVALUATOR_KINDS[kind].cls)
        )
        part["properties"]["kind"] |= {"const": kind}
        definitions["$defs"][reference] = part
        parts.append({
            "if": {"properties": {"kind": {"const": kind}}},
            "then": {"$ref": f"#/$defs/{reference}"},
        })  # fmt: skip
    return {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": [*models]}},
        "allOf": parts,
        **definitions,
    }


def _model() -> Schema:
    """A card is one model, or a recorded set of models; its `name` is the model's id."""
    found, definitions = models_json_schema(
        [(ModelInfo, "validation"), (RecordedSet, "validation")]
    )
    for nested in (*_models_in(ModelInfo), *_models_in(RecordedSet)):
        part = definitions["$defs"][nested.__name__]
        definitions["$defs"][nested.__name__] = _with_own_descriptions(part, nested)
    for model in (ModelInfo, RecordedSet):
        reference = found[model, "validation"]["$ref"].rpartition("/")[2]
        part = _as_card(_with_descriptions(definitions["$defs"][reference], model))
        properties = part["properties"]
        properties["name"] = properties.pop("model_id") | {"title": "Name"}
        properties["purpose"] = {"type": "string", "description": "Its purpose, in one line."}
        part["required"] = ["name", *(n for n in part.get("required", ()) if n != "model_id")]
        definitions["$defs"][reference] = part
    for name in ("ModelCost", "LongPromptCost", "CostChange"):
        _add_prices_per_million(definitions["$defs"][name])
    recorded = {"properties": {"name": {"pattern": "^recorded:"}}, "required": ["name", "models"]}
    return {
        "if": recorded,
        "then": {"$ref": found[RecordedSet, "validation"]["$ref"]},
        "else": {"$ref": found[ModelInfo, "validation"]["$ref"]},
        **definitions,
    }


_SCHEMAS: Final[Mapping[str, Callable[[], Schema]]] = {
    "grid": _grid,
    "model": _model,
    "dataset": _dataset,
    "suite": _suite,
    "evaluator": _evaluator,
    "architecture": _architecture,
    "signature": _signature,
}
_SINGULAR: Final = {f"{name}s": name for name in _SCHEMAS}


def _as_card(schema: Schema) -> Schema:
    """Return the schema with the keys that any card may have beside those of its kind."""
    (override,) = ENVELOPE
    return schema | {"properties": {**schema["properties"], override: _OVERRIDE}}


def _add_prices_per_million(schema: Schema) -> None:
    """Let each price per thousand tokens be given per million instead."""
    prices = [name for name in schema["properties"] if name.endswith("_per_thousand")]
    for name in prices:
        per_million = name.replace("thousand", "million")
        about = f"`{name}` for 1,000,000 tokens; only one of the two is given."
        schema["properties"][per_million] = {"type": "number", "minimum": 0, "description": about}
        if name in schema.get("required", ()):
            schema["required"].remove(name)
            either = [{"required": [name]}, {"required": [per_million]}]
            schema.setdefault("allOf", []).append({"oneOf": either})


def _described(model: type[BaseModel]) -> Schema:
    schema = model.model_json_schema()
    return _with_descriptions(schema, model)


def _with_descriptions(schema: Schema, model: type[BaseModel]) -> Schema:
    """Return the schema with the text below each field, or under `Attributes:`, as description."""
    models = {found.__name__: found for found in (model, *_models_in(model))}
    definitions = {
        name: _with_own_descriptions(part, models[name]) if name in models else part
        for name, part in schema.get("$defs", {}).items()
    }
    described = _with_own_descriptions(schema, model)
    return described | ({"$defs": definitions} if definitions else {})


def _with_own_descriptions(schema: Schema, model: type[BaseModel]) -> Schema:
    texts = dict(_field_texts(model))
    for field, info in model.model_fields.items():
        if info.alias is not None and field in texts:
            texts[info.alias] = texts[field]
    properties = {
        name: part | ({"description": texts[name]} if name in texts else {})
        for name, part in schema.get("properties", {}).items()
    }
    return schema | ({"properties": properties} if properties else {})


def _with_attributes(schema: Schema, cls: type) -> Schema:
    """Return the schema with the entries below `Attributes:` of a class and its bases."""
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        texts |= attribute_texts(base.__doc__ or "")
    properties = {
        name: {"description": texts[name]} | part if name in texts else part
        for name, part in schema["properties"].items()
    }
    return schema | {"properties": properties}


def _models_in(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield the models of a model's fields, and those of theirs."""
    waiting, seen = [model], {model}
    while waiting:
        for field in waiting.pop().model_fields.values():
            for part in _parts(field.annotation):
                if isinstance(part, type) and issubclass(part, BaseModel) and part not in seen:
                    seen.add(part)
                    waiting.append(part)
                    yield part


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _parts(part)


@cache
def _field_texts(model: type[BaseModel]) -> Mapping[str, str]:
    """Return the text that stands below each field of a model and of its bases."""
    texts: dict[str, str] = {}
    for cls in reversed([c for c in model.__mro__ if issubclass(c, BaseModel) and c != BaseModel]):
        texts |= attribute_texts(cls.__doc__ or "")
        (parsed,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        body = parsed.body if isinstance(parsed, ast.ClassDef) else []
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                match text:
                    case ast.Expr(ast.Constant(str(said))):
                        texts[field.target.id] = " ".join(said.split())
    return texts


def attach_schema(kind: str, file: Path) -> None:
    """Write the schema of `kind` beside a YAML file, and name it in the file's first line.

    Editors read the line (the YAML language server's modeline); ember-bench does not.

    Raises:
        OSError: if the file cannot be read, or either cannot be written.
    """
    text = file.read_text(encoding="utf-8")
    name = _SINGULAR.get(kind, kind)
    schema = file.parent / _FOLDER / f"{name}.json"
    schema.parent.mkdir(exist_ok=True)
    schema.write_text(json.dumps(schema_of(kind), indent=1) + "\n", encoding="utf-8")
    line = f"{_MODELINE}{_FOLDER}/{schema.name}\n"
    if not text.startswith(_MODELINE):
        file.write_text(line + text, encoding="utf-8")
    elif not text.startswith(line):
        file.write_text(line + text.partition("\n")[2], encoding="utf-8")
