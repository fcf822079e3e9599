"""The syntax trees of functions, found in the files that define them."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Final, TypeAlias, cast

FunctionNode: TypeAlias = ast.FunctionDef | ast.Lambda

_FUTURE_FLAGS: Final = 0x1FF0000  # the `CO_FUTURE_...` flags, which change how code is compiled


@dataclass(frozen=True, slots=True)
class Source:
    """The definition of a function.

    Attributes:
        node: Its syntax tree; to be copied before it is changed.
        class_name: The class around it, which mangles names such as `__x`; "" for none.
    """

    node: FunctionNode
    class_name: str = ""


class UnreadableError(Exception):
    """The code of a function cannot be rewritten; the text says why."""


def source_of(function: FunctionType) -> Source:
    """Return the definition of a function.

    Raises:
        UnreadableError: if there is no source, or it has changed since it was imported.
    """
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        raise UnreadableError("its source is not available")
    try:
        known = _definitions("".join(lines))
    except (SyntaxError, ValueError):
        raise UnreadableError("its source cannot be parsed") from None
    for source in known.get(code.co_firstlineno, ()):
        if _is_of(source, code):
            return source
    raise UnreadableError("its source has changed, or is not where Python says")


@lru_cache(maxsize=64)
def _definitions(text: str) -> dict[int, list[Source]]:
    """Return the definitions in a file, by their first line."""
    found: dict[int, list[Source]] = {}
    for source in _walk(ast.parse(text), ""):
        node = source.node
        decorators = getattr(node, "decorator_list", [])
        line = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        found.setdefault(line, []).append(source)
    return found


def _walk(tree: ast.AST, class_name: str) -> Iterator[Source]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.Lambda):
            yield Source(child, class_name)
        inside = child.name if isinstance(child, ast.ClassDef) else class_name
        yield from _walk(child, inside)


def _is_of(source: Source, code: CodeType) -> bool:
    """Return whether a code object was compiled from a definition.

    Of several lambdas in a line, it is the one whose body has the place of the code. The names and
    constants are compared, too, as the file may have been edited. Code of `assert` is left out,
    which pytest rewrites.
    """
    name = source.node.name if isinstance(source.node, ast.FunctionDef) else "<lambda>"
    if name != code.co_name:
        return False
    if isinstance(source.node, ast.Lambda):
        body = source.node.body
        place = (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)
        if place not in set(code.co_positions()):
            return False
    compiled = compiled_function(source, source.node, code)
    return (
        _names(compiled.co_varnames) == _names(code.co_varnames)
        and set(compiled.co_freevars) == set(code.co_freevars)
        and set(compiled.co_names) - {"AssertionError"} <= set(code.co_names)
        and _constants(compiled) <= _constants(code)
    )


def _names(names: tuple[str, ...]) -> set[str]:
    return {name for name in names if not name.startswith("@")}


def _constants(code: CodeType) -> set[str]:
    return {repr(value) for value in code.co_consts if not isinstance(value, CodeType)}


def compiled_function(
    source: Source, node: FunctionNode, like: CodeType, more: tuple[str, ...] = ()
) -> CodeType:
    """Compile a definition in surroundings like those of a function, as code of its file.

    Args:
        source: The definition, as found.
        node: The syntax tree to compile, of the same name.
        like: The code object of the function.
        more: Free variables beside those that the function has.
    """
    bare = _without_surroundings(node)
    place: ast.stmt = ast.Expr(bare) if isinstance(bare, ast.Lambda) else bare
    if source.class_name:
        place = ast.ClassDef(
            name=source.class_name, bases=[], keywords=[], body=[place], decorator_list=[]
        )
        if hasattr(ast, "TypeAlias"):
            place.type_params = []  # type: ignore[attr-defined]
    names = [*more, *like.co_freevars]
    factory = cast("ast.FunctionDef", ast.parse(f"def _around({', '.join(names)}): ...").body[0])
    factory.body = [place]
    if isinstance(place, ast.FunctionDef) and place.name not in names:
        # Where the function names itself, it is no variable of the surroundings.
        factory.body.insert(0, ast.Global([place.name]))
    module = ast.fix_missing_locations(ast.Module([factory], []))
    flags = like.co_flags & _FUTURE_FLAGS
    code = compile(module, like.co_filename, "exec", flags, dont_inherit=True)
    # Not the code of a class of that name.
    named = (c for c in _codes(code) if c.co_name == like.co_name)
    found = next(c for c in named if c.co_flags & inspect.CO_OPTIMIZED)
    return found.replace(co_qualname=like.co_qualname)


def _without_surroundings(node: FunctionNode) -> FunctionNode:
    """Return the definition without what is evaluated outside it: decorators, defaults, types."""
    old = node.args

    def plain(given: ast.arg) -> ast.arg:
        return ast.copy_location(ast.arg(given.arg), given)

    arguments = ast.arguments(
        posonlyargs=list(map(plain, old.posonlyargs)),
        args=list(map(plain, old.args)),
        vararg=None if old.vararg is None else plain(old.vararg),
        kwonlyargs=list(map(plain, old.kwonlyargs)),
        kw_defaults=[None] * len(old.kwonlyargs),
        kwarg=None if old.kwarg is None else plain(old.kwarg),
        defaults=[],
    )
    made: FunctionNode
    if isinstance(node, ast.Lambda):
        made = ast.Lambda(args=arguments, body=node.body)
    else:
        made = ast.FunctionDef(name=node.name, args=arguments, body=node.body, decorator_list=[])
        if hasattr(ast, "TypeAlias"):
            made.type_params = []  # type: ignore[attr-defined]
    return ast.copy_location(made, node)


def _codes(code: CodeType) -> Iterator[CodeType]:
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield value
            yield from _codes(value)
