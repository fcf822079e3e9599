"""Which answers are asked for as streams."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ember_bench.models.transport.listening import TEXT
from ember_bench.models.types import Usage

if TYPE_CHECKING:
    from ember_bench.errors import ProviderError
    from ember_bench.models.call import Request
    from ember_bench.models.info import ModelInfo

# At four tokens a second an answer of so many comes in one piece within the usual 300 s.
_SHORT_TOKENS: Final = 1_000

# Statuses of what a server does not know or does not allow.
_REFUSALS: Final = frozenset({400, 403, 404, 405, 415, 422, 501})
_UNKNOWN: Final = frozenset({404, 405, 501})
_STREAMS: Final = re.compile(r"\bstream(?:s|ed|ing|_options|GenerateContent)?\b", re.IGNORECASE)
_OPTIONS: Final = "stream_options"


class Streaming:
    """Decides for one model whether the next answer is asked for as a stream.

    `stream` on the model's card says it for all. Without it, those are whose text is read while it
    arrives, and those that may take long: a model that thinks, or an answer without a small limit
    of tokens. A server that refuses, or whose
    streams do not state their tokens, is asked without streams from then on.

    Args:
        model: Who is asked.
        ways: Fields of requests that ask for streams, the best first.
        elsewhere: Whether they are sent to an address of their own.
    """

    def __init__(
        self, model: ModelInfo, ways: Sequence[Mapping[str, Any]], *, elsewhere: bool = False
    ) -> None:
        self._elsewhere = elsewhere
        self._wanted = model.stream if model.mode == "standard" else False
        # A card that insists keeps the last way.
        self._ways = ways
        self._last = len(ways) - bool(self._wanted)
        self._way = 0

    def fields(self, request: Request) -> Mapping[str, Any] | None:
        """Return the fields that ask for a stream; None if the answer is to come in one piece."""
        wanted = self._wanted
        if wanted is None:
            wanted = TEXT.get() is not None or _may_be_long(request)
        return self._ways[self._way] if wanted and self._way < len(self._ways) else None

    def refused(self, fields: Mapping[str, Any], error: ProviderError) -> bool:
        """Return whether the error says that there are no such streams; the next has none then.

        Args:
            fields: Those of the request.
            error: What came of it.
        """
        said = str(error)
        is_unknown = self._elsewhere and error.status in _UNKNOWN
        if not is_unknown and (error.status not in _REFUSALS or not _STREAMS.search(said)):
            return False
        return self._leave(fields, 1 if _OPTIONS in said else len(self._ways))

    def counted(self, fields: Mapping[str, Any], usage: Usage) -> None:
        """Hear what a stream stated of its tokens: if nothing, what it cost is not known."""
        if usage == Usage() and self._wanted is None:
            self._leave(fields, len(self._ways))

    def _leave(self, fields: Mapping[str, Any], by: int) -> bool:
        """Leave a way, which another call may have left already; return whether there is another.

        After the last one answers come in one piece.
        """
        used = self._ways.index(fields)
        following = min(used + by, self._last)
        self._way = max(self._way, following)
        return following > used


def _may_be_long(request: Request) -> bool:
    asked = request.parameters
    if asked.thinking_tokens or asked.reasoning_effort:
        return True
    return asked.max_tokens is None or asked.max_tokens > _SHORT_TOKENS
