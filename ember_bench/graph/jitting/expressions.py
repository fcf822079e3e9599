"""Rewrites the expressions of functions; see `rewriting`."""

from __future__ import annotations

import ast
from typing import Any, Final, TypeGuard, TypeVar, cast

from ember_bench.graph.jitting.sources import FunctionNode

HOOKS: Final = "_ember_jit"

NodeT = TypeVar("NodeT", bound=ast.AST)


class Expressions(ast.NodeTransformer):
    """Rewrites the expressions of a function, and of those within it.

    Args:
        class_name: The class that mangles its names.
        outer: Variables of the functions around it, which are not rewritten.
    """

    def __init__(self, class_name: str, outer: frozenset[str]) -> None:
        self._class_name = class_name
        self._outer = outer
        self._outside: list[set[str]] = []  # by function: variables that are not its own

    def function(self, node: FunctionNode) -> None:
        """Rewrite the body of a function."""
        self._outside.append(self._declared(node))
        if isinstance(node, ast.Lambda):
            node.body = self.visit(node.body)
        else:
            node.body = self._block(node.body)
        self._outside.pop()

    def _declared(self, node: FunctionNode) -> set[str]:
        """Return the variables that a function assigns to, and that outlive the run."""
        found: set[str] = set()
        for part in ast.walk(node):
            if isinstance(part, ast.Global):
                found |= set(part.names)
            elif isinstance(part, ast.Nonlocal):
                found |= {n for n in part.names if self._mangled(n) in self._outer}
        return found

    def _mangled(self, name: str) -> str:
        own = self._class_name.lstrip("_")
        if own and name.startswith("__") and not name.endswith("__"):
            return f"_{own}{name}"
        return name

    # ---- expressions

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Rewrite f-strings."""
        parts = [self._piece(part) for part in node.values]
        return hook("text", *parts, at=node)

    def _piece(self, part: ast.expr) -> ast.expr:
        if not isinstance(part, ast.FormattedValue):
            return part
        conversion = "" if part.conversion == -1 else chr(part.conversion)
        value = self.visit(part.value)
        if not conversion and part.format_spec is None:
            return hook("shown", value, at=part)
        spec = ast.Constant("") if part.format_spec is None else self.visit(part.format_spec)
        return hook("shown", value, ast.Constant(conversion), spec, at=part)

    def visit_Interpolation(self, node: Any) -> ast.AST:
        """Rewrite the parts of template strings."""
        node.value = hook("whole", self.visit(node.value), at=node.value)
        if node.format_spec is not None:
            node.format_spec = hook("whole", self.visit(node.format_spec), at=node)
        return cast("ast.AST", node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        """Rewrite their formats."""
        node.value = hook("whole", self.visit(node.value), at=node.value)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Rewrite arithmetic."""
        left, right = self.visit(node.left), self.visit(node.right)
        return hook("binary", ast.Constant(OPERATORS[type(node.op)]), left, right, at=node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """Rewrite `not` and signs."""
        node.operand = self._value(node.operand)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """Rewrite `and` and `or`."""
        last = self.visit(node.values[-1])
        node.values = [*(self._value(value) for value in node.values[:-1]), last]
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Rewrite comparisons."""
        if len(node.ops) > 1:
            node.left = hook("whole", self.visit(node.left), at=node.left)
            node.comparators = [
                hook("whole", self.visit(value), at=value) for value in node.comparators
            ]
            return node
        name = ast.Constant(type(node.ops[0]).__name__)
        left, right = self.visit(node.left), self.visit(node.comparators[0])
        return hook("compare", name, left, right, at=node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """Rewrite conditional expressions."""
        return self._test_first(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Rewrite calls."""
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
            return node
        node = cast("ast.Call", self.generic_visit(node))
        keywords = [
            ast.keyword(k.arg, k.value if k.arg else hook("value", k.value, at=k.value))
            for k in node.keywords
        ]
        prepared = hook("callee", node.func, *node.args, at=node)
        prepared.keywords = keywords
        called = ast.Call(
            func=prepared,
            args=[ast.Starred(hook("args", at=node), ast.Load())],
            keywords=[ast.keyword(None, hook("kwargs", at=node))],
        )
        return ast.copy_location(called, node)

    def visit_Starred(self, node: ast.Starred) -> ast.AST:
        """Rewrite `*entries`."""
        if isinstance(node.ctx, ast.Load):
            node.value = hook("items", self.visit(node.value), at=node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Rewrite attributes."""
        if not isinstance(node.ctx, ast.Load):
            node.value = self._value(node.value)
            return node
        name = ast.Constant(self._mangled(node.attr))
        return hook("attribute", self.visit(node.value), name, at=node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Rewrite entries and slices."""
        value, key = self.visit(node.value), self._key(node.slice)
        if isinstance(node.ctx, ast.Load):
            return hook("item", value, key, at=node)
        node.value = hook("value", value, at=node)
        node.slice = hook("whole", key, at=node)
        return node

    def _key(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Slice):
            bounds = [
                ast.Constant(None) if part is None else self.visit(part)
                for part in (node.lower, node.upper, node.step)
            ]
            return hook("piece", *bounds, at=node)
        if isinstance(node, ast.Tuple):
            parts: list[ast.expr] = [self._key(part) for part in node.elts]
            return ast.copy_location(ast.Tuple(parts, ast.Load()), node)
        return cast("ast.expr", self.visit(node))

    def visit_List(self, node: ast.List) -> ast.AST:
        """Rewrite lists."""
        node = cast("ast.List", self.generic_visit(node))
        return hook("own", node, at=node) if isinstance(node.ctx, ast.Load) else node

    def visit_Set(self, node: ast.Set) -> ast.AST:
        """Rewrite sets."""
        node.elts = [self._whole(part) for part in node.elts]
        return hook("own", node, at=node)

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        """Rewrite dicts."""
        values = zip(node.keys, node.values, strict=True)
        node.values = [
            self._value(value) if key is None else self.visit(value) for key, value in values
        ]
        node.keys = [None if key is None else self._whole(key) for key in node.keys]
        return hook("own", node, at=node)

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        """Rewrite list comprehensions."""
        self._loops(node.generators)
        node.elt = self.visit(node.elt)
        return hook("own", node, at=node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        """Rewrite set comprehensions."""
        self._loops(node.generators)
        node.elt = self._whole(node.elt)
        return hook("own", node, at=node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        """Rewrite dict comprehensions."""
        self._loops(node.generators)
        node.key, node.value = self._whole(node.key), self.visit(node.value)
        return hook("own", node, at=node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        """Rewrite generator expressions."""
        self._loops(node.generators)
        node.elt = self.visit(node.elt)
        return hook("generator", node, at=node)

    def _loops(self, loops: list[ast.comprehension]) -> None:
        for loop in loops:
            loop.iter = self._iterated(loop.iter, loop.target)
            loop.target = self.visit(loop.target)
            loop.ifs = [self._value(test) for test in loop.ifs]

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        """Rewrite lambdas."""
        self._defaults(node.args)
        self.function(node)
        return hook("closure", node, at=node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.AST:
        """Rewrite `:=`."""
        node.value = self._stored(node.value, node.target)
        return node

    def visit_Yield(self, node: ast.Yield) -> ast.AST:
        """Rewrite `yield`."""
        if node.value is not None:
            node.value = self._whole(node.value)
        return node

    def visit_YieldFrom(self, node: ast.YieldFrom) -> ast.AST:
        """Rewrite `yield from`."""
        node.value = self._whole(node.value)
        return node

    # ---- parts

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        made = [self.visit(statement) for statement in body]
        return [part for m in made for part in (m if isinstance(m, list) else [m])]

    def _test_first(self, node: NodeT) -> NodeT:
        branching: Any = node
        branching.test = self._value(branching.test)
        for name in ("body", "orelse"):
            part = getattr(node, name)
            made = self._block(part) if isinstance(part, list) else self.visit(part)
            setattr(node, name, made)
        return node

    def _value(self, node: ast.expr) -> ast.expr:
        return hook("value", self.visit(node), at=node)

    def _whole(self, node: ast.expr) -> ast.expr:
        return hook("whole", self.visit(node), at=node)

    def _iterated(self, node: ast.expr, target: ast.expr) -> ast.expr:
        """Return what a loop runs over; its entries are unpacked into `target`."""
        value = self.visit(node)
        if isinstance(target, ast.Name):
            return hook("items", value, at=node)
        flat = isinstance(target, ast.Tuple | ast.List) and _are_names(target.elts)
        return hook("entries" if flat else "whole_entries", value, at=node)

    def _stored(self, value: ast.expr, *targets: ast.expr) -> ast.expr:
        """Return what is assigned to `targets`: for variables, it may be to come."""
        made: ast.expr = self.visit(value)
        for target in targets:
            if isinstance(target, ast.Name):
                if target.id in self._outside[-1]:
                    made = hook("given_away", made, ast.Constant(target.id), at=value)
            elif isinstance(target, ast.Tuple | ast.List) and _are_names(target.elts):
                own = self._are_variables(target)
                made = hook("items" if own else "whole", made, at=value)
            elif self._are_variables(target):
                made = hook("whole", made, at=value)
            else:
                where = ast.Constant(ast.unparse(target))
                made = hook("given_away", made, where, at=value)
        return made

    def _are_variables(self, target: ast.expr) -> bool:
        parts = list(ast.walk(target))
        kept = any(isinstance(part, ast.Attribute | ast.Subscript) for part in parts)
        return not kept and not any(_is_name(p) and p.id in self._outside[-1] for p in parts)

    def _defaults(self, given: ast.arguments) -> None:
        given.defaults = [self._whole(value) for value in given.defaults]
        given.kw_defaults = [None if v is None else self._whole(v) for v in given.kw_defaults]


def _is_name(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name)


def _are_names(targets: list[ast.expr]) -> bool:
    # Not starred ones, which make a list that is not known as one of the function's own.
    return all(isinstance(target, ast.Name) for target in targets)


def hook(name: str, *given: ast.expr, at: ast.AST) -> ast.Call:
    """Return the call of an operation."""
    function = ast.Attribute(ast.Name(HOOKS, ast.Load()), name, ast.Load())
    call = ast.copy_location(ast.Call(function, list(given), []), at)
    function.value = ast.copy_location(function.value, at)
    return call


def statement(name: str, at: ast.AST) -> ast.stmt:
    """Return the call of an operation as a statement."""
    return ast.copy_location(ast.Expr(hook(name, at=at)), at)


OPERATORS: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv",
    ast.Mod: "mod", ast.Pow: "pow", ast.LShift: "lshift", ast.RShift: "rshift",
    ast.BitAnd: "and_", ast.BitOr: "or_", ast.BitXor: "xor", ast.MatMult: "matmul",
}  # fmt: skip
