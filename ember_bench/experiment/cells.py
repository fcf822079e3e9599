"""Cells: the points of a grid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, cast

from ember_bench.datasets import Item
from ember_bench.datasets.examples import Examples, solution
from ember_bench.datasets.prompts import Prompt
from ember_bench.graph.architecture import Architecture
from ember_bench.graph.data import NoNGraphData, PreparedGraph
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.base import provider_class
from ember_bench.models.service import ModelService
from ember_bench.models.types import Message
from ember_bench.operators.description import code_in


@dataclass(frozen=True)
class Cell:
    """One point of the grid.

    Attributes:
        name: `<dataset>/<architecture>(<parameters as given>)`; unique in the experiment.
        label: Its name in tables.
        dataset: Name of the dataset.
        architecture: Its architecture.
        parameters: All parameters, defaults included.
        graph: The network, built.
        service: Makes its calls.
        epochs: Number of trials of each item.
        prompt: Template of the questions, in place of the dataset card's prompt; None for that.
        examples: Solved examples before each question.
        written: Those of its parameters that the grid names and that are read from elsewhere.
    """

    name: str
    label: str
    dataset: str
    architecture: Architecture
    parameters: dict[str, Any]
    graph: NoNGraphData
    service: ModelService
    epochs: int
    prompt: Prompt | None = None
    examples: Examples | None = None
    written: Mapping[str, Any] = field(default_factory=dict)

    def ask(self, item: Item) -> tuple[str, tuple[Message, ...]]:
        """Return the question that the graph is asked, and the turns of conversation before it."""
        query, turns = self._rendered(item), _messages(item.turns)
        if self.examples is None:
            return query, turns
        solved = self.examples.before(item)
        if self.examples.form == "text":
            shown = [f"{self._rendered(example)}\n{solution(example)}" for example in solved]
            return "\n\n".join([*shown, query]), turns
        examples = [message for example in solved for message in self._exchange(example)]
        # Behind the system messages and before the item's own conversation.
        first = sum(message.role == "system" for message in turns)
        return query, (*turns[:first], *examples, *turns[first:])

    def _exchange(self, example: Item) -> tuple[Message, Message]:
        """Return an example as question and answer."""
        images = tuple(image.load() for image in example.images)
        asked = Message("user", self._rendered(example), images)
        return asked, Message("assistant", solution(example))

    def _rendered(self, item: Item) -> str:
        return item.question if self.prompt is None else self.prompt.render_item(item)

    @cached_property
    def models(self) -> list[ModelInfo]:
        """The models it calls, each once, in graph order."""
        found = {lm.model.model_id: lm.model for lm in self.graph.lm_modules()}
        return list(found.values())

    @cached_property
    def simulated(self) -> bool:
        """Whether any of its models is simulated."""
        return any(provider_class(model.provider_name).simulated for model in self.models)

    @cached_property
    def replayed(self) -> bool:
        """Whether all of its models are recordings."""
        return bool(self.models) and all(
            provider_class(model.provider_name).replays for model in self.models
        )

    @cached_property
    def prepared(self) -> PreparedGraph:
        """The network, ready to be run."""
        return PreparedGraph(self.graph, self.service)

    @cached_property
    def parts(self) -> dict[str, str]:
        """Digests of the parts that determine its outputs, so that a change can be named."""
        models = {m.model_id: content_of_model(m) for m in self.models}
        replays = any(provider_class(model.provider_name).replays for model in self.models)
        return {
            "parameters": json_digest(self.parameters),
            "models": json_digest(models),
            "graph": self._graph_digest(),
            **({"code": json_digest(self.code)} if self.code else {}),
            **({"examples": self.examples.digest} if self.examples is not None else {}),
            # Recorded samples are dealt out by it.
            **({"epochs": json_digest(self.epochs)} if replays else {}),
        }

    @cached_property
    def code(self) -> dict[str, str]:
        """Digests of the user files that its graph depends on, by file."""
        return code_in(self._description)

    @cached_property
    def _description(self) -> dict[str, Any]:
        return self.graph.describe()

    def _graph_digest(self) -> str:
        """Digest the graph with its models and user code by name: each is a part of its own."""
        described = json.dumps([self.graph.edges, self._description], sort_keys=True)
        for model in self.models:
            described = described.replace(model.fingerprint, model.model_id)
        for name, digest in self.code.items():
            described = described.replace(json.dumps(digest), json.dumps(name))
        return json_digest(described)

    @cached_property
    def digest(self) -> str:
        """Changes with anything that can change its outputs."""
        return json_digest(self.parts)


def _messages(turns: Sequence[tuple[str, str]]) -> tuple[Message, ...]:
    # The reader of items has checked the roles.
    return tuple(Message(cast("Any", role), content) for role, content in turns)


def content_of_model(model: ModelInfo) -> str:
    """Return what changes with anything that can change a model's answers."""
    return f"{model.fingerprint}/{provider_class(model.provider_name).content(model)}"


def json_digest(content: Any) -> str:
    """Return a hex digest of JSON-like content."""
    # The standard library's, as it takes numbers of any size.
    encoded = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return sha256(encoded.encode()).hexdigest()[:32]
