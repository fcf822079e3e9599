"""Names of fields: how outputs become inputs, and whether a chain of operators can work.

A chain is checked before anything is asked, on names alone: a field that is there later has the
value `()`, and `ANYTHING` stands for fields that are not known, as those of a user's operator that
declares nothing. `Asked` also notes which fields are asked for, so that a chain can be checked when
it is made, before its inputs are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final
from weakref import WeakKeyDictionary

from pydantic import BaseModel

from ember_bench.answers.formats import get_answer_format
from ember_bench.code_identity import is_built_in
from ember_bench.errors import SignatureError

_Fields = Mapping[str, Any]

OUTPUT: Final = "output"
"""The name given to an output that has no named fields."""

OF_ITEMS: Final = frozenset(
    ["query", "answer_format", "choices", "turns", "images", "metadata", "normalise"]
)
"""The inputs that an item of a dataset gives."""

# Similarity of names, from 0 to 1, from which one is taken to be the other, misspelt.
_NEAR: Final = 0.8

# Methods that call `forward`, or change what it takes or gives.
_AROUND: Final = ("__call__", "call_with", "_run", "_check_output", "_signature")


class _Anything(Mapping[str, Any]):
    """Fields of which any may be there."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> Any:
        return ()

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


ANYTHING: Final = _Anything()


class Asked(_Anything):
    """Fields of which any may be there; notes which of them operators use.

    Args:
        beside: Fields that are known to be there, and are not noted.
        outer: Notes the same.

    Attributes:
        names: The fields that may be used.
        open: Whether any other may be used, too.
    """

    def __init__(self, beside: Iterable[str] = (), outer: Asked | None = None) -> None:
        self._beside = frozenset(beside)
        self._outer = outer
        self.names: set[str] = set()
        self.open = False

    def __contains__(self, name: object) -> bool:
        self.note([str(name)])
        return True

    def __getitem__(self, name: str) -> Any:
        self.note([name])
        return ()

    def note(self, used: Iterable[str] | None) -> None:
        """Note fields that may be used; None if it is not known which."""
        if used is None:
            self.open = True
        else:
            used = frozenset(used) - self._beside
            self.names |= used
        if self._outer is not None:
            self._outer.note(used)


def note_all(given: _Fields) -> None:
    """Note that any of the fields may be used, as by a function of all inputs."""
    if isinstance(given, Asked):
        given.note(None)


def as_mapping(inputs: object) -> _Fields:
    """Return the inputs of an operator by name.

    Raises:
        SignatureError: if they have no names.
    """
    if type(inputs) is dict:  # the usual case, and cheaper than the checks below
        return inputs
    if inputs is None:
        return {}
    if isinstance(inputs, BaseModel):
        return inputs.model_dump()
    if isinstance(inputs, Mapping):
        return inputs
    raise SignatureError(f"inputs have names, such as query=...; found {type(inputs).__name__}")


def merge_inputs(
    graph_inputs: _Fields, outputs: Mapping[str, Any], sources: Sequence[str]
) -> dict[str, Any]:
    """Return the inputs of a node: those of the graph, then the outputs of its sources in order.

    The `responses` of all sources are joined into one list. A source without `responses` but with
    a `final_answer` adds that to the list; None becomes an empty text, which counts as a response
    without an answer. Any other field has the value of the last source with that field. An output
    without named fields is put under the name of its node.
    """
    merged = dict(graph_inputs)
    responses: list[Any] | None = None
    for source in sources:
        output = outputs[source]
        if not isinstance(output, Mapping):
            merged[source] = output
            continue
        merged.update({k: v for k, v in output.items() if k != "responses"})
        if "responses" in output:
            responses = [*(responses or ()), *output["responses"]]
        elif "final_answer" in output:
            answer = output["final_answer"]
            responses = [*(responses or ()), "" if answer is None else answer]
    if responses is not None:
        merged["responses"] = responses
    return merged


def names(*fields: str) -> _Fields:
    """Return fields that are there later."""
    return {name: ANYTHING if name == "metadata" else () for name in fields}


def joined(*given: _Fields) -> _Fields:
    """Return all fields of several."""
    known = {name: value for fields in given for name, value in fields.items()}
    asked = [fields for fields in given if isinstance(fields, Asked)]
    if asked:
        return Asked(known, asked[0])
    return ANYTHING if any(map(is_open, given)) else known


def is_open(fields: _Fields) -> bool:
    """Return whether any field may be there."""
    return isinstance(fields, _Anything)


def declared(cls: type, name: str) -> Any:
    """Return what a class declares by a class attribute or a method; None if that does not hold.

    What a built-in class declares does not hold for a user's class that inherits from it, which may
    compute something else, unless that declares it, too.
    """
    known = _declared.setdefault(cls, {})
    if name not in known:
        known[name] = _found(cls, name)
    return known[name]


# By class and name: chains are checked in each run.
_declared: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


def _found(cls: type, name: str) -> Any:
    for base in cls.__mro__:
        if name in vars(base):
            return vars(base)[name]
        if not is_built_in(base):
            return None
    return None


def outputs_of(operator: Any, given: _Fields) -> _Fields:
    """Check an operator for inputs of these names, and return the names of its outputs.

    Raises:
        SignatureError: if it needs an input that is not given.
        UnknownNameError: if there is no such format of answers as it reads.
    """
    check = _check_of(type(operator))
    if isinstance(name := getattr(operator, "answer_format", None), str):
        get_answer_format(name)
    if isinstance(given, Asked):
        given.note(declared(type(operator), "uses"))
        if (signature := operator._signature()) is not None:
            given.note(signature.fields_used(declared(type(operator), "fills") or ()))
    outputs: _Fields = ANYTHING if check is None else check(operator, given)
    return outputs


def _check_of(cls: type) -> Callable[[Any, _Fields], _Fields] | None:
    """Return the `check_fields` that holds for a class; None if nothing is known."""
    found: Callable[[Any, _Fields], _Fields] | None = declared(cls, "check_fields")
    users = [base for base in cls.__mro__ if not is_built_in(base)] if found is None else []
    if found is None and not any(name in vars(base) for base in users for name in _AROUND):
        # That of `Operator`, for the signature.
        found = [vars(b)["check_fields"] for b in cls.__mro__ if "check_fields" in vars(b)][-1]
    return found


def outputs_of_any(operators: Iterable[Any], given: _Fields) -> _Fields:
    """Check operators of which one runs, and return the names of all their outputs.

    Raises:
        SignatureError: if each needs an input that is not given.
    """
    found: list[_Fields] = []
    errors: list[SignatureError] = []
    for operator in operators:
        try:
            found.append(outputs_of(operator, given))
        except SignatureError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return joined(*found)


Nodes = Iterable[tuple[str, Any, Sequence[str]]]


def check_chain(nodes: Nodes, given: _Fields) -> dict[str, _Fields]:
    """Check operators that run one after another, or as the nodes of a graph.

    Args:
        nodes: For each operator what it is called in errors, and what those before it are called
            whose outputs it receives.
        given: The inputs of the whole.

    Returns:
        The names of the outputs of each.

    Raises:
        SignatureError: if one needs an input that neither they nor the inputs give.
    """
    outputs: dict[str, _Fields] = {}
    kinds: dict[str, str] = {}
    for name, operator, sources in nodes:
        kinds[name] = type(operator).__name__
        if any(is_open(outputs[source]) for source in sources):
            merged = given if is_open(given) else ANYTHING
        elif is_open(given):
            merged = joined(given, merge_inputs({}, outputs, sources))
        else:
            merged = merge_inputs(given, outputs, sources)
        try:
            outputs[name] = outputs_of(operator, merged)
        except SignatureError as error:
            gives = [f"{s} ({kinds[s]}) gives {_listed(outputs[s])}" for s in sources]
            shown = SignatureError("; ".join([str(error), *gives]))
            for note in getattr(error, "__notes__", [f"in {kinds[name]}"]):
                shown.add_note(note)
            shown.add_note(f"in {name}")
            raise shown from None
    return outputs


def _listed(fields: _Fields) -> str:
    return ", ".join(map(repr, fields)) or "nothing"


def check_link(place: str, operator: Any, sources: Mapping[str, Any], before: Nodes) -> None:
    """Check an operator that is put behind others, before the inputs of the whole are known.

    These may have any field. But an operator that uses nothing of what those before it give, and
    needs what they do not take either, was not meant to stand there.

    Args:
        place: What it is called in errors.
        operator: The operator.
        sources: The operators whose outputs it receives, by what they are called.
        before: All operators before it, as `check_chain` takes them.

    Raises:
        SignatureError: if it needs an input that is not given.
    """
    outputs = {name: outputs_of(source, ANYTHING) for name, source in sources.items()}
    asked = Asked()
    outputs_of(operator, asked)
    if not sources or any(map(is_open, outputs.values())):
        return
    if asked.names & set(merge_inputs({}, outputs, list(outputs))):
        return
    if asked.open and not declared(type(operator), "needs"):
        return
    taken, nodes = Asked(), list(before)
    check_chain(nodes, taken)
    check_chain(
        [*nodes, (place, operator, list(sources))],
        names(*sorted(taken.names | (asked.names & OF_ITEMS))),
    )


def check_spelling(operator: Any, given: _Fields) -> None:
    """Check that no input is misspelt: unlike all that the operator may use, but like one of them.

    Other inputs that it does not use are left out without an error, as a graph gives each node all
    that it has.

    Raises:
        SignatureError: with the name that was probably meant.
        UnknownNameError: if the `answer_format` is unknown.
    """
    if isinstance(name := given.get("answer_format"), str):
        get_answer_format(name)
    if OF_ITEMS.issuperset(given):
        return
    asked = Asked()
    try:
        outputs_of(operator, given)
        outputs_of(operator, asked)
    except SignatureError:  # the operator itself tells what it misses
        return
    known = asked.names | OF_ITEMS
    if asked.open or known.issuperset(given):
        return
    left = sorted(known.difference(given))
    for name in given:
        if name not in known and (near := get_close_matches(name, left, n=1, cutoff=_NEAR)):
            raise SignatureError(f"unknown input {name!r}; did you mean {near[0]!r}?")
