"""The `try` statements whose calls may wait, found in syntax trees; see `attempts`."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class SimpleTry:
    """A `try` statement that does one thing with a value, and each handler the same with another.

    Attributes:
        value: The expression that may fail.
        again: Returns the statement that does that thing with another expression.
        names: What must hold values of known kinds: the lists to which it appends, the exceptions
            of the handlers, and variables that are the values of handlers.
        handlers: (exceptions, name of the exception, value) of each handler.
    """

    value: ast.expr
    again: Callable[[ast.expr], ast.stmt]
    names: tuple[list[ast.expr], list[ast.expr], list[ast.expr]] = field(
        default_factory=lambda: ([], [], [])
    )
    handlers: list[tuple[ast.expr | None, str | None, ast.expr]] = field(default_factory=list)


def simple_try(node: ast.Try) -> SimpleTry | None:
    """Return what a `try` statement does; None if that is more than one thing."""
    if node.orelse or node.finalbody or len(node.body) != 1:
        return None
    found = _single(node.body[0])
    if found is None or not _may_move(value := found[1]):
        return None
    form, lists = ast.dump(found[2]), [found[0]] if found[0] is not None else []
    simple = SimpleTry(value, found[3], (lists, [], []))
    for handler in node.handlers:
        same = _single(handler.body[0]) if len(handler.body) == 1 else None
        if same is None or ast.dump(same[2]) != form or not _is_plain(same[1], handler.name):
            return None
        if handler.type is not None:
            if not _is_named(handler.type):
                return None
            simple.names[1].append(handler.type)
        if isinstance(same[1], ast.Name):
            simple.names[2].append(same[1])
        simple.handlers.append((handler.type, handler.name, same[1]))
    return simple


_Found = tuple[ast.expr | None, ast.expr, ast.stmt, Callable[[ast.expr], ast.stmt]]


def _single(statement: ast.stmt) -> _Found | None:
    """Return the list, the value, the statement without its value, and how to make it again."""
    match statement:
        case ast.Return(ast.expr() as value):
            held = None

            def again(made: ast.expr) -> ast.stmt:
                return ast.Return(made)
        case ast.Assign([ast.Name() as target], value) | ast.AnnAssign(
            ast.Name() as target, _, ast.expr() as value
        ):
            held = None

            def again(made: ast.expr) -> ast.stmt:
                return ast.Assign([target], made)
        case ast.Expr(
            ast.Call(ast.Attribute(ast.Name() as held, "append") as method, [value], [])
        ) if not isinstance(value, ast.Starred):

            def again(made: ast.expr) -> ast.stmt:
                return ast.Expr(ast.copy_location(ast.Call(method, [made], []), statement))
        case _:
            return None
    return held, value, again(ast.Constant(None)), again


def _may_move(value: ast.expr) -> bool:
    """Return whether an expression means the same within a lambda, and may fail later."""
    parts = list(ast.walk(value))
    binds = (ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await)
    return (
        any(isinstance(part, ast.Call) for part in parts)
        and not any(isinstance(part, binds) for part in parts)
        and not any(isinstance(p, ast.Name) and p.id in ("super", "__class__") for p in parts)
    )


def _is_named(kind: ast.expr) -> bool:
    """Return whether exceptions are given by name: `ValueError`, `errors.ProviderError`."""
    if isinstance(kind, ast.Tuple):
        return all(map(_is_named, kind.elts))
    while isinstance(kind, ast.Attribute):
        kind = kind.value
    return isinstance(kind, ast.Name)


def _is_plain(value: ast.expr, error: str | None) -> bool:
    """Return whether the value of a handler is a constant, a variable, or a text of the error."""
    match value:
        case ast.Constant():
            return True
        case ast.Name(name):
            return name != error
        case ast.UnaryOp(ast.USub() | ast.UAdd(), ast.Constant()):
            return True
        case ast.List(parts) | ast.Tuple(parts):
            return all(isinstance(part, ast.Constant) for part in parts)
        case ast.Dict(keys, values):
            return all(isinstance(part, ast.Constant) for part in (*keys, *values))
    return is_text_of(value, error)


def is_text_of(value: ast.expr, error: str | None) -> bool:
    """Return whether an expression is a constant text, or a text of the error."""
    match value:
        case ast.Constant(str()):
            return True
        case (
            ast.Call(ast.Name("str" | "repr"), [ast.Name(name)], [])
            | ast.Attribute(ast.Call(ast.Name("type"), [ast.Name(name)], []), "__name__")
            | ast.FormattedValue(ast.Name(name), _, None)
        ):
            return name == error
        case ast.JoinedStr(parts):
            return all(is_text_of(part, error) for part in parts)
        case ast.FormattedValue(inner, _, None):
            return is_text_of(inner, error)
    return False
