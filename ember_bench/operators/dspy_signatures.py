"""Signatures of DSPy, read and written: instructions, fields with types and descriptions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, Field, create_model

from ember_bench.errors import ConfigError
from ember_bench.operators.instructions import (
    PLACEHOLDER,
    as_template,
    join_template,
    split_template,
)

if TYPE_CHECKING:
    import dspy

# `Label (description): {name}`, and `Label (description):` for what the model is to write.
_INPUT: Final = re.compile(r"(?P<label>[^\n:]*?)(?: \((?P<desc>[^\n]*)\))?: \{(?P<name>\w+)\}")
_OUTPUT: Final = re.compile(r"(?P<label>[^\n:]+?)(?: \((?P<desc>[^\n]*)\))?:")
_ANSWER: Final = "answer"


def require_dspy() -> None:
    """See that DSPy is installed.

    Raises:
        ConfigError: naming the extra.
    """
    try:
        import dspy  # noqa: F401, PLC0415 - an optional dependency
    except ImportError as error:
        raise ConfigError(
            f"DSPy is not installed: pip install 'ember-bench[dspy]' ({error})"
        ) from None


def fields_from_dspy(cls: Any) -> dict[str, Any]:
    """Return the fields of the signature that says what a DSPy signature says.

    Args:
        cls: A subclass of `dspy.Signature`, or a text such as `"question -> answer"`.

    Raises:
        ConfigError: if it is neither.
    """
    require_dspy()
    import dspy  # noqa: PLC0415 - an optional dependency

    if isinstance(cls, str):
        try:
            cls = dspy.Signature(cls)
        except ValueError as error:
            raise ConfigError(f"{cls!r} is no signature of DSPy: {error}") from None
    if not (isinstance(cls, type) and issubclass(cls, dspy.Signature)):
        raise ConfigError(f"expected a subclass of dspy.Signature, found {cls!r}")
    found: Any = cls
    inputs, outputs = found.input_fields, found.output_fields
    shown = [f"{_label(name, field)}: {{{name}}}" for name, field in inputs.items()]
    texts = [name for name, field in outputs.items() if field.annotation is str]
    as_text = len(outputs) == 1 and len(texts) == 1
    shown += [f"{_label(name, outputs[name])}:" for name in texts if as_text]
    typed = any(field.annotation is not str for field in inputs.values())
    return {
        "required_inputs": list(inputs),
        "prompt_template": join_template(found.instructions, "\n".join(shown)),
        "structured_output": None if as_text else _model(f"{found.__name__}Output", outputs),
        "input_model": _model(f"{found.__name__}Input", inputs) if typed else None,
    }


def dspy_signature(
    template: str | None,
    required: list[str],
    output: type[BaseModel] | None,
    inputs: type[BaseModel] | None,
) -> type[dspy.Signature]:
    """Return the DSPy signature of a signature's fields; see `Signature.to_dspy`."""
    require_dspy()
    import dspy  # noqa: PLC0415 - an optional dependency

    instructions, rest = split_template(template or "")
    lines = rest.splitlines()
    written = _OUTPUT.fullmatch(lines[-1]) if lines and output is None else None
    asked = [_INPUT.fullmatch(line) for line in (lines[:-1] if written else lines)]
    found = {match["name"]: match["desc"] for match in asked if match}
    if None in asked or len(found) < len(asked):  # the text around the inputs says more than names
        instructions = _unescaped(template or "")
    named = [match[1] for match in PLACEHOLDER.finditer(template or "") if match[1]]
    names = list(dict.fromkeys([*required, *named, *(inputs.model_fields if inputs else ())]))
    fields: dict[str, tuple[Any, Any]] = {}
    for name in names:
        info = inputs.model_fields.get(name) if inputs else None
        described = _given(found.get(name) or (info.description if info else None))
        fields[name] = (info.annotation if info else str, dspy.InputField(**described))
    if output is None:
        name = re.sub(r"\W+", "_", written["label"].strip().lower()) if written else _ANSWER
        fields[name] = (str, dspy.OutputField(**_given(written["desc"] if written else None)))
    else:
        for name, info in output.model_fields.items():
            fields[name] = (info.annotation, dspy.OutputField(**_given(info.description)))
    made: type[dspy.Signature] = dspy.Signature(fields, instructions or None)
    return made


def _label(name: str, field: Any) -> str:
    extra: Mapping[str, Any] = field.json_schema_extra or {}
    label = str(extra.get("prefix") or name.replace("_", " ").capitalize()).rstrip(": ")
    described = _description(name, field)
    return as_template(f"{label} ({described})" if described else label)


def _description(name: str, field: Any) -> str | None:
    """Return the description that a user gave to a field; DSPy's own is its name."""
    desc = (field.json_schema_extra or {}).get("desc")
    return None if desc in (None, "", f"${{{name}}}") else " ".join(str(desc).split())


def _given(description: str | None) -> dict[str, str]:
    return {"desc": description} if description else {}


def _model(name: str, fields: Mapping[str, Any]) -> type[BaseModel]:
    described: dict[str, Any] = {
        key: (field.annotation, Field(description=_description(key, field)))
        for key, field in fields.items()
    }
    made: type[BaseModel] = create_model(name, **described)
    return made


def _unescaped(template: str) -> str:
    return template.replace("{{", "{").replace("}}", "}")
