"""The base class of providers, and their registry."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.models.call import Call, Request
from ember_bench.models.info import Feature, ModelInfo
from ember_bench.models.presets import PRESETS
from ember_bench.models.providers.wanted import (
    Wanted,
    features,
    no_effort,
    refused_choice,
    refused_effort,
)
from ember_bench.models.strand import TrialContext
from ember_bench.models.types import Completion

if TYPE_CHECKING:
    from pydantic import BaseModel, SecretStr

    from ember_bench.documents import Document
    from ember_bench.models.batch.api import BatchApi
    from ember_bench.models.recorded.places import Place

ProviderT = TypeVar("ProviderT", bound="type[Provider]")

_MOST_REMEMBERED: Final = 1_000

EXTRAS: Final = frozenset({"headers", "extra_body"})
"""Fields of cards that are sent as they are."""


class Provider:
    """Asks one model; one instance serves one model in one process.

    A provider translates: request in, completion out, errors as `ProviderError` with `retryable`
    set. It knows nothing of stores, retries, limits or prices.

    Attributes:
        simulated: Its answers are made up by us, and everything computed from them says so.
        instant: It answers without waiting for anything, so nothing is lost if it is cancelled.
        replays: Its answers are old ones; asking costs nothing now, whatever it cost then.
        batches: It has a batch API (`mode: batch`).
        direct: It can be asked without an SDK (`transport: direct`).
        extras: Fields of cards that it passes on as they are: `headers`, `extra_body`.
        streams: Its answers can come as streams (`stream: true`).
        entra: It can be asked with Microsoft Entra's credentials (`credentials: entra`).
        card_options: The model of the `options` on cards; None takes any.
    """

    simulated: ClassVar[bool] = False
    instant: ClassVar[bool] = False
    replays: ClassVar[bool] = False
    batches: ClassVar[bool] = False
    direct: ClassVar[bool] = False
    extras: ClassVar[frozenset[str]] = frozenset()
    streams: ClassVar[bool] = False
    entra: ClassVar[bool] = False
    card_options: ClassVar[type[BaseModel] | None] = None

    def __init__(self, model: ModelInfo) -> None:
        for problem in (self.no_direct(model), self.no_stream(model), self.no_entra(model)):
            if problem is not None:
                raise ConfigError(problem)
        self.model = model
        self._taken: set[Wanted] = set()

    async def complete(self, call: Call) -> Completion:
        """Answer one call.

        Raises:
            ProviderError: if there is no answer.
        """
        raise NotImplementedError

    def replay(self, call: Call) -> tuple[Completion, Place | None]:
        """Return the recorded answer to a call; of providers that have `replays`.

        With its place in a recording if it can be read again there, so that nothing need keep it.

        Raises:
            ProviderError: if there is none.
        """
        raise NotImplementedError

    def context(self, trial: TrialContext) -> str:
        """Return what the answer depends on beside the request, as part of the call key.

        "" for a model that answers what it is asked; the item for one that does not read it.
        """
        del trial
        return ""

    def by_turn(self, role: str) -> bool:
        """Return whether an answer depends on what was asked before in the trial (`Call.turn`)."""
        del role
        return False

    def all_keys(self) -> tuple[SecretStr, ...]:
        """Return the keys that the model may be asked with; none where it has no need of any.

        Raises:
            ConfigError: if one is missing.
        """
        return self.model.keys

    def for_each_key(self) -> tuple[Provider, ...]:
        """Return what asks the model with each of its keys; itself where there are not several.

        Raises:
            ConfigError: if a key is missing.
        """
        keys = self.all_keys()
        if len(keys) < 2:
            return (self,)
        return tuple(type(self)(self.model.model_copy(update={"api_key": key})) for key in keys)

    def samples_needed(self, call: Call) -> int:
        """Return the number of samples that its item must have for `call` in every epoch.

        0 for a model that makes its answers.

        Raises:
            ProviderError: if no sample can be the answer.
        """
        del call
        return 0

    def some_items(self) -> tuple[str, ...]:
        """Return ids of items, a few of them, to which answers were recorded."""
        return ()

    def samples_of(self, item: str) -> int:
        """Return the number of samples of an item, by its id; 0 without a recording of it."""
        del item
        return 0

    def question_of(self, item: str) -> str | None:
        """Return the text of the question that was recorded with an item, by its id."""
        del item
        return None

    @property
    def has_texts(self) -> bool:
        """Whether it answers with texts; a recording may have scores alone."""
        return True

    async def close(self) -> None:
        """Let go of connections."""

    def batch_api(self) -> BatchApi:
        """Return what submits calls in batches.

        Raises:
            ConfigError: if there is no such API.
        """
        raise ConfigError(no_batches(self.model))

    @classmethod
    def check(cls, models: Iterable[ModelInfo]) -> None:
        """See that those of `models` that are this provider's can be asked, before any is.

        Raises:
            ConfigError: if a key or a file is missing.
        """
        del models

    @classmethod
    def lacks(cls, model: ModelInfo) -> Mapping[Feature, str]:
        """Return what the provider's API has no place for, and what to do instead ("": nothing).

        What one model does not take, of all that its API does, stands on its card
        (`ModelInfo.unsupported_parameters`).
        """
        del model
        return {}

    @classmethod
    def unsupported(cls, request: Request) -> list[str]:
        """Return what `request` asks for that cannot be had, one message for each.

        An adapter that must look at values (no more than four `stop` texts, say) adds to these;
        it sees only what `Wanted` has.

        Raises:
            ConfigError: if the model's options are wrong.
        """
        model = request.model
        lacking = {**dict.fromkeys(model.unsupported_parameters, ""), **cls.lacks(model)}
        return [
            f"{model.model_id} does not take {name}" + (f": {advice}" if advice else "")
            for name in features(request)
            if (advice := lacking.get(name)) is not None
        ] + list(refused_effort(request))

    def refuse_unsupported(self, request: Request) -> None:
        """See that the model takes all that `request` asks for: nothing is dropped in silence.

        Raises:
            ConfigError: with each thing that it does not take.
        """
        wanted = Wanted.of(request)
        if wanted not in self._taken:
            # Tools come with the requests of operators, so a choice is not checked before one.
            if problems := [*self.unsupported(request), *refused_choice(request)]:
                raise ConfigError(*problems)
            if len(self._taken) >= _MOST_REMEMBERED:
                self._taken.clear()
            self._taken.add(wanted)

    @classmethod
    def content(cls, model: ModelInfo) -> str:
        """Return what beside its card determines the model's answers, such as a file's digest."""
        del model
        return ""

    @classmethod
    def longest_answer(cls, request: Request) -> int | None:
        """Return the most tokens, thoughts among them, that an answer can have.

        What a budget reserves rests on it, so it must be a bound; None if nothing limits an answer.
        """
        asked, model = request.parameters, request.model
        sent = asked.max_tokens if asked.max_tokens is not None else cls.default_max_tokens(model)
        # Some adapters add the thinking tokens to the answer's.
        limit = None if sent is None else sent + (asked.thinking_tokens or 0)
        bounds = (limit, model.max_output_tokens, model.context_tokens)
        return min((bound for bound in bounds if bound is not None), default=None)

    @classmethod
    def default_max_tokens(cls, model: ModelInfo) -> int | None:
        """Return the `max_tokens` that is sent for calls without one; None for none."""
        del model
        return None

    @classmethod
    def models_of(cls, document: Document) -> list[ModelInfo]:
        """Return the models that a card of this provider describes.

        Raises:
            ConfigError: with each mistake's place in the card.
        """
        model = document.parse(ModelInfo)
        if model.mode == "batch" and not cls.batches:
            raise ConfigError(document.problem(no_batches(model), "mode"))
        if (problem := cls.no_direct(model)) is not None:
            raise ConfigError(document.problem(problem, "transport"))
        for field, said in cls._card_problems(model):
            if field[0] in document.data:
                raise ConfigError(document.problem(said, *field))
        if (problem := cls.no_stream(model)) is not None:
            raise ConfigError(document.problem(problem, "stream"))
        if (problem := cls.no_entra(model)) is not None:
            raise ConfigError(document.problem(problem, "provider", "credentials"))
        if cls.card_options is not None and "options" in document.data:
            document.sub("options").parse(cls.card_options)
        return [model]

    @classmethod
    def _card_problems(cls, model: ModelInfo) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield the place and the message of each setting that the model cannot have."""
        if not (cls.simulated or cls.replays):
            for name in sorted(EXTRAS - cls.extras):
                yield (name,), f"{model.model_id}: {name}: {model.provider_name} cannot send them"
        effort = model.options.get("reasoning_effort")
        if isinstance(effort, str) and effort not in (model.reasoning_efforts or (effort,)):
            yield ("options", "reasoning_effort"), no_effort(model, effort)

    @classmethod
    def no_direct(cls, model: ModelInfo) -> str | None:
        """Return why the model cannot be asked without an SDK; None if it can, or need not be."""
        if model.transport != "direct":
            return None
        if not cls.direct:
            name = model.provider_name
            return f"{model.model_id}: transport: direct: {name} is asked in its own way only"
        if model.mode == "batch":
            return f"{model.model_id}: transport: direct: batches are asked through the SDK"
        return None

    @classmethod
    def no_stream(cls, model: ModelInfo) -> str | None:
        """Return why answers cannot come as streams; None if they can, or need not."""
        if not model.stream:
            return None
        if not cls.streams:
            return f"{model.model_id}: stream: true: {model.provider_name} does not stream here"
        if model.mode == "batch":
            return f"{model.model_id}: stream: true: batches do not stream"
        return None

    @classmethod
    def no_entra(cls, model: ModelInfo) -> str | None:
        """Return why Microsoft Entra's credentials are of no use; None if they are, or not used."""
        if model.provider.credentials != "entra" or cls.entra:
            return None
        name = model.provider_name
        return f"{model.model_id}: credentials: entra: for models of Azure, and not {name}"


def no_batches(model: ModelInfo) -> str:
    """Return what is wrong with `mode: batch` where there is no batch API."""
    return f"{model.model_id}: mode: batch: {model.provider_name} has no batch API here"


_BUILT_IN: Final = {
    "anthropic": "ember_bench.models.providers.anthropic",
    "google": "ember_bench.models.providers.google",
    "google-legacy": "ember_bench.models.providers.google_legacy",
    "litellm": "ember_bench.models.providers.litellm",
    "openai": "ember_bench.models.providers.openai",
    "recorded": "ember_bench.models.providers.recorded",
    "simulated": "ember_bench.models.providers.simulated",
}
_providers: dict[str, type[Provider]] = {}


def provider(name: str) -> Callable[[ProviderT], ProviderT]:
    """Register a `Provider` class under `name`, the part of a model id before the colon.

    Raises:
        ConfigError: if a preset has that name.
    """
    if name.lower() in PRESETS:
        raise ConfigError(f"@provider({name!r}): a preset has this name; choose another")

    def register(cls: ProviderT) -> ProviderT:
        _providers[name.lower()] = cls
        return cls

    return register


def provider_class(name: str) -> type[Provider]:
    """Return the provider registered under `name`, importing it if it is built in or installed.

    Raises:
        UnknownNameError: if there is none.
    """
    name = name.lower()
    if name not in _providers:
        installed = {p.name.lower(): p for p in entry_points(group="ember_bench.providers")}
        if name in _BUILT_IN:
            importlib.import_module(_BUILT_IN[name])
        elif name in installed:
            _providers[name] = installed[name].load()
        else:
            raise UnknownNameError("provider", name, {*_BUILT_IN, *installed, *_providers})
    return _providers[name]
