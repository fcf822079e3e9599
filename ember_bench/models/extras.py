"""HTTP headers and fields of bodies that a card or a request adds, with `${NAME}` in them.

`${NAME}` stands for a variable of the environment. It is read when a request is sent, so its value
is part of no identity, no store and no log.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ember_bench import secrets
from ember_bench.errors import ConfigError

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110
_SECRET: Final = re.compile(r"(?i)authorization|cookie|key|token|secret|password")
# What the transport writes itself: another value would break the request.
_OWN: Final = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "host"}
    | {"expect", "te", "trailer", "transfer-encoding", "upgrade"}
)
# What budgets, stores and readers of answers rest on, without underscores and in lower case.
_OWN_FIELDS: Final = frozenset(
    {"model", "messages", "input", "contents", "stream", "streamoptions"}
    | {"n", "bestof", "candidatecount", "numreturnsequences"}
    | {"maxtokens", "maxcompletiontokens", "maxoutputtokens"}
)


def check_headers(headers: Mapping[str, str]) -> None:
    """See that headers can be sent, and that no secret is written into them.

    Raises:
        ValueError: naming the header that cannot.
    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"headers: {name!r} is no name of a header")
        if name.lower() in _OWN:
            raise ValueError(f"headers: {name} is written by ember-bench itself")
        if not _is_line(value):
            raise ValueError(f"headers: the value of {name} is no line of printable characters")
        if _SECRET.search(name) and not _VARIABLE.search(value):
            raise ValueError(
                f"headers: {name} looks like a secret: write ${{VARIABLE}}, and set that variable "
                "in the environment"
            )


def check_body(fields: Mapping[str, Any]) -> None:
    """See that fields of a body do not replace what the request itself says.

    Raises:
        ValueError: naming the field that does.
    """
    inside = [value for value in fields.values() if isinstance(value, Mapping)]
    for name in (name for part in (fields, *inside) for name in part):
        if str(name).replace("_", "").lower() in _OWN_FIELDS:
            raise ValueError(f"extra_body: {name} is not for it: ember-bench writes it itself")


def expanded(value: Any) -> Any:
    """Return JSON-like data with each `${NAME}` replaced by that variable of the environment.

    Raises:
        ConfigError: if it is not set.
    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _variable(found[1]), value)
    if isinstance(value, Mapping):
        return {name: expanded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [expanded(part) for part in value]
    return value


def expanded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers as they are sent.

    Raises:
        ConfigError: if a variable is not set, or its value cannot be part of a header.
    """
    sent: dict[str, str] = expanded(headers)
    for name, value in sent.items():
        if not _is_line(value):
            raise ConfigError(f"headers: {name} has characters that no header can have")
    return sent


def with_headers(headers: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return `headers` with `more`, which replace those of the same names, in any case."""
    replaced = {name.lower() for name in more}
    return {**{n: v for n, v in headers.items() if n.lower() not in replaced}, **more}


def merged(body: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` with `more`: objects are merged, everything else is replaced."""
    found = dict(body)
    for name, value in more.items():
        known = found.get(name)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        found[name] = merged(known, value) if both and isinstance(known, Mapping) else value
    return found


def variables(value: Any) -> Iterator[str]:
    """Yield the variables of the environment that JSON-like data names."""
    if isinstance(value, str):
        yield from _VARIABLE.findall(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from variables(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from variables(part)


def _variable(name: str) -> str:
    if (value := os.environ.get(name)) is None:
        raise ConfigError(f"${{{name}}}: {name} is not set in the environment")
    secrets.remember(value)
    return value


def _is_line(value: str) -> bool:
    return value.isascii() and value.isprintable()
