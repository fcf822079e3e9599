"""Sampling parameters of requests: used, the network's own, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ember_bench.models.call import Request
from ember_bench.models.providers.base import provider_class
from ember_bench.models.types import SamplingParameters
from ember_bench.operators.lm import LMModule
from ember_bench.serving.networks import Network
from ember_bench.serving.openai_requests import RequestError, field_of

# Values that change nothing where the network leaves the parameter to its model.
_SAYS_NOTHING: Final[Mapping[str, tuple[Any, ...]]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "top_p": (1,),
    "logit_bias": ({},),
    "service_tier": ("auto", "default"),
}


@dataclass(frozen=True, slots=True)
class Sampling:
    """The sampling parameters of a request.

    Attributes:
        used: Those that the network's LM module has in place of its own.
        unused: Names, as in the request, of those that the network does not use.
    """

    used: Mapping[str, Any]
    unused: tuple[str, ...]


def settle(network: Network, asked: Mapping[str, Any], *, own: bool) -> Sampling:
    """Settle which parameters of a request a network uses.

    A value that all its models have anyway needs nothing. The rest is for an architecture with one
    LM module; other networks have parameters of their own.

    Args:
        network: The network.
        asked: The parameters, by their names in the request.
        own: Whether networks keep their own; then no parameter is refused.

    Raises:
        RequestError: if a parameter cannot be used.
    """
    modules = network.graph.lm_modules()
    more = {name: value for name, value in asked.items() if not _is_so(modules, name, value)}
    if own:
        return Sampling({}, tuple(more))
    if not more:
        return Sampling({}, ())
    name = next(iter(more))
    if network.cell is not None:
        raise _refused(network, name, "is a system of a study, whose parameters are those there")
    if network.lm is None:
        several = f"has {len(modules)} LM modules" if modules else "calls no model"
        raise _refused(network, name, several)
    used = {field_of(name): value for name, value in more.items()}
    _check_supported(network.lm, used, list(more))
    return Sampling(used, ())


def _is_so(modules: list[LMModule], name: str, value: Any) -> bool:
    field = field_of(name)
    values = [getattr(lm.config, field) for lm in modules]
    nothing = value in _SAYS_NOTHING.get(field, ())
    return bool(values) and all(v == value or (v is None and nothing) for v in values)


def _refused(network: Network, name: str, reason: str) -> RequestError:
    return RequestError(
        f"Unsupported parameter: '{name}' is not supported with this model: {network.name}"
        f" {reason}. Leave it out, or start the server with --own-sampling, which accepts it"
        " unused",
        name,
        code="unsupported_parameter",
    )


def _check_supported(lm: LMModule, used: Mapping[str, Any], names: list[str]) -> None:
    """Check that the model takes parameters.

    Raises:
        RequestError: naming those that it does not take.
    """
    request = Request(lm.model, (), SamplingParameters(**used))
    if problems := provider_class(lm.model.provider_name).unsupported(request):
        raise RequestError(
            f"Unsupported parameter: {'; '.join(problems)}",
            names[0] if len(names) == 1 else None,
            code="unsupported_parameter",
        )
