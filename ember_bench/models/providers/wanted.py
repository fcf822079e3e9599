"""The features that a request uses, and values of them that its model refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from ember_bench.models.call import Request
from ember_bench.models.info import FEATURES, Feature, ModelInfo
from ember_bench.models.types import TOOL_CHOICES, Message, SamplingParameters


def no_effort(model: ModelInfo, effort: str) -> str:
    """Return what is wrong with an effort that a model does not take."""
    known = ", ".join(model.reasoning_efforts)
    return f"{model.model_id}: reasoning_effort: expected one of {known}; found {effort!r}"


def refused_effort(request: Request) -> Iterator[str]:
    """Yield what is wrong with an effort that the model does not take."""
    effort, model = request.parameters.reasoning_effort, request.model
    if effort is not None and model.reasoning_efforts and effort not in model.reasoning_efforts:
        yield no_effort(model, effort)


def refused_choice(request: Request) -> Iterator[str]:
    """Yield what is wrong with a choice between tools."""
    asked, model = request.parameters, request.model
    if (choice := asked.tool_choice) is None:
        return
    names = [tool.name for tool in request.tools]
    if not names and not asked.server_tools:
        yield f"{model.model_id}: tool_choice: there are no tools to choose from"
    elif choice not in TOOL_CHOICES and choice not in names:
        known = ", ".join([*TOOL_CHOICES, *names])
        yield f"{model.model_id}: tool_choice: expected one of {known}; found {choice!r}"


class Wanted(NamedTuple):
    """What a request uses.

    Attributes:
        parameters: Its parameters.
        of_messages: The features that its messages need.
        tools: The names of its tools.
        response_format: Whether the answer has a schema.
    """

    parameters: SamplingParameters
    of_messages: frozenset[Feature]
    tools: tuple[str, ...]
    response_format: bool

    @classmethod
    def of(cls, request: Request) -> Wanted:
        """Return what `request` asks for."""
        needed: set[Feature] = set()
        for message in request.messages:
            if message.role == "system":
                needed.add("system")
            if message.images or message.files:
                needed.update(_media(message))
        tools = tuple([tool.name for tool in request.tools]) if request.tools else ()
        structured = request.response_format is not None
        return cls(request.parameters, frozenset(needed), tools, structured)


def _media(message: Message) -> Iterator[Feature]:
    """Yield the features that the images and files of a message need."""
    for image in message.images:
        yield "images"
        if image.is_url:
            yield "image_urls"
        if image.detail is not None:
            yield "image_detail"
    for file in message.files:
        yield "pdfs" if file.is_pdf else "audio"
        if file.is_url:
            yield "file_urls"


def features(request: Request) -> list[Feature]:
    """Return the names of what `request` asks for, as a card's `unsupported_parameters` has them.

    A parameter that is left to the model's default is not asked for.
    """
    wanted = Wanted.of(request)
    asked = msgspec.structs.asdict(wanted.parameters)
    used = {name for name, value in asked.items() if value is not None and value != ()}
    used |= {name for name in ("tools", "response_format") if getattr(wanted, name)}
    used |= wanted.of_messages
    return [name for name in FEATURES if name in used]
