"""Cards of operators: the nodes of architecture cards, and saved operators.

An argument is plain data, or a mapping that stands for an object: another operator (`operator:
...`), a Python function (`callable: package.module:name`), an LM module (`lm_module: ...`) or a
signature (`signature: ...`). A text `$name` is a parameter of the architecture around it; `$$` is
a dollar sign, and `${NAME}` stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, create_model

from ember_bench.docstrings import attribute_texts
from ember_bench.documents import Document
from ember_bench.errors import ConfigError, EmberBenchError, UnknownNameError
from ember_bench.models.service import ModelService
from ember_bench.operators.base import Operator, operator_class
from ember_bench.operators.lm import LMModule, LMModuleConfig
from ember_bench.operators.parameters import sampling_values
from ember_bench.operators.references import reference, resolve
from ember_bench.operators.signature import (
    Signature,
    SignatureFields,
    builtin_cards,
    builtin_signatures,
    signature_from_card,
)
from ember_bench.operators.tree import constructor_parameters, is_default
from ember_bench.registry import Cards

_STAND_INS: Final = ("operator", "callable", "lm_module", "signature")


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_CardT = TypeVar("_CardT", bound=_Card)


def _with_sampling_parameters(card: type[_CardT]) -> type[_CardT]:
    """Return the model of a card with a field for each of `LMModuleConfig` but the model's name."""
    fields: dict[str, Any] = {
        name: (Any, Field(default=info.default, description=texts[name]))
        for texts in (attribute_texts(LMModuleConfig.__doc__ or ""),)
        for name, info in LMModuleConfig.model_fields.items()
        if name != "model_name"
    }
    return create_model(
        card.__name__, __base__=card, __doc__=card.__doc__, __module__=card.__module__, **fields
    )


@_with_sampling_parameters
class LMCard(_Card):
    """LM modules of a node: `count` of them for each model."""

    model: Any
    """A model id, or a list of them."""
    count: Any = 1
    """The number of LM modules per model."""
    sampling: str | None = None
    """Sampling parameters that are not given here are parameters of the architecture, by their
    names behind this text: `""` for `top_p`, `judge_` for `judge_top_p`."""
    shared: str | None = None
    """Cards with the same text here are one LM module in several places."""


class NodeCard(_Card):
    """One node of a graph, or an operator within a node."""

    operator: str
    """Name of an operator class."""
    inputs: list[str] = Field(default_factory=list)
    """Nodes whose outputs it receives."""
    lm_modules: list[LMCard] | None = None
    """Its LM modules."""
    signature: str | SignatureFields | None = None
    """Name of a card in `registry/signatures/`, its fields, a template (any text with a `{`), or
    `$name` of a parameter; by default the operator's own."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Other arguments of the operator; a mapping with `operator` in it becomes an operator."""


class Builder:
    """Builds operators from their cards, with `$name` replaced by parameters.

    Args:
        parameters: By name.
        service: The service of the LM modules; by default one for the registries in force.
        cards: The known signatures; by default those of the built-in registry.
        implied: Values of implied parameters, for LM modules with `sampling`. A parameter on the
            architecture's own card may have the name of a sampling parameter and is none.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any] | None = None,
        service: ModelService | None = None,
        cards: Cards | None = None,
        implied: Mapping[str, Any] | None = None,
    ) -> None:
        self.parameters = parameters or {}
        self.service = service
        self.cards = cards or builtin_cards()
        self.implied = implied or {}
        self._shared: dict[str, list[LMModule]] = {}

    def operator(self, node: NodeCard) -> Operator:
        """Return the operator that the card describes.

        Raises:
            ConfigError: if it contains an unknown name.
            ValueError, TypeError: if the operator rejects its arguments.
        """
        cls = operator_class(node.operator)
        arguments = {name: self.value(value) for name, value in node.arguments.items()}
        if node.lm_modules is not None:
            arguments["lm_modules"] = [lm for card in node.lm_modules for lm in self.modules(card)]
        if node.signature is not None:
            arguments["signature"] = self.signature(node.signature)
        return cls(**arguments)

    def modules(self, card: LMCard) -> list[LMModule]:
        """Return the LM modules that a card describes."""
        if card.shared is not None and card.shared in self._shared:
            return self._shared[card.shared]
        given = card.model_dump(exclude={"shared", "sampling"}, exclude_defaults=True)
        fields = {name: self.value(value) for name, value in given.items()}
        models, count = fields.pop("model"), fields.pop("count", 1)
        fields = {name: value for name, value in fields.items() if value is not None}
        if card.sampling is not None:
            implied = sampling_values(self.implied, card.sampling)
            fields = {k: v for k, v in implied.items() if k not in given} | fields
        config = [
            LMModuleConfig(model_name=model, **fields)
            for model in (models if isinstance(models, list) else [models])
            for _ in range(count)
        ]
        modules = [LMModule(entry, service=self.service) for entry in config]
        if card.shared is not None:
            self._shared[card.shared] = modules
        return modules

    def signature(self, card: str | Mapping[str, Any] | SignatureFields) -> Signature | None:
        """Return the signature of this name, of a parameter, or with this template or fields.

        None stands for the operator's own.
        """
        if isinstance(card, SignatureFields):
            return card.signature()
        if isinstance(card, Mapping):
            return SignatureFields.model_validate(card).signature()
        if card.startswith("$") and "{" not in card:
            value = self._parameter(card[1:])
            return None if value is None else self.signature(value)
        if "{" in card:
            template = SignatureFields(prompt_template=card)
            return template.signature()
        return signature_from_card(card, self.cards)

    def value(self, value: Any) -> Any:
        """Return the object that an argument stands for."""
        # `${NAME}` is a variable of the environment, and read when a request is sent.
        if isinstance(value, str) and value.startswith("$") and not value.startswith("${"):
            return value[1:] if value.startswith("$$") else self._parameter(value[1:])
        if isinstance(value, list | tuple):
            return [self.value(entry) for entry in value]
        if isinstance(value, dict):
            return self._mapping(value)
        return value

    def _mapping(self, value: dict[str, Any]) -> Any:
        match _stand_in(value), value:
            case "operator", _:
                card = NodeCard.model_validate(value)
                if card.inputs:
                    raise ValueError(f"{card.operator}: only the node of a graph has inputs")
                return self.operator(card)
            case "callable", {"callable": name}:
                return resolve(name)
            case "lm_module", {"lm_module": card}:
                return self.modules(LMCard.model_validate(card))[0]
            case "signature", {"signature": str(name)}:
                return self.signature(name)
            case "signature", {"signature": fields}:
                return self.signature(SignatureFields.model_validate(fields))
            case _:
                return {key: self.value(entry) for key, entry in value.items()}

    def _parameter(self, name: str) -> Any:
        if name not in self.parameters:
            raise UnknownNameError("parameter", name, self.parameters)
        return self.parameters[name]


def _stand_in(value: Mapping[str, Any]) -> str | None:
    """Return the one of `_STAND_INS` that a mapping is; None if it is plain data."""
    if isinstance(value.get("operator"), str):
        return "operator"
    if len(value) != 1:
        return None
    (key, inner), = value.items()  # fmt: skip
    fits = isinstance(inner, str) if key == "callable" else isinstance(inner, str | dict)
    return key if key in _STAND_INS and key != "operator" and fits else None


def card_of(operator: Operator) -> NodeCard:
    """Return the card of an operator, from which `Builder` creates an equivalent one.

    LM modules are written with their model's id; one in several places stays one. A user's class
    can be saved if it is registered with `@operator` and keeps the arguments of its constructor in
    attributes of the same names.

    Raises:
        ConfigError: naming the value that cannot be written, such as a lambda.
    """
    return _Writer(operator).node(operator)


class _Writer:
    """Writes the card of an operator and of all within it."""

    def __init__(self, operator: Operator) -> None:
        self._places: Counter[int] = Counter()
        self._shared: dict[int, str] = {}
        self.node(operator)  # to count
        several = [key for key, count in self._places.items() if count > 1]
        self._shared = {key: f"lm{number}" for number, key in enumerate(several)}

    def node(self, operator: Operator) -> NodeCard:
        cls = type(operator)
        _check_is_found(cls)
        parameters = constructor_parameters(cls)
        fields: dict[str, Any] = {"operator": cls.__name__}
        if operator.lms and "lm_modules" in parameters:
            fields["lm_modules"] = self._modules(operator.lms)
        if "signature" in vars(operator) and "signature" in parameters:
            fields["signature"] = _signature(vars(operator)["signature"])
        arguments: dict[str, Any] = {}
        for name, parameter in parameters.items():
            if name in ("lm_modules", "signature"):
                continue
            try:
                value = getattr(operator, name)
            except AttributeError:
                raise ConfigError(
                    f"{cls.__name__} cannot be saved: it has no attribute {name!r} with the "
                    "constructor's argument of that name"
                ) from None
            if not is_default(value, parameter.default):
                arguments[name] = self._value(value, f"{cls.__name__}.{name}")
        return NodeCard(**fields, arguments=arguments)

    def _modules(self, lms: Sequence[LMModule]) -> list[LMCard]:
        cards = []
        for card, equal in groupby(self._module(lm) for lm in lms):
            count = len(list(equal))
            if card.shared is not None:
                cards += [card] * count
            else:
                cards.append(card.model_copy(update={"count": count}))
        return cards

    def _module(self, lm: LMModule) -> LMCard:
        self._places[id(lm)] += 1
        given = lm.config.model_dump(exclude_defaults=True, exclude={"model_name"})
        fields = {name: self._value(value, name) for name, value in given.items()}
        return LMCard(model=lm.model.model_id, **fields, shared=self._shared.get(id(lm)))

    def _value(self, value: Any, where: str) -> Any:
        written = value
        match value:
            case str() if value.startswith("$"):
                written = f"${value}"
            case None | str() | bool() | int() | float():
                pass
            case list() | tuple():
                written = [self._value(entry, where) for entry in value]
            case Mapping():
                written = {self._key(k, where): self._value(v, where) for k, v in value.items()}
                if _stand_in(written) is not None:
                    raise ConfigError(f"{where} cannot be saved: {value!r} reads as an object")
            case _:
                written = self._written_stand_in(value, where)
        return written

    def _written_stand_in(self, value: Any, where: str) -> dict[str, Any]:
        match value:
            case Operator():
                return self.node(value).model_dump(exclude_defaults=True)
            case LMModule():
                return {"lm_module": self._module(value).model_dump(exclude_defaults=True)}
            case Signature():
                card = _signature(value)
                if isinstance(card, str):
                    return {"signature": card}
                return {"signature": card.model_dump(exclude_defaults=True)}
            case _ if callable(value):
                try:
                    return {"callable": reference(value)}
                except ConfigError as error:
                    raise ConfigError(f"{where} cannot be saved: {error}") from None
            case _:
                raise ConfigError(f"{where} cannot be saved: {value!r} is not plain data")

    def _key(self, key: Any, where: str) -> str:
        if not isinstance(key, str):
            raise ConfigError(f"{where} cannot be saved: the key {key!r} is not a text")
        return key


def save_operator(operator: Operator, path: Path | str) -> None:
    """Write the operator's card as YAML; see `card_of`.

    Raises:
        ConfigError: naming the value that cannot be written.
    """
    data = card_of(operator).model_dump(mode="json", exclude_defaults=True)
    Path(path).write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))


def operator_of_card(
    document: Document, service: ModelService | None, cards: Cards | None
) -> Operator:
    """Return the operator whose card a document is; imports the functions that it names.

    Args:
        document: A file written by `save_operator`, or by hand.
        service: The service of the LM modules; by default one for the registries in force.
        cards: The known signatures; by default those of the built-in registry.

    Raises:
        ConfigError: with the place in the file.
    """
    card = document.parse(NodeCard)
    try:
        return Builder(service=service, cards=cards).operator(card)
    except (EmberBenchError, TypeError, ValueError) as error:
        raise ConfigError(document.problem(str(error), "operator")) from error


def _check_is_found(cls: type[Operator]) -> None:
    try:
        found = operator_class(cls.__name__) is cls
    except UnknownNameError:
        found = False
    if not found:
        raise ConfigError(
            f"{cls.__name__} cannot be saved: no operator is registered under that name; "
            "decorate the class with @operator"
        )


def _signature(signature: Signature) -> str | SignatureFields:
    """Return the name of an equal built-in signature, else the fields."""
    fields = SignatureFields.of(signature)
    for name, card in builtin_signatures().items():
        if SignatureFields.of(card) == fields:
            return name
    return fields
