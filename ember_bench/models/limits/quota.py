"""Rate limits that a provider states in the headers of its responses.

Formats, by what the providers document:

* `x-ratelimit-remaining-requests` and `x-ratelimit-reset-requests: 6m0s`, the same for tokens
  (OpenAI, Azure, Groq, xAI);
* `anthropic-ratelimit-tokens-remaining` and `anthropic-ratelimit-tokens-reset`, a date of RFC 3339;
* `x-ratelimit-remaining-tokens-minute` (Cerebras, Mistral);
* `x-ratelimit-remaining` and `x-ratelimit-reset`, in seconds, or in milliseconds since the epoch
  (Together, OpenRouter);
* `ratelimit-remaining` and `ratelimit-reset` (draft-ietf-httpapi-ratelimit-headers-07).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Self

from ember_bench.models.limits.progress import Ticket

_NAME: Final = re.compile(
    r"(?P<start>x-|anthropic-)?ratelimit-(?:remaining(?P<after>-[a-z-]+)?|(?P<before>[a-z-]+)-remaining)"
)
_UNIT: Final = re.compile(
    r"(?:input-|output-)?(?P<unit>tokens?|requests?|req)(?:-(?P<period>second|minute|hour|day))?"
)
# Where a reset is not stated: no later than this.
_PERIODS: Final = {"second": 1.0, "minute": 60.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[dhms]))+")
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
# A larger number is no duration but a date: in seconds since the epoch, or in milliseconds.
_EPOCH: Final = 1e9
_EPOCH_MILLISECONDS: Final = 1e11


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit, as a response states it.

    Attributes:
        name: Of the header.
        counts_tokens: Its unit: tokens, else requests.
        remaining: How many are left.
        reset_seconds: From now until none is used.
        per_second: How many come back in a second; None if all come back at the reset.
        most: How many there are in all; infinite if that is not stated.
    """

    name: str
    counts_tokens: bool
    remaining: float
    reset_seconds: float
    per_second: float | None
    most: float

    @classmethod
    def of(cls, name: str, headers: Mapping[str, str], now: float) -> Self | None:
        """Return the quota whose remainder a header states; None if it states none.

        Args:
            name: Of the header, in lower case.
            headers: All of the response, by lower-case name.
            now: Seconds since the epoch, for a date in a response that does not say when it was
                sent.
        """
        if (parts := _NAME.fullmatch(name)) is None:
            return None
        unit = (parts["after"] or parts["before"] or "-req").removeprefix("-")
        if (of := _UNIT.fullmatch(unit)) is None:
            return None
        remaining = _number(headers[name])
        reset = _reset_seconds(headers.get(name.replace("remaining", "reset"), ""), headers, now)
        if reset is None:
            reset = _PERIODS.get(of["period"] or "")
        if remaining is None or reset is None:
            return None
        most = _number(headers.get(name.replace("remaining", "limit"), ""))
        used = (most or 0.0) - remaining
        # These two are buckets that fill all the time, and state when they will be full.
        is_bucket = parts["before"] or (parts["after"] and not of["period"])
        rate = used / reset if is_bucket and used > 0 and reset > 0 else None
        tokens = of["unit"].startswith("token")
        return cls(name, tokens, remaining, reset, rate, math.inf if most is None else most)


@dataclass(frozen=True, slots=True)
class _Stated:
    """A quota, and when it was stated.

    Attributes:
        quota: The quota.
        at: Seconds of the clock.
        number: Of the request whose response stated it.
        sent: What had been sent by then in the unit of the quota, that request included.
    """

    quota: Quota
    at: float
    number: int
    sent: float

    def free_at(self, sent: float, need: float) -> float:
        """Return when as many are left as a request needs, in seconds of the clock."""
        quota = self.quota
        missing = min(need, quota.most) + (sent - self.sent) - quota.remaining
        if missing <= 0:
            return -math.inf
        if quota.per_second is None:
            return self.at + quota.reset_seconds
        return self.at + missing / quota.per_second

    def ends(self) -> float:
        """Return when the quota says nothing any more."""
        return self.at + self.quota.reset_seconds


class Quotas:
    """The limits that the responses to one key stated last."""

    def __init__(self) -> None:
        self._stated: dict[str, _Stated] = {}

    def __bool__(self) -> bool:
        return bool(self._stated)

    @property
    def counts_tokens(self) -> bool:
        """Whether one of them counts tokens."""
        return any(stated.quota.counts_tokens for stated in self._stated.values())

    def told(self, ticket: Ticket, headers: Mapping[str, str], now: float) -> None:
        """Note what a response states.

        Args:
            ticket: The request.
            headers: Of the response, by lower-case name.
            now: Seconds of the clock.
        """
        for quota in quotas(headers, time.time()):
            known = self._stated.get(quota.name)
            # The response to an older request knows less; it may come later.
            if known is None or known.number <= ticket.number or known.ends() <= now:
                sent = ticket.tokens if quota.counts_tokens else float(ticket.number)
                self._stated[quota.name] = _Stated(quota, now, ticket.number, sent)

    def free_at(self, number: int, sent_tokens: float, tokens: float) -> float:
        """Return when all quotas have enough left for a request, in seconds of the clock.

        Args:
            number: Of requests sent so far.
            sent_tokens: Tokens of all of them, as they were estimated.
            tokens: Of the next request.
        """
        return max(
            stated.free_at(sent_tokens, tokens)
            if stated.quota.counts_tokens
            else stated.free_at(number, 1.0)
            for stated in self._stated.values()
        )


def quotas(headers: Mapping[str, str], now: float) -> list[Quota]:
    """Return the quotas that the headers of a response state.

    Args:
        headers: By lower-case name.
        now: Seconds since the epoch.
    """
    stated = (Quota.of(name, headers, now) for name in headers if "remaining" in name)
    return [quota for quota in stated if quota is not None]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _reset_seconds(text: str, headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds until a reset; None if the text states none."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        parts = _DURATION_PART.findall(text)
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    number = _number(text)
    if number is not None and number < _EPOCH:
        return max(0.0, number)
    end = _date(text) if number is None else number
    if end is None:
        return None
    if number is not None and number >= _EPOCH_MILLISECONDS:
        end /= 1000
    # The clock that the date is of is the server's.
    sent = _http_date(headers.get("date", ""))
    return max(0.0, end - (now if sent is None else sent))


def _date(text: str) -> float | None:
    """Return a date of RFC 3339 in seconds since the epoch; None if it is none."""
    try:
        date = datetime.fromisoformat(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _http_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
