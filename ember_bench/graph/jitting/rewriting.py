"""Rewrites functions so that LM calls, and what is made of their answers, can wait.

In the rewritten code, each operation that may meet an answer that is not there yet is a call of a
function of `operations`: `f"{a}: {b}"` becomes `_ember_jit.text(a, ": ", b)`. Wherever code
needs a value (the test of an `if`), or gives it away (attributes, globals, `yield`), the
rewritten code asks for it. Calls keep their place: `f(x)` becomes
`_ember_jit.callee(f, x)(*_ember_jit.args(), **_ember_jit.kwargs())`, so that logging, warnings and
tracebacks name the user's line.
"""

from __future__ import annotations

import ast
import copy
import inspect
from types import CodeType, FunctionType
from typing import Final, cast

from ember_bench.graph.jitting.expressions import HOOKS, OPERATORS, Expressions, hook, statement
from ember_bench.graph.jitting.sources import (
    FunctionNode,
    UnreadableError,
    compiled_function,
    source_of,
)
from ember_bench.graph.jitting.tries import SimpleTry, is_text_of, simple_try

# They see the local variables of their caller.
_SEES_VARIABLES: Final = {"locals", "vars", "eval", "exec", "dir", "breakpoint"}
_NO_PLAIN_CODE: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_FORBIDDEN: Final[dict[type[ast.AST], str]] = {
    ast.AsyncFunctionDef: "it defines a coroutine",
    ast.Await: "it awaits",
    ast.ClassDef: "it defines a class",
}

_rewritten: dict[CodeType, CodeType | UnreadableError] = {}


def rewritten(function: FunctionType) -> CodeType:
    """Return the code of a function, rewritten; its last free variable is `HOOKS`.

    Raises:
        UnreadableError: if it cannot be rewritten.
    """
    code = function.__code__
    found = _rewritten.get(code)
    if found is None:
        try:
            found = _rewrite(function)
        except UnreadableError as error:
            found = error
        _rewritten[code] = found
    if isinstance(found, UnreadableError):
        raise found
    return found


def _rewrite(function: FunctionType) -> CodeType:
    code = function.__code__
    if code.co_flags & _NO_PLAIN_CODE:
        raise UnreadableError("it is a generator or a coroutine function")
    source = source_of(function)
    _check(source.node)
    outer = frozenset(code.co_freevars)
    node = copy.deepcopy(source.node)
    _Rewriter(source.class_name, outer).function(node)
    return compiled_function(source, node, code, (HOOKS,))


def is_straight(function: FunctionType) -> bool:
    """Return whether a function has no branches, and keeps nothing, as far as its text tells."""
    node = source_of(function).node
    kept = (ast.Attribute, ast.Subscript)
    return not any(
        isinstance(part, _BRANCHES)
        or (isinstance(part, kept) and not isinstance(part.ctx, ast.Load))
        or (isinstance(part, ast.comprehension) and part.ifs)
        for part in ast.walk(node)
    )


_BRANCHES: Final = (
    ast.If, ast.IfExp, ast.While, ast.Try, ast.TryStar, ast.With, ast.BoolOp, ast.Compare,
    ast.Match, ast.Assert, ast.Global, ast.Nonlocal,
)  # fmt: skip


def _check(node: FunctionNode) -> None:
    """Check that a function has nothing that cannot be rewritten."""
    for part in ast.walk(node):
        if (why := _FORBIDDEN.get(type(part))) is not None:
            raise UnreadableError(f"{why} in line {cast('ast.stmt', part).lineno}")
        if isinstance(part, ast.comprehension) and part.is_async:
            raise UnreadableError("it has an asynchronous loop")
        if (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Name)
            and part.func.id in _SEES_VARIABLES
            and not (part.func.id in ("vars", "dir") and part.args)
        ):
            raise UnreadableError(f"it calls {part.func.id}() in line {part.lineno}")


class _Rewriter(Expressions, ast.NodeTransformer):
    """Rewrites the statements, too."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._defaults(node.args)
        decorators = [self.visit(decorator) for decorator in node.decorator_list]
        self.function(node)
        own = ast.Attribute(ast.Name(HOOKS, ast.Load()), "closure", ast.Load())
        node.decorator_list = [*decorators, ast.copy_location(own, node)]
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        if len(node.targets) == 1 and isinstance(target, ast.Subscript):
            given = [self.visit(node.value), self.visit(target.value), self._key(target.slice)]
            return ast.copy_location(ast.Expr(hook("store", *given, at=node)), node)
        node.value = self._stored(node.value, *node.targets)
        node.targets = [self.visit(target) for target in node.targets]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self._stored(node.value, node.target)
        node.target = self.visit(node.target)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        name, target = ast.Constant(f"i{OPERATORS[type(node.op)].strip('_')}"), node.target
        value = self.visit(node.value)
        if isinstance(target, ast.Name):
            loaded = ast.copy_location(ast.Name(target.id, ast.Load()), target)
            changed: ast.expr = hook("changed", name, loaded, value, at=node)
            if target.id in self._outside[-1]:
                changed = hook("given_away", changed, ast.Constant(target.id), at=node)
            return ast.copy_location(ast.Assign([target], changed), node)
        if isinstance(target, ast.Subscript):
            place = hook("place", self.visit(target.value), self._key(target.slice), at=node)
            spread = ast.copy_location(ast.Starred(place, ast.Load()), node)
            return ast.copy_location(
                ast.Expr(hook("change_item", name, spread, value, at=node)), node
            )
        where = ast.Constant(ast.unparse(target))
        node.target = self.visit(target)
        node.value = hook("given_away", value, where, at=node)
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        node.iter = self._iterated(node.iter, node.target)
        node.target = self.visit(node.target)
        node.body, node.orelse = self._block(node.body), self._block(node.orelse)
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        return self._test_first(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        return self._test_first(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.test = self._value(node.test)
        if node.msg is not None:
            node.msg = self._whole(node.msg)
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        node.subject = self._whole(node.subject)
        for case in node.cases:
            if case.guard is not None:
                case.guard = self._value(case.guard)
            case.body = self._block(case.body)
        return node

    def visit_Delete(self, node: ast.Delete) -> ast.AST:
        for target in node.targets:
            if isinstance(target, ast.Attribute | ast.Subscript):
                value = self.visit(target.value)
                target.value = hook("victim", value, ast.Constant(ast.unparse(target)), at=node)
            if isinstance(target, ast.Subscript):
                target.slice = hook("whole", self._key(target.slice), at=node)
        return node

    def visit_With(self, node: ast.With) -> ast.AST:
        for item in node.items:
            item.context_expr = hook("manager", self.visit(item.context_expr), at=node)
            if item.optional_vars is not None:
                item.optional_vars = self.visit(item.optional_vars)
        guard = hook("guard", ast.Constant(len(node.items)), at=node)
        node.items.append(ast.withitem(guard, None))
        node.body = self._block(node.body)
        return node

    def visit_Try(self, node: ast.Try | ast.TryStar) -> ast.AST | list[ast.AST]:
        simple = simple_try(node) if isinstance(node, ast.Try) else None
        if simple is None or self._outlives(simple):
            return self._one_by_one(node)
        names = [ast.Tuple(list(map(_loaded, part)), ast.Load()) for part in simple.names]
        test = hook("attempts", _lambda(ast.Tuple([*names], ast.Load())), at=node)
        handlers = [
            ast.Tuple(
                [
                    ast.Constant(None) if kinds is None else _loaded(kinds),
                    ast.Constant(is_text_of(value, name)),
                    _lambda(_loaded(value), name or "_error", *_variables(value, name)),
                ],
                ast.Load(),
            )
            for kinds, name, value in simple.handlers
        ]
        body = _lambda(self.visit(copy.deepcopy(simple.value)))
        made = hook("attempt", body, ast.Tuple([*handlers], ast.Load()), at=node)
        waiting = ast.copy_location(simple.again(made), node)
        otherwise = cast("list[ast.stmt]", self._one_by_one(node))
        return ast.copy_location(ast.If(test, [waiting], otherwise), node)

    def _outlives(self, simple: SimpleTry) -> bool:
        """Return whether a statement assigns to a variable that outlives the run."""
        made = simple.again(ast.Constant(None))
        return isinstance(made, ast.Assign) and not self._are_variables(made.targets[0])

    def _one_by_one(self, node: ast.Try | ast.TryStar) -> list[ast.AST]:
        # What fails in calls before it is not for its handlers.
        before = statement("before_block", node)
        body = self._guarded(self._block(node.body), node)
        orelse, final = self._block(node.orelse), self._block(node.finalbody)
        for handler in node.handlers:
            if handler.type is not None:
                handler.type = self.visit(handler.type)
            handler.body = [statement("caught", handler), *self._block(handler.body)]
        if final and node.handlers:
            # `finally` sees all that was done before it, in handlers and `else` too.
            inner = type(node)(body, node.handlers, orelse, [])
            body = self._guarded([ast.copy_location(inner, node)], node)
            node.handlers, orelse = [], []
        node.body, node.orelse = body, orelse
        node.finalbody = [statement("caught", node), *final] if final else []
        return [before, node]

    def visit_TryStar(self, node: ast.TryStar) -> ast.AST | list[ast.AST]:
        return self.visit_Try(node)

    def _guarded(self, body: list[ast.stmt], at: ast.stmt) -> list[ast.stmt]:
        guard = hook("guard", ast.Constant(0), at=at)
        return [ast.copy_location(ast.With([ast.withitem(guard, None)], body), at)]


def _lambda(body: ast.expr, *names: str) -> ast.Lambda:
    """Return a lambda; its arguments after the first keep the values of variables."""
    kept: list[ast.expr] = [ast.Name(name, ast.Load()) for name in names[1:]]
    given = [ast.arg(name) for name in names]
    return ast.Lambda(ast.arguments([], given, None, [], [], None, kept), body)


def _loaded(value: ast.expr) -> ast.expr:
    """Return a copy of an expression of names, as one that reads them."""
    made = copy.deepcopy(value)
    for part in ast.walk(made):
        if isinstance(part, ast.Name):
            part.ctx = ast.Load()
    return made


def _variables(value: ast.expr, error: str | None) -> list[str]:
    return [value.id] if isinstance(value, ast.Name) and value.id != error else []
