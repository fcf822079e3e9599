"""Signatures: the inputs, the prompt and the output of an operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ember_bench.errors import ConfigError, Problem, SignatureError
from ember_bench.models.media import Image
from ember_bench.models.types import Message
from ember_bench.operators.dspy_signatures import dspy_signature, fields_from_dspy
from ember_bench.operators.instructions import PLACEHOLDER
from ember_bench.operators.references import reference, resolve
from ember_bench.registry import Cards, builtin_root

if TYPE_CHECKING:
    import dspy


class Signature(BaseModel):
    """The inputs, the prompt and the output of an operator; subclass it to set defaults.

    Attributes:
        required_inputs: Fields that the inputs must have.
        prompt_template: The prompt, with `{field}` for each input; `{{` and `}}` are braces. Only
            plain names are replaced, and the inserted texts are not searched for names.
        structured_output: A pydantic model of the output.
        input_model: A pydantic model of the inputs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    required_inputs: list[str] = Field(default_factory=list)
    prompt_template: str | None = None
    structured_output: type[BaseModel] | None = None
    input_model: type[BaseModel] | None = None

    @model_validator(mode="after")
    def _template_is_well_formed(self) -> Signature:
        for match in PLACEHOLDER.finditer(self.prompt_template or ""):
            if match.group() in "{}":
                raise ValueError(
                    f"prompt_template: lone {match.group()!r} at character {match.start() + 1}; "
                    f"write {match.group() * 2!r} for a brace"
                )
        return self

    @classmethod
    def from_dspy(cls, signature: type[dspy.Signature] | str) -> Self:
        """Return what a signature of DSPy says: its instructions, fields, types and descriptions.

        One output that is a text is asked for as text; others are the fields of
        `structured_output`.

        Args:
            signature: A subclass of `dspy.Signature`, or a text such as `"question -> answer"`.

        Raises:
            ConfigError: if it is neither, or DSPy is not installed.
        """
        return cls(**fields_from_dspy(signature))

    def to_dspy(self) -> type[dspy.Signature]:
        """Return this as a signature of DSPy, of which `from_dspy` makes this one again.

        A template with more text than instructions before labelled inputs is all instructions
        there, with `{name}` for its inputs. The output of a signature without `structured_output`
        is a text, `answer` if its template has no name for it.

        Raises:
            ConfigError: if DSPy is not installed.
        """
        return dspy_signature(
            self.prompt_template, self.required_inputs, self.structured_output, self.input_model
        )

    @property
    def placeholders(self) -> list[str]:
        """The names in `prompt_template`, in order, each once."""
        return list(dict.fromkeys(name for _, name in _pieces(self.prompt_template or "") if name))

    def check_inputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs, validated.

        Raises:
            SignatureError: naming the fields that are missing or wrong.
        """
        missing = [name for name in self.required_inputs if name not in inputs]
        if missing:
            raise missing_input(missing, inputs)
        if self.input_model is None:
            return dict(inputs)
        fields = {k: v for k, v in inputs.items() if k in self.input_model.model_fields}
        return {**inputs, **_validate(self.input_model, fields, "input")}

    def check_names(self, given: Mapping[str, Any], filled: Sequence[str] | None = None) -> None:
        """Check that `check_inputs` and `render` will have the inputs of these names.

        Args:
            given: What there will be.
            filled: Names that are filled in beside it; None if the prompt need not be rendered.

        Raises:
            SignatureError: naming the fields that are missing.
        """
        cls = type(self)  # a subclass may add inputs
        if cls.check_inputs is not Signature.check_inputs:
            return
        needed = dict.fromkeys([*self.required_inputs, *_needed_fields(self.input_model)])
        if missing := [name for name in needed if name not in given]:
            raise missing_input(missing, given)
        if filled is not None and (cls.render, cls.ask) == _PLAIN[1:]:
            self.check_rendering(given, *filled)

    def fields_used(self, filled: Sequence[str]) -> set[str] | None:
        """Return the inputs that it may use, beside those that are filled in; None if not known."""
        cls = type(self)
        if (cls.check_inputs, cls.render, cls.ask) != _PLAIN:
            return None
        fields = [] if self.input_model is None else self.input_model.model_fields
        return {*self.required_inputs, *self.placeholders, *fields}.difference(filled)

    def check_output(self, output: Any) -> Any:
        """Return the output, cast to `structured_output` if there is one, as a dict.

        Text is parsed as JSON.

        Raises:
            SignatureError: naming the fields that are missing or wrong.
        """
        if self.structured_output is None:
            return output
        return _validate(self.structured_output, output, "output")

    def render(self, inputs: Mapping[str, Any]) -> str:
        """Return the prompt with the inputs inserted.

        A name that is no input may be that of a field in the input `metadata`: of a list, an entry
        to a line.

        Raises:
            SignatureError: if there is no template, or an input that it names is missing.
        """
        if self.prompt_template is None:
            raise SignatureError(f"{type(self).__name__} has no prompt_template")
        pieces = _pieces(self.prompt_template)
        try:
            return "".join([text if name is None else str(inputs[name]) for text, name in pieces])
        except KeyError:
            missing = [name for name in self.placeholders if name not in inputs]
            if not missing:
                raise
        self.check_rendering(inputs)
        fields = _metadata(inputs)
        return self.render({**inputs, **{name: _listed(fields[name]) for name in missing}})

    def ask(self, inputs: Mapping[str, Any]) -> str | list[Message]:
        """Return what a model is asked: the prompt, with the `images` of the inputs before it.

        Raises:
            SignatureError: as `render`; also if `images` are none, or there are `messages`, which
                would not be shown.
        """
        prompt = self.render(inputs)
        if "messages" in inputs and "messages" not in self.placeholders:
            _refuse_messages(inputs["messages"])
        if not (images := inputs.get("images")):
            return prompt
        if isinstance(images, str | Image) or not all(isinstance(i, Image) for i in images):
            raise SignatureError("images: expected a list of Image, such as [Image.read('a.png')]")
        return [Message("user", prompt, tuple(images))]

    def check_rendering(self, inputs: Mapping[str, Any], *later: str) -> None:
        """Check that `render` will have what the prompt names, before anything is asked.

        Args:
            inputs: What is there already.
            later: Names of what will be there by then.

        Raises:
            SignatureError: if an input that the template names is missing.
        """
        missing = [n for n in self.placeholders if n not in later and n not in inputs]
        if missing and (missing := [n for n in missing if n not in _metadata(inputs)]):
            raise missing_input(missing, inputs, ", which the prompt template names")


def _needed_fields(model: type[BaseModel] | None) -> list[str]:
    """Return the fields that the inputs must have for `model`; none if it may make some itself."""
    if model is None or model.__pydantic_decorators__.model_validators:
        return []
    return [name for name, field in model.model_fields.items() if field.is_required()]


_PLAIN: Final = (Signature.check_inputs, Signature.render, Signature.ask)


def _refuse_messages(messages: Any) -> None:
    """Refuse a conversation under a name by which no model would see it."""
    if isinstance(messages, list | tuple) and any(
        isinstance(m, Message) or (isinstance(m, Mapping) and "role" in m) for m in messages
    ):
        raise SignatureError(
            "messages: a model would not see them; the messages before a question are `turns`, a "
            "list of Message"
        )


def missing_input(names: Sequence[str], inputs: Mapping[str, Any], why: str = "") -> SignatureError:
    """Return the error for inputs that are not given, with names among them that come near."""
    listed = ", ".join(map(repr, names))
    given = ", ".join(map(repr, inputs)) or "none"
    near = [n for name in names for n in get_close_matches(name, map(str, inputs), n=1)]
    hint = f"; is {', '.join(map(repr, near))} misspelt?" if near else ""
    return SignatureError(f"missing input {listed}{why}; given: {given}{hint}")


def required_input(name: str, inputs: Mapping[str, Any]) -> Any:
    """Return the input `name`.

    Raises:
        SignatureError: if it is not given.
    """
    if name not in inputs:
        raise missing_input([name], inputs)
    return inputs[name]


def as_signature(given: Signature | type[Signature] | None, default: str) -> Signature:
    """Return `given`, of a class its instance with the defaults; by default a built-in one."""
    if given is None:
        return builtin_signature(default)
    return as_instance(given)


def as_instance(given: object) -> Signature:
    """Return a signature, of a class its instance with the defaults.

    Raises:
        TypeError: if it is something else.
    """
    if isinstance(given, Signature):
        return given
    if isinstance(given, type) and issubclass(given, Signature):
        return given()
    hint = "; write Signature(prompt_template=...)" if isinstance(given, str) else ""
    name = getattr(given, "__name__", type(given).__name__)
    raise TypeError(f"signature: expected a Signature, found {name}{hint}")


def _metadata(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    found = inputs.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _listed(value: Any) -> str:
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@lru_cache(maxsize=1024)
def _pieces(template: str) -> tuple[tuple[str, str | None], ...]:
    """Return the pieces of a prompt: each a text, or else the name of an input."""
    pieces: list[tuple[str, str | None]] = []
    end = 0
    for match in PLACEHOLDER.finditer(template):
        brace = match[0][0] if match[1] is None else ""
        if text := template[end : match.start()] + brace:
            pieces.append((text, None))
        if match[1] is not None:
            pieces.append(("", match[1]))
        end = match.end()
    return (*pieces, (template[end:], None))


def _validate(model: type[BaseModel], value: Any, what: str) -> dict[str, Any]:
    try:
        if isinstance(value, str):
            return model.model_validate_json(value).model_dump()
        return model.model_validate(value, from_attributes=True).model_dump()
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or what}: {e['msg']}" for e in error.errors()
        )
        raise SignatureError(f"{what} does not fit {model.__name__}: {found}") from None


class SignatureFields(BaseModel):
    """A signature in a card; models are given by import path, `package.module:Name`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    required_inputs: list[str] = Field(default_factory=list)
    """Names of the inputs that must be given."""
    prompt_template: str | None = None
    """The prompt; `{name}` stands for an input."""
    structured_output: str | None = None
    """Import path of the pydantic model of the outputs."""
    input_model: str | None = None
    """Import path of the pydantic model of the inputs."""

    @classmethod
    def of(cls, signature: Signature) -> SignatureFields:
        """Return the fields of `signature`.

        Raises:
            ConfigError: if one of its models has no import path.
        """
        models = (signature.structured_output, signature.input_model)
        output, inputs = (reference(model) if model is not None else None for model in models)
        return SignatureFields(
            required_inputs=signature.required_inputs,
            prompt_template=signature.prompt_template,
            structured_output=output,
            input_model=inputs,
        )

    def signature(self) -> Signature:
        """Return the signature that the card describes.

        Raises:
            ConfigError: if the import path of a model is invalid, or is not that of a model.
        """
        return Signature(
            required_inputs=self.required_inputs,
            prompt_template=self.prompt_template,
            structured_output=_model_at(self.structured_output),
            input_model=_model_at(self.input_model),
        )


class SignatureCard(SignatureFields):
    """A card of `registry/signatures/`."""

    name: str
    """Its name; by default the file's."""
    purpose: str = ""
    """Its purpose, in one line."""
    prompt_template: str
    """The prompt; `{name}` stands for an input."""

    @model_validator(mode="after")
    def _is_well_formed(self) -> SignatureCard:
        Signature(prompt_template=self.prompt_template)
        return self


def signature_from_card(name: str, cards: Cards) -> Signature:
    """Return the signature on the card `name`.

    Raises:
        ConfigError: if there is no such card, or it is invalid.
    """
    document = cards.get("signatures", name).document
    card = document.parse(SignatureCard)
    problems: list[Problem] = []
    for field in ("structured_output", "input_model"):
        try:
            _model_at(getattr(card, field))
        except ConfigError as error:
            problems += [document.problem(p.message, field) for p in error.problems]
    if problems:
        raise ConfigError(*problems)
    return card.signature()


def _model_at(name: str | None) -> type[BaseModel] | None:
    if name is None:
        return None
    found = resolve(name)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise ConfigError(f"{name}: is not a pydantic model")
    return found


@lru_cache
def builtin_signature(name: str) -> Signature:
    """Return a signature of the built-in registry, the default of a built-in operator."""
    return signature_from_card(name, builtin_cards())


@lru_cache
def builtin_signatures() -> Mapping[str, Signature]:
    """Return every signature of the built-in registry, by name."""
    return {name: builtin_signature(name) for name in builtin_cards().all("signatures")}


@lru_cache
def builtin_cards() -> Cards:
    """Return the cards of the built-in registry, read once."""
    return Cards([builtin_root()])
