"""Operators that choose which other operator runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ember_bench.errors import SignatureError, did_you_mean
from ember_bench.operators.base import Inputs, Operator, operator
from ember_bench.operators.fields import (
    OUTPUT,
    is_open,
    joined,
    names,
    note_all,
    outputs_of,
    outputs_of_any,
)
from ember_bench.operators.lm import LMModule, check_modules
from ember_bench.operators.references import called
from ember_bench.operators.signature import Signature
from ember_bench.operators.tree import check_operator

_ROUTE = re.compile(r"route[*_ \t]*[:\uff1a]([^\n]*)", re.IGNORECASE)


@operator
class Branch(Operator):
    """Runs one of two operators, by a test of the inputs.

    Inputs: those of the operators. Outputs: those of the one that ran.

    Args:
        predicate: The test, a function of the inputs; it may make LM calls.
        then: Runs if the test returns True.
        otherwise: Runs if it returns False; by default, the inputs are returned unchanged.
    """

    def __init__(
        self,
        *,
        predicate: Callable[[Inputs], bool],
        then: Operator,
        otherwise: Operator | None = None,
    ) -> None:
        check_operator(then, "then")
        if otherwise is not None:
            check_operator(otherwise, "otherwise")
        super().__init__()
        self.predicate = called(predicate, "predicate", "inputs")
        self.then = then
        self.otherwise = otherwise

    def check_fields(self, given: Inputs) -> Inputs:
        """Check that one of the operators has its inputs."""
        note_all(given)
        if self.otherwise is not None:
            return outputs_of_any([self.then, self.otherwise], given)
        unchanged = given if is_open(given) else names(*given)
        try:
            return joined(unchanged, outputs_of(self.then, given))
        except SignatureError:  # the test may see that an input is missing
            return unchanged

    def forward(self, inputs: Inputs) -> Any:
        """Test the inputs, and run one operator."""
        if self.predicate(inputs):
            return self.then(inputs)
        return dict(inputs) if self.otherwise is None else self.otherwise(inputs)


@operator
class Router(Operator):
    """Runs one of several operators, chosen by a function or a model.

    Routing by a model follows RouteLLM (Ong et al. 2024) and others, with a prompt in place of a
    learnt router. Inputs: those of the operators; `query` if a model chooses. Outputs: those of
    the operator that ran, and `route`, its name.

    Args:
        routes: The operators by name.
        by: A function of the inputs that returns a name; it may make LM calls.
        lm_modules: Instead of a function, the router, one LM module.
        purposes: The purpose of each route in a few words, for the router.
        default: The route that is taken if the router names none; by default the first.
        signature: The router's prompt; names `query` and `routes`, a list, and requests a line
            "Route: " with a name.
    """

    role = "route"
    fills = ("routes",)
    default_signature = "route"

    def __init__(
        self,
        *,
        routes: Mapping[str, Operator],
        by: Callable[[Inputs], str] | None = None,
        lm_modules: Sequence[LMModule] = (),
        purposes: Mapping[str, str] | None = None,
        default: str | None = None,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        if not routes:
            raise ValueError("a router needs at least one route")
        for name, route in routes.items():
            check_operator(route, f"route {name!r}")
        check_modules(lm_modules, type(self).__name__)
        if len(lm_modules) != (by is None):
            raise ValueError("a router takes a function or one LM module, and not both")
        super().__init__(lm_modules=lm_modules, signature=signature)
        for name in [*(purposes or ()), *([] if default is None else [default])]:
            if name not in routes:
                raise ValueError(f"unknown route {name!r}{did_you_mean(name, routes)}")
        self.routes = dict(routes)
        self.by = None if by is None else called(by, "by", "inputs")
        self.purposes = None if purposes is None else dict(purposes)
        # A model may name no known route; a function must.
        self.default = next(iter(routes)) if default is None and by is None else default

    def check_fields(self, given: Inputs) -> Inputs:
        """Check the router's prompt, and that one of the operators has its inputs."""
        super().check_fields(given)
        if self.by is not None:
            note_all(given)
        return joined(outputs_of_any(self.routes.values(), given), names("route"))

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Choose an operator, and run it."""
        name = self._chosen(inputs) if self.by is None else self.by(inputs)
        if name not in self.routes:
            hint = did_you_mean(str(name), self.routes)
            raise SignatureError(f"the router's function returned an unknown route {name!r}{hint}")
        output = self.routes[name](inputs)
        named = output if isinstance(output, Mapping) else {OUTPUT: output}
        return {**named, "route": name}

    def _chosen(self, inputs: Inputs) -> str:
        known = self.purposes or {}
        purposes = [(name, known.get(name)) for name in self.routes]
        shown = "\n".join(f"- {name}: {what}" if what else f"- {name}" for name, what in purposes)
        prompt = self._prompt({**inputs, "routes": shown})
        said = self.lms[0](prompt, role=self.role, about=list(self.routes))
        assert self.default is not None  # noqa: S101 - set by __init__
        return read_route(said, list(self.routes)) or self.default


def read_route(text: str, names: Sequence[str]) -> str | None:
    """Return the one of `names` that follows the last "Route:", or is the whole text."""
    marked = _ROUTE.findall(text)
    said = (marked[-1] if marked else text).strip(" \t\r\n*_`\"'.()[]").casefold()
    return next((name for name in names if name.casefold() == said), None)
