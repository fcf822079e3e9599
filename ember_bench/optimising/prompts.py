"""The prompts of a network that can be worded otherwise."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeAlias, cast

import orjson

from ember_bench.errors import ConfigError
from ember_bench.graph.data import NoNGraphData
from ember_bench.operators.base import Operator
from ember_bench.operators.cards import card_of
from ember_bench.operators.instructions import join_template, split_template
from ember_bench.operators.signature import Signature


@dataclass(frozen=True, slots=True)
class Wording:
    """What is said before the inputs of a prompt, as plain text.

    Attributes:
        instructions: The instructions.
        examples: Solved examples behind them.
    """

    instructions: str
    examples: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The whole of it, as a model is shown it."""
        return "\n\n".join(text for text in (self.instructions, *self.examples) if text.strip())


Candidate: TypeAlias = Mapping[str, Wording]
"""A wording of each prompt, by its name."""


def digest(candidate: Candidate) -> str:
    """Return a digest of a candidate's texts."""
    texts = {name: [w.instructions, *w.examples] for name, w in candidate.items()}
    return sha256(orjson.dumps(texts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of a network.

    Attributes:
        name: Its node, and what it is there if the node has several.
        node: Path of the node, as calls name it.
        path: Path of its operator.
        attribute: Attribute of the operator with its signature.
        wording: What it says before the inputs.
        rest: The template from the first input on, which stays.
    """

    name: str
    node: str
    path: str
    attribute: str
    wording: Wording
    rest: str


def prompts_of(graph: NoNGraphData) -> dict[str, Prompt]:
    """Return the prompts of a network by name, in graph order.

    Raises:
        ConfigError: if there is none.
    """
    places = list(_places(graph))
    several = [node for node, *_ in places]
    found: dict[str, Prompt] = {}
    for node, path, attribute, signature in places:
        name = node
        if several.count(node) > 1:
            inner = path.partition(f"nodes.{node.rpartition('/')[2]}")[2].strip(".")
            name = f"{node}:{'.'.join(part for part in (inner, attribute) if part)}"
        instructions, rest = split_template(signature.prompt_template or "")
        found[name] = Prompt(name, node, path, attribute, Wording(instructions), rest)
    if not found:
        raise ConfigError("the architecture has no prompt of its own that could be worded better")
    return found


def _places(graph: NoNGraphData) -> Iterator[tuple[str, str, str, Signature]]:
    for path, operator in graph.named_operators():
        if not operator.lm_modules():
            continue
        for attribute, value in vars(operator).items():
            if isinstance(value, Signature) and value.prompt_template:
                yield _node_of(path), path, attribute, value


def _node_of(path: str) -> str:
    """Return the path of the node of an operator: `nodes.a.nodes.b.operators.0` is in `a/b`."""
    parts = path.split(".")
    names = []
    while len(parts) > 1 and parts[0] == "nodes":
        names.append(parts[1])
        parts = parts[2:]
    return "/".join(names)


def reworded(
    graph: NoNGraphData, prompts: Mapping[str, Prompt], candidate: Candidate
) -> NoNGraphData:
    """Return a copy of a network with a candidate's wordings; it shares the LM modules."""
    for name, wording in candidate.items():
        prompt = prompts[name]
        operator = dict(graph.named_operators())[prompt.path]
        before: Signature = getattr(operator, prompt.attribute)
        template = join_template(wording.instructions, prompt.rest, wording.examples)
        if wording == prompt.wording:  # as it was written, to the last blank
            template = before.prompt_template or ""
        twin = copy.copy(operator)
        changed = before.model_copy(update={"prompt_template": template})
        setattr(twin, prompt.attribute, changed)
        graph = cast("NoNGraphData", graph.replace(prompt.path, twin))
    return graph


def architecture_card(graph: NoNGraphData, name: str, purpose: str) -> dict[str, Any]:
    """Return the data of an architecture card of a network, without parameters.

    Raises:
        ConfigError: if one of its operators cannot be written.
    """
    nodes: dict[str, Any] = {}
    for node in graph:
        written = _node(node.operator)
        if node.inputs:
            written["inputs"] = list(node.inputs)
        nodes[node.name] = written
    return {"name": name, "purpose": purpose, "graph": nodes}


def _node(operator: Operator) -> dict[str, Any]:
    return card_of(operator).model_dump(mode="json", exclude_defaults=True)
