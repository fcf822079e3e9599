"""Models by id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Final

from ember_bench.documents import Document
from ember_bench.errors import ConfigError, Problem, UnknownNameError, did_you_mean
from ember_bench.models.info import ModelInfo
from ember_bench.models.presets import PRESETS, preset_of
from ember_bench.models.providers.base import provider_class
from ember_bench.registry import Cards, misplaced

_SHOWN: Final = 3


class ModelRegistry:
    """Models by id (`openai:gpt-4o`), by bare name where only one has it (`gpt-4o`), or by enum.

    A new registry is empty; `ModelRegistry.from_cards()` has every model of the cards.
    """

    def __init__(self) -> None:
        self._models: dict[str, ModelInfo] = {}
        self._broken: dict[str, tuple[Problem, ...]] = {}
        self._roots: Sequence[Path] = ()

    @classmethod
    def from_cards(cls, cards: Cards | None = None) -> ModelRegistry:
        """Return a registry of all models in `cards` (by default the registries in force).

        A model whose card has mistakes is an error when it is asked for.
        """
        registry = cls()
        cards = cards or Cards()
        registry._roots = cards.roots
        registry._broken = {name: card.problems for name, card in cards.broken("models").items()}
        for card in cards.all("models").values():
            try:
                for model in models_of_card(card.document):
                    registry.register_model(model)
            except ConfigError as error:
                registry._broken[card.name] = tuple(
                    p if p.location else card.document.problem(p.message) for p in error.problems
                )
        return registry

    def check_cards(self) -> None:
        """See that all cards can be read.

        Raises:
            ConfigError: with each mistake's place in its card.
        """
        if problems := [problem for card in self._broken.values() for problem in card]:
            raise ConfigError(*problems)

    def register_model(self, model: ModelInfo) -> None:
        """Add a model.

        Raises:
            ConfigError: if its id is taken by another model.
            TypeError: if it is no ModelInfo.
        """
        if not isinstance(model, ModelInfo):
            raise TypeError(f"expected a ModelInfo, found {model!r}; write ModelInfo(model_id=...)")
        known = self._models.get(model.model_id)
        if known is not None and known != model:
            raise ConfigError(f"a different model is already registered as {model.model_id!r}")
        self._models[model.model_id] = model

    def get(self, model: str | Enum | ModelInfo) -> ModelInfo:
        """Return the model with this id or bare name.

        Raises:
            UnknownNameError: if there is none; lists near matches.
            ConfigError: if a bare name is that of several models; lists their ids. Also if the
                model's card is broken.
        """
        if isinstance(model, ModelInfo):
            return model
        name = str(model.value) if isinstance(model, Enum) else model
        for card, problems in self._broken.items():
            if name in (card, card.rpartition(":")[2]) or name.startswith(f"{card}/"):
                raise ConfigError(*problems)
        if (found := self._models.get(name)) is not None:
            return found
        namesakes = [m for m in self if name == m.model_name]
        if len(namesakes) > 1:
            ids = ", ".join(sorted(m.model_id for m in namesakes))
            raise ConfigError(f"{name!r} is the name of several models: {ids}; give the whole id")
        if not namesakes:
            names = {m.model_name for m in self} if ":" not in name else set()
            hint = misplaced(self._roots, "models", name)
            unknown = UnknownNameError("model", name, {*self._models, *names}, hint=hint)
            # The model's card may be among those whose name is unreadable.
            hints = [first for first, *_ in self._broken.values()]
            raise ConfigError(*unknown.problems, *hints[:_SHOWN]) if hints else unknown
        return namesakes[0]

    def __iter__(self) -> Iterator[ModelInfo]:
        return iter(self._models.values())

    def __len__(self) -> int:
        return len(self._models)

    def __contains__(self, model: str) -> bool:
        try:
            self.get(model)
        except ConfigError:
            return False
        return True


def models_of_card(document: Document) -> list[ModelInfo]:
    """Return the models that a card describes: one, or what its provider makes of it.

    A card's `name` is the model's id.
    """
    name = document.data["name"]
    provider_name, colon, _ = name.partition(":")
    if not colon:
        raise ConfigError(
            document.problem(f"name: expected `provider:model`, found {name!r}", "name")
        )
    data = {k: v for k, v in document.data.items() if k not in ("name", "purpose")}
    data = {"model_id": name} | data
    if (named := data.get("preset")) is not None and named not in PRESETS:
        message = f"preset: unknown preset {named!r}{did_you_mean(str(named), PRESETS)}"
        raise ConfigError(document.problem(message, "preset"))
    if (preset := preset_of(data)) is not None:
        provider_name = preset.provider
    try:
        cls = provider_class(provider_name)
    except UnknownNameError as error:
        raise ConfigError(document.problem(str(error), "name")) from None
    return cls.models_of(Document(document.path, data, document.marks))


@lru_cache(maxsize=1)
def default_registry() -> ModelRegistry:
    """Return the models of the registries in force when it is first asked for."""
    return ModelRegistry.from_cards()
