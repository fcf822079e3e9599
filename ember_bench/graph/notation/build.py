"""Graphs from the compact notation: `build_graph(["5E@openai:gpt-4o(temp=0.7)", "1M"])`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from ember_bench.errors import ConfigError, did_you_mean
from ember_bench.graph.data import NoNGraphData
from ember_bench.graph.notation.codes import LM_PARAMETERS, LM_SYNONYMS, Code, known_codes
from ember_bench.graph.notation.grammar import parse_notation
from ember_bench.graph.notation.words import (
    Argument,
    Flow,
    Name,
    NodeEntry,
    Notation,
    NotationError,
    Reference,
    Value,
)
from ember_bench.models.model_registry import ModelRegistry, default_registry
from ember_bench.models.service import ModelService
from ember_bench.operators.base import Operator
from ember_bench.operators.lm import LMModule, LMModuleConfig
from ember_bench.plain_errors import plainly

Spec = str | Iterable[str]
Component = Spec | Operator


def build_graph(
    spec: Spec,
    *,
    components: Mapping[str, Component] | None = None,
    flows: Spec | None = None,
    model_registry: ModelRegistry | None = None,
    service: ModelService | None = None,
) -> NoNGraphData:
    """Return the graph that `spec` describes, ready to run.

    Each entry is the input of the next, unless there are flows: then they alone define the inputs.
    The graph's output is that of the last entry that is no input of another.

    Args:
        spec: The notation (see `docs/notation.md`), as one text or as several.
        components: The values of `$name`: notation, or any operator.
        flows: Further flows, `a, b -> c`, in addition to those in `spec`.
        model_registry: The known models; by default the cards of the registries in force.
        service: Makes the calls; by default a service for the registry, without a store.

    Raises:
        NotationError: with the place of the first mistake; for an unknown code, model, parameter
            or name, with near matches.
    """
    registry = model_registry or (service.registry if service else default_registry())
    read = {
        name: given if isinstance(given, Operator) else parse_notation(given, f"component {name!r}")
        for name, given in (components or {}).items()
    }
    notation = parse_notation(spec)
    if flows is not None:
        notation = _with_flows(notation, parse_notation(flows, "flows"))
    return _Builder(read, registry, service).graph(notation, ())


def _with_flows(notation: Notation, more: Notation) -> Notation:
    if more.entries:
        raise NotationError("expected `a, b -> c`, found an entry", _place(more.entries[0]))
    return replace(notation, flows=notation.flows + more.flows)


@dataclass(frozen=True, slots=True)
class _Built:
    """One entry's operators.

    Attributes:
        name: The name of the entry in flows.
        nodes: Operators by the name of their node.
    """

    name: Name
    nodes: Mapping[str, Operator]


@dataclass(frozen=True, slots=True)
class _Builder:
    components: Mapping[str, Notation | Operator]
    registry: ModelRegistry
    service: ModelService | None
    used: dict[str, int] = field(default_factory=dict)

    def graph(self, notation: Notation, within: tuple[str, ...]) -> NoNGraphData:
        """Build `notation`, which is nested in the components named by `within`."""
        flat = self._inlined(notation, within)
        if not flat.entries:
            raise NotationError("the notation is empty")
        built = [self._entry(entry, i, within) for i, entry in enumerate(flat.entries, start=1)]
        _check_names(built)
        sources = _sources(built, flat.flows)
        graph = NoNGraphData()
        ordered = _in_order(built, sources, flat.flows)
        if len(ordered[-1].nodes) > 1:
            last = ordered[-1].name
            raise NotationError(
                f"{last} gives {len(ordered[-1].nodes)} answers, and a graph has one; "
                "end with an entry that chooses, such as M",
                last.place,
            )
        for entry in ordered:
            inputs = [node for source in sources[entry.name.text] for node in source.nodes]
            for name, operator in entry.nodes.items():
                graph.add_node(name=name, operator=operator, inputs=inputs)
        return graph

    def _inlined(self, notation: Notation, within: tuple[str, ...]) -> Notation:
        """Replace references to components without an alias by the components."""
        entries: list[NodeEntry | Reference] = []
        flows = list(notation.flows)
        for entry in notation.entries:
            if isinstance(entry, Reference) and entry.alias is None:
                component = self._component(entry.name, within)
                if isinstance(component, Notation):
                    inner = self._inlined(component, (*within, entry.name.text))
                    entries += inner.entries
                    flows += inner.flows
                    continue
            entries.append(entry)
        return Notation(tuple(entries), tuple(flows))

    def _component(self, name: Name, within: tuple[str, ...]) -> Notation | Operator:
        if name.text in within:
            path = " -> ".join(f"${n}" for n in (*within, name.text))
            raise NotationError(f"component {name.text!r} contains itself: {path}", name.place)
        try:
            return self.components[name.text]
        except KeyError:
            hint = did_you_mean(name.text, self.components)
            raise NotationError(f"unknown component {name.text!r}{hint}", name.place) from None

    def _operator_of(self, name: Name, within: tuple[str, ...]) -> Operator:
        """Return the operator of a component: a graph, unless it is a single node."""
        component = self._component(name, within)
        if isinstance(component, Operator):
            return component
        graph = self.graph(component, (*within, name.text))
        return next(iter(graph)).operator if len(graph) == 1 else graph

    def _entry(self, entry: NodeEntry | Reference, number: int, within: tuple[str, ...]) -> _Built:
        if isinstance(entry, Reference):
            name = entry.alias or entry.name
            return _Built(name, {name.text: self._operator_of(entry.name, within)})
        codes = known_codes()
        if (code := codes.get(entry.code.text)) is None:
            hint = did_you_mean(entry.code.text, codes).partition("; known")[0]
            message = f"unknown code {entry.code.text!r}{hint}; known: {', '.join(codes)}"
            raise NotationError(message, entry.code.place)
        name = entry.alias or Name(f"{code.code.lower()}{number}", entry.code.place)
        return _Built(name, self._nodes(entry, code, name.text, within))

    def _nodes(
        self, entry: NodeEntry, code: Code, name: str, within: tuple[str, ...]
    ) -> dict[str, Operator]:
        modules, arguments = self._arguments(entry, code)
        arguments |= self._stages(entry, code, within)
        if code.models == "many":
            return {name: _make(code, entry, arguments | {"lm_modules": modules})}
        if not modules:
            return {name: _make(code, entry, arguments)}
        single = len(modules) == 1
        return {
            name if single else f"{name}_{i}": _make(code, entry, arguments | {"lm_modules": [lm]})
            for i, lm in enumerate(modules, start=1)
        }

    def _stages(self, entry: NodeEntry, code: Code, within: tuple[str, ...]) -> dict[str, Any]:
        """Return the argument for the components named in the parentheses."""
        if code.stages is None:
            if entry.stages:
                raise NotationError(f"{code.code} takes no components", entry.stages[0].place)
            return {}
        operators = {stage.text: self._operator_of(stage, within) for stage in entry.stages}
        if code.stage_form == "one":
            if len(entry.stages) != 1:
                found = len(entry.stages)
                message = f"{code.code} takes one component, found {found}"
                raise NotationError(message, entry.code.place)
            return {code.stages: next(iter(operators.values()))}
        if code.stage_form == "mapping":
            return {code.stages: operators}
        return {code.stages: [operators[stage.text] for stage in entry.stages]}

    def _arguments(self, entry: NodeEntry, code: Code) -> tuple[list[LMModule], dict[str, Any]]:
        """Return the LM modules of an entry and its operator's other arguments."""
        sampling: dict[str, Argument] = {}
        arguments: dict[str, Any] = {}
        for argument in entry.arguments:
            key = argument.key.text
            if key in code.parameters:
                arguments[key] = _checked(argument, code.parameters[key])
                continue
            key = LM_SYNONYMS.get(key.lower(), key)
            if key not in LM_PARAMETERS or not entry.models:
                known = code.known if entry.models else list(code.parameters)
                hint = did_you_mean(argument.key.text, known) if known else "; it has none"
                raise NotationError(
                    f"{code.code} has no parameter {argument.key.text!r}{hint}", argument.key.place
                )
            if key in sampling:
                raise NotationError(f"parameter {key!r} is given twice", argument.key.place)
            sampling[key] = argument
        _check_models(entry, code)
        return [
            self._module(model, sampling) for model in entry.models for _ in range(entry.count)
        ], arguments

    def _module(self, model: Name, sampling: Mapping[str, Argument]) -> LMModule:
        values = {key: _listed(argument.value) for key, argument in sampling.items()}
        try:
            config = LMModuleConfig(model_name=self._model_id(model), **values)
        except ValidationError as error:
            first = error.errors()[0]
            argument = sampling[str(first["loc"][0])]
            raise NotationError(
                f"{argument.key.text}: {plainly(first)}", argument.key.place
            ) from None
        return LMModule(config, self.registry, service=self.service)

    def _model_id(self, model: Name) -> str:
        """Return the id of a model; `provider/model` is accepted for `provider:model`."""
        written = model.text
        provider, slash, rest = written.partition("/")
        turned = f"{provider}:{rest}" if slash and ":" not in provider else written
        for name in dict.fromkeys([written, turned]):
            if name in self.registry:
                return self.registry.get(name).model_id
        try:
            return self.registry.get(turned).model_id
        except ConfigError as error:
            raise NotationError(error.problems[0].message, model.place) from None


def _check_models(entry: NodeEntry, code: Code) -> None:
    if entry.models and code.models == "none":
        raise NotationError(f"{code.code} asks no model", entry.models[0].place)
    if not entry.models and code.models in ("one", "many"):
        raise NotationError(
            f"{code.code} needs a model: {code.code}@provider:model", entry.code.place
        )
    if not entry.models and entry.count > 1:
        raise NotationError(f"{entry.count} of {code.code} would all be the same", entry.code.place)


def _checked(argument: Argument, hint: Any) -> Any:
    value = _listed(argument.value)
    try:
        return TypeAdapter(hint, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        message = plainly(error.errors()[0])
        raise NotationError(
            f"{argument.key.text}: {message} (found {value!r})", argument.key.place
        ) from None


def _listed(value: Value) -> Any:
    return [_listed(entry) for entry in value] if isinstance(value, tuple) else value


def _make(code: Code, entry: NodeEntry, arguments: Mapping[str, Any]) -> Operator:
    try:
        return code.cls(**arguments)
    except (TypeError, ValueError) as error:
        raise NotationError(f"{code.code}: {error}", entry.code.place) from error


def _check_names(built: Sequence[_Built]) -> None:
    seen: set[str] = set()
    for entry in built:
        for name in dict.fromkeys([entry.name.text, *entry.nodes]):
            if name in seen:
                raise NotationError(
                    f"two nodes are called {name!r}; give one another alias: !name",
                    entry.name.place,
                )
            seen.add(name)


def _sources(built: Sequence[_Built], flows: Sequence[Flow]) -> dict[str, list[_Built]]:
    """Return the inputs of each entry, by its name."""
    if not flows:
        pairs = itertools.pairwise(built)
        return {built[0].name.text: []} | {after.name.text: [before] for before, after in pairs}
    by_name = {entry.name.text: entry for entry in built}
    sources: dict[str, list[_Built]] = {name: [] for name in by_name}
    for flow in flows:
        for before, after in itertools.pairwise(flow.steps):
            for target in after:
                into = sources[_known(target, by_name).name.text]
                into += [
                    source
                    for source in (_known(name, by_name) for name in before)
                    if source not in into
                ]
    return sources


def _known(name: Name, by_name: Mapping[str, _Built]) -> _Built:
    try:
        return by_name[name.text]
    except KeyError:
        hint = did_you_mean(name.text, by_name)
        raise NotationError(f"unknown node {name.text!r}{hint}", name.place) from None


def _in_order(
    built: Sequence[_Built], sources: Mapping[str, Sequence[_Built]], flows: Sequence[Flow]
) -> list[_Built]:
    """Return the entries in an order in which each comes after its sources.

    The order is filled from the end: of the entries that are no source of a remaining one, the
    last written is taken. So entries keep their written order as far as possible.
    """
    left = {entry.name.text: entry for entry in built}
    ordered: list[_Built] = []
    while left:
        needed = {source.name.text for name in left for source in sources[name]}
        free = [name for name in left if name not in needed]
        if not free:
            raise NotationError(f"cycle: {_cycle(left, sources)}", flows[-1].steps[0][0].place)
        ordered.append(left.pop(free[-1]))
    return ordered[::-1]


def _cycle(left: Mapping[str, _Built], sources: Mapping[str, Sequence[_Built]]) -> str:
    """Return a cycle among the remaining entries, in the order of the flow."""
    path = [next(iter(_looping(left, sources)))]
    while path[-1] not in path[:-1]:
        path.append(next(s.name.text for s in sources[path[-1]] if s.name.text in left))
    return " -> ".join(reversed(path[path.index(path[-1]) :]))


def _looping(left: Mapping[str, _Built], sources: Mapping[str, Sequence[_Built]]) -> list[str]:
    """Return those of `left` that have a source in it, once those that have none are gone."""
    names = list(left)
    while True:
        kept = [n for n in names if any(s.name.text in names for s in sources[n])]
        if kept == names:
            return names
        names = kept


def _place(entry: NodeEntry | Reference) -> Any:
    return (entry.code if isinstance(entry, NodeEntry) else entry.name).place
