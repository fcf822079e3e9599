"""Stand-ins for future values.

A traced text is a `str`, so it can be formatted, joined and concatenated like any other. Its
characters are a *token* that names its symbol, and `Tokens.symbolic` finds the tokens in a text
again. A traced value is the future output of an operator, of unknown type. An operation that only
makes a new value from a stand-in is deferred; one that needs its content (a branch on a
comparison, `len`, a loop over it) raises `Untraceable`.

C code that reads the characters of a `str` (`re`, `json`) cannot be intercepted. So a function is
traced twice, with tokens that have no text in common: if it reads them, its calls differ.
"""

from __future__ import annotations

import operator
import secrets
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

from ember_bench.errors import EmberBenchError
from ember_bench.models.call import Request
from ember_bench.operators.plan import Apply, Symbol, Text, references, with_content

# Code points for private use, for which programs do not search (Unicode 17, plane 16).
_PRIVATE: Final = range(0x10_0000, 0x10_FFFE, 2)

# Texts for which programs search in answers, and a length above usual limits.
_BAIT: Final = (
    "\n\nAnswer: (B) 42.\nYes, true; no, false. Score: 0.5\n"
    '{"answer": "A", "x": [1]}\n- one\n1. two\n<answer>7</answer> ```\n'
    "\\boxed{3} PASS # http://a.b, c; d | e\n" + "word " * 4000
)
_PLAIN_TYPES: Final = (int, float, complex, bool, bytes, type(None), type)
_MUTATORS: Final = {*vars(list), *vars(dict), *vars(set)} - {
    *vars(tuple),
    *vars(MappingProxyType),
    *vars(frozenset),
}


class Untraceable(BaseException):
    """A function cannot be planned without the models' answers.

    Not an `Exception`, so that the function's own code does not catch it.
    """


class NeedsInput(BaseException):
    """The calls of a function depend on the content of some of its inputs."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(names)
        self.names = names


class Tokens:
    """The stand-ins of one trace.

    Args:
        inputs: Names of symbols for the function's inputs; other symbols are for answers.
        bait: Make tokens long and full of texts for which programs search; else short and empty.
    """

    def __init__(self, inputs: frozenset[str] = frozenset(), *, bait: bool = False) -> None:
        # Upper and lower case, so that a change of case is detected.
        self._nonce = f"Q{secrets.token_hex(8)}z"
        # Chosen at random, as a user's text may contain any of them.
        begin = secrets.choice(_PRIVATE)
        self._open, self._close = chr(begin), chr(begin + 1)
        self._inputs = inputs
        self._closed = False
        self._symbols: list[Symbol] = []
        self._made: list[weakref.ref[Any]] = []
        # Space around it, so that `strip` by C code is detected.
        edge, middle = (" \n", _BAIT) if bait else ("", "")
        self._head = f"{edge}{self._open}{self._nonce}:"
        self._tail = f">{middle}<{self._close}{edge}"

    def text(self, symbol: Symbol) -> TracedText:
        """Return a stand-in for the text of `symbol`."""
        self._check_open()
        traced = TracedText(f"{self._head}{len(self._symbols)}{self._tail}")
        self._symbols.append(symbol)
        vars(traced).update(_tokens=self, _symbol=symbol)
        self._made.append(weakref.ref(traced))
        return traced

    def value(self, symbol: Symbol, kind: type[TracedValue] | None = None) -> TracedValue:
        """Return a stand-in for the value of `symbol`."""
        self._check_open()
        traced = (kind or TracedValue)(self, symbol)
        self._made.append(weakref.ref(traced))
        return traced

    def close(self) -> None:
        """End the trace, after which its stand-ins cannot be used."""
        self._closed = True

    def any_left(self) -> bool:
        """Return whether a stand-in is still referenced."""
        return any(made() is not None for made in self._made)

    def known(self, symbol: Symbol) -> NoReturn:
        """Raise the error for an operation that needs the content of `symbol`."""
        self._check_open()
        names = frozenset(references(symbol))
        if names and names <= self._inputs:
            raise NeedsInput(names)
        raise Untraceable("control flow on a model's answer")

    def symbolic(self, value: Any) -> Any:
        """Return `value` with stand-ins replaced by their symbols; containers are copied.

        Raises:
            Untraceable: if a stand-in is at a place where a plan cannot replace it.
        """
        kind = type(value)
        result: Any = value
        if kind in _STAND_INS:
            if vars(value)["_tokens"] is not self:
                raise Untraceable("a value of another trace")
            result = vars(value)["_symbol"]
        elif kind is str:
            result = self._read(value)
        elif kind is list:
            result = [self.symbolic(part) for part in value]
        elif kind is tuple:
            result = tuple([self.symbolic(part) for part in value])
        elif kind is dict:
            for key in value:
                self._check_holds_none(key)
            result = {key: self.symbolic(part) for key, part in value.items()}
        elif kind is Request:
            result = with_content(value, self.symbolic)
        elif kind is slice:
            result = Apply(slice, self.symbolic((value.start, value.stop, value.step)))
        else:
            self._check_holds_none(value)
        return result

    def has_token(self, text: str) -> bool:
        """Return whether a text contains a token, or a part of one."""
        marked = self._open in text or self._close in text
        return marked or self._nonce.lower() in text.lower()

    def _read(self, text: str) -> Any:
        """Return a text with its tokens replaced by their symbols."""
        if not self.has_token(text):
            return text
        parts: list[Any] = []
        position = 0
        while (begin := text.find(self._head, position)) >= 0:
            end = text.find(self._tail, begin)
            number = text[begin + len(self._head) : end]
            if end < 0 or not number.isdecimal():
                break
            parts += [text[position:begin], self._symbols[int(number)]]
            position = end + len(self._tail)
        parts.append(text[position:])
        if any(self.has_token(part) for part in parts if type(part) is str):
            raise Untraceable("a text made of an answer was cut or changed")
        return joined(*(part for part in parts if part != ""))

    def _check_open(self) -> None:
        if self._closed:
            raise EmberBenchError("a stand-in of a trace was kept, and used after the trace")

    def _check_holds_none(self, value: Any, depth: int = 3) -> None:
        """Check that an object which is used as it is contains no stand-in."""
        kind = type(value)
        if kind in _STAND_INS or (issubclass(kind, str) and self.has_token(str.__str__(value))):
            raise Untraceable("an answer stands where a plan cannot put it")
        if depth == 0 or issubclass(kind, (str, *_PLAIN_TYPES)):
            return
        parts: list[Any] = []
        if issubclass(kind, Mapping):
            parts = [*value.keys(), *value.values()]
        elif issubclass(kind, list | tuple | set | frozenset):
            parts = list(value)
        if not callable(value):
            parts += getattr(value, "__dict__", {}).values()
        for part in parts:
            self._check_holds_none(part, depth - 1)


def joined(*parts: Any) -> Any:
    """Return texts and symbols as one symbol; adjacent texts are joined."""
    flat: list[Any] = []
    for part in parts:
        for piece in part.parts if type(part) is Text else (part,):
            if type(piece) is str and flat and type(flat[-1]) is str:
                flat[-1] += piece
            else:
                flat.append(piece)
    return flat[0] if len(flat) == 1 else Text(tuple(flat))


def call_method(source: Any, name: str, args: tuple[Any, ...], fields: Mapping[str, Any]) -> Any:
    """Return `source.name(*args, **fields)`."""
    return getattr(source, name)(*args, **fields)


def call(function: Any, args: tuple[Any, ...], fields: Mapping[str, Any]) -> Any:
    """Return `function(*args, **fields)`."""
    return function(*args, **fields)


def _type_of(_: Any) -> NoReturn:
    raise Untraceable("the type of what an operator gives was asked for")


class TracedText(str):
    """A stand-in for a text; its characters are a token."""

    _tokens: Tokens
    _symbol: Symbol

    def __str__(self) -> str:
        return self

    def __format__(self, spec: str) -> str:
        return self if not spec else self._tokens.text(Apply(format, (self._symbol, spec)))

    def __repr__(self) -> str:
        return self._tokens.text(Apply(repr, (self._symbol,)))

    def __add__(self, other: Any) -> Any:
        return _add(self._tokens, self, other)

    def __radd__(self, other: Any) -> Any:
        return _add(self._tokens, other, self)

    def partition(self, separator: str, /) -> Any:
        """Defer the call."""
        return _three(self, "partition", separator)

    def rpartition(self, separator: str, /) -> Any:
        """Defer the call."""
        return _three(self, "rpartition", separator)

    def __copy__(self) -> TracedText:
        return self

    def __deepcopy__(self, memo: Any) -> TracedText:
        return self


class TracedValue:
    """A stand-in for a value of unknown type."""

    _tokens: Tokens
    _symbol: Symbol

    __class__ = property(_type_of)  # what `isinstance` looks at

    def __init__(self, tokens: Tokens, symbol: Symbol) -> None:
        vars(self).update(_tokens=tokens, _symbol=symbol)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in _MUTATORS:
            raise Untraceable("what an operator gave is changed")
        return self._tokens.value(Apply(getattr, (self._symbol, name)))

    def __call__(self, *args: Any, **fields: Any) -> Any:
        """Defer the call: the stand-in may be a method of the value."""
        given = self._tokens.symbolic((args, fields))
        return self._tokens.value(Apply(call, (self._symbol, *given)))

    def __str__(self) -> str:
        return self._tokens.text(Apply(str, (self._symbol,)))

    def __repr__(self) -> str:
        return self._tokens.text(Apply(repr, (self._symbol,)))

    def __format__(self, spec: str) -> str:
        return self._tokens.text(Apply(format, (self._symbol, spec)))


class TracedResponse(TracedValue):
    """A stand-in for a model's `Response`."""

    @property
    def data(self) -> str:
        """The model's text."""
        return self._tokens.text(Apply(getattr, (self._symbol, "data")))

    def __str__(self) -> str:
        return self.data


_STAND_INS: Final = frozenset([TracedText, TracedValue, TracedResponse])


def _add(tokens: Tokens, left: Any, right: Any) -> Any:
    if type(left) in (str, TracedText) and type(right) in (str, TracedText):
        return tokens.text(joined(tokens.symbolic(left), tokens.symbolic(right)))
    if type(left) is TracedValue or type(right) is TracedValue:
        return tokens.value(Apply(operator.add, tokens.symbolic((left, right))))
    return NotImplemented


def _three(source: TracedText, name: str, separator: str) -> tuple[TracedText, ...]:
    tokens = source._tokens
    parts = Apply(call_method, (source._symbol, name, (tokens.symbolic(separator),), {}))
    return tuple(tokens.text(Apply(operator.getitem, (parts, index))) for index in range(3))


def _deferred(function: Callable[..., Any], *, text: bool, swapped: bool = False) -> Any:
    """Return a method that defers `function` of the stand-in and the arguments."""

    def method(self: Any, *others: Any) -> Any:
        tokens = self._tokens
        given = tokens.symbolic(others)
        args = (*given, self._symbol) if swapped else (self._symbol, *given)
        symbol = Apply(function, args)
        return tokens.text(symbol) if text else tokens.value(symbol)

    return method


def _deferred_method(name: str, *, text: bool) -> Any:
    def method(self: Any, *args: Any, **fields: Any) -> Any:
        tokens = self._tokens
        symbol = Apply(call_method, (self._symbol, name, *tokens.symbolic((args, fields))))
        return tokens.text(symbol) if text else tokens.value(symbol)

    return method


def _needs_content(self: Any, *_: Any) -> Any:
    tokens: Tokens = self._tokens
    tokens.known(self._symbol)


def _refuses(*_: Any) -> NoReturn:
    raise Untraceable("what an operator gave is changed or pickled")


_GIVE_TEXT: Final = {
    "capitalize", "casefold", "center", "expandtabs", "format", "format_map", "join", "ljust",
    "lower", "lstrip", "removeprefix", "removesuffix", "replace", "rjust", "rstrip", "strip",
    "swapcase", "title", "translate", "upper", "zfill",
}  # fmt: skip
_COMPARISONS: Final = ("eq", "ne", "lt", "le", "gt", "ge")
_CONTENT: Final = ("bool", "contains", "float", "hash", "int", "iter", "len")
_ARITHMETIC: Final = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")


def _equip(cls: type, methods: Mapping[str, Callable[..., Any]]) -> None:
    for name, method in methods.items():
        setattr(cls, name, method)


def _both_ways(name: str, *, text: bool) -> dict[str, Any]:
    function = getattr(operator, name)
    return {
        f"__{name}__": _deferred(function, text=text),
        f"__r{name}__": _deferred(function, text=text, swapped=True),
    }


for _cls, _texts in ((TracedText, True), (TracedValue, False)):
    _equip(_cls, {f"__{n}__": _deferred(getattr(operator, n), text=False) for n in _COMPARISONS})
    _equip(_cls, {f"__{name}__": _needs_content for name in _CONTENT})
    _equip(_cls, {"__getitem__": _deferred(operator.getitem, text=_texts)})
    _equip(_cls, {"__reduce_ex__": _refuses})
for _name in vars(str):
    if not _name.startswith("__") and _name not in vars(TracedText) and _name != "maketrans":
        _equip(TracedText, {_name: _deferred_method(_name, text=_name in _GIVE_TEXT)})
for _name in ("mul", "mod"):
    _equip(TracedText, _both_ways(_name, text=True))
for _name in _ARITHMETIC:
    _equip(TracedValue, _both_ways(_name, text=False))
for _name in ("neg", "pos", "abs", "invert"):
    _equip(TracedValue, {f"__{_name}__": _deferred(getattr(operator, _name), text=False)})
for _name in ("complex", "index", "reversed", "next", "enter", "exit"):
    _equip(TracedValue, {f"__{_name}__": _needs_content})
for _name in ("setattr", "setitem", "delitem", "delattr"):
    _equip(TracedValue, {f"__{_name}__": _refuses})
