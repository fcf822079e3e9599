"""The limits of one key: window, pace, circuit, pauses, buckets."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import islice
from typing import Final

import msgspec

from ember_bench.errors import NoAnswerError, ProviderError
from ember_bench.models.info import ModelInfo
from ember_bench.models.limits.circuit import Circuit
from ember_bench.models.limits.latency import LatencyCurve
from ember_bench.models.limits.pace import Pace
from ember_bench.models.limits.progress import Progress, Ticket
from ember_bench.models.limits.quota import Quotas
from ember_bench.models.limits.shared import SharedBucket, shared_path
from ember_bench.models.limits.window import AdaptiveWindow, WindowHistory
from ember_bench.models.retry import RATE_LIMITED

# Beside 429: 503 "service unavailable", and 529, Anthropic's "overloaded".
_OVERLOADED: Final = frozenset({RATE_LIMITED, 503, 529})
# 408 "request timeout", and 504, a gateway's: the server had no answer in time.
_LATE: Final = frozenset({408, 504})

# Growth is worth a line in the history when the window has grown by a quarter.
_WORTH_NOTING: Final = 1.25
# A server that answered not longer ago is there.
_LATELY_SECONDS: Final = 60.0
# Requests that are held for so many times as long as a refusal takes are being worked on.
_LONGER: Final = 4
# A shorter time between two looks at latencies tells nothing.
_JUDGED_SECONDS: Final = 1.0


class Lane:
    """What one key of a model allows.

    Args:
        model: Who is asked; says how much it allows.
        index: Of the key among those of the model.
        key: The key, by which processes share buckets; None for the one that `model` has.
        history: Where changes are noted.
        clock: Seconds; also that of the buckets.

    Attributes:
        progress: The order of requests and answers.
    """

    def __init__(
        self,
        model: ModelInfo,
        index: int,
        key: str | None,
        history: WindowHistory,
        clock: Callable[[], float],
    ) -> None:
        self.model = model
        self.window = AdaptiveWindow(model.max_concurrency)
        self.pace = Pace()
        self.circuit = Circuit(model.model_id, clock)
        self._in_flight: dict[int, float] = {}
        self._paused_until = -math.inf
        self._index = index
        self._key = key
        self._history = history
        self._clock = clock
        self.progress = Progress(model.max_concurrency)
        self._curve = LatencyCurve()
        self._quotas = Quotas()
        self._judge_at = -math.inf
        # When the request whose turn it is may use what it took from the buckets.
        self._requests_at = self._tokens_at = -math.inf
        self._number = 0
        self._sent_tokens = 0.0
        self._noted = 0
        self._noted_until = -math.inf

    @property
    def in_flight(self) -> int:
        """Requests on their way."""
        return len(self._in_flight)

    @cached_property
    def _requests(self) -> SharedBucket | None:
        return self._bucket(self.model.rate_limit.requests_per_minute, "requests")

    @cached_property
    def _tokens(self) -> SharedBucket | None:
        return self._bucket(self.model.rate_limit.tokens_per_minute, "tokens")

    def has_room(self, *, alone: bool) -> bool:
        """Whether one more request may be in flight.

        Args:
            alone: Whether no other request waits.
        """
        now = self._clock()
        busy, size = len(self._in_flight), self.window.size(now)
        if busy and (given_up := self.progress.given_up):
            # The server may still work on it. Only an answer tells, so one request is always sent.
            busy += len(given_up)
        if busy >= size:
            self.window.filled(now)
            size = self.window.size(now)
        if busy < size and alone:
            self.window.has_room()
        return busy < size

    def is_free(self) -> bool:
        """Whether a request may begin at once, as far as can be told at a glance."""
        if self.circuit.is_open or self._quotas:
            return False
        at = max(self._paused_until, self.pace.free_at())
        return at <= self._clock() and self.has_room(alone=True)

    def free(self) -> int:
        """Return how many more requests may be in flight."""
        return self.window.size(self._clock()) - self.in_flight

    def grows(self) -> bool:
        """Whether the window grows with time."""
        return self.window.grows(self._clock())

    def wait(self, tokens: float) -> float:
        """Return the seconds to wait for the end of a pause, for the pace, and for the buckets.

        Args:
            tokens: Of the request that waits.
        """
        at = max(self.pace.free_at(), self._requests_at, self._tokens_at)
        return max(at, self.stopped_until(tokens)) - self._clock()

    def stopped_until(self, tokens: float) -> float:
        """Return until when the provider lets no request begin, in seconds of the clock.

        Args:
            tokens: Of the next request.
        """
        if not self._quotas:
            return self._paused_until
        free_at = self._quotas.free_at(self._number, self._sent_tokens, tokens)
        return max(self._paused_until, free_at)

    def told(self, ticket: Ticket, headers: Mapping[str, str]) -> None:
        """Heed what the headers of a response say about limits."""
        now = self._clock()
        self._quotas.told(ticket, headers, now)
        until = self.stopped_until(1.0)
        seconds = until - now
        if seconds > _WORTH_NOTING and until - max(self._noted_until, now) > seconds / 2:
            self._noted_until = until
            self.note(f"told that nothing is left for {seconds:.3g} s")

    @property
    def counts_tokens(self) -> bool:
        """Whether the provider says how many tokens are left."""
        return self._quotas.counts_tokens

    def take(self, tokens: float) -> None:
        """Take a request from the buckets."""
        if self._requests is not None:
            self._requests_at = self._clock() + self._requests.take(1)
        if self._tokens is not None:
            self._tokens_at = self._clock() + self._tokens.take(tokens)

    def settle(self, estimated: float, used: float) -> None:
        """Correct the tokens that were taken by those that were used."""
        if self._tokens is not None:
            self._tokens_at -= self._tokens.settle(estimated, used)

    def admit(self, tokens: float) -> Ticket:
        """Begin a request.

        Raises:
            CircuitOpenError: if the circuit is open and no probe is due.
        """
        if self.circuit.is_open:
            self.circuit.admit()
        now, progress, ahead = self._clock(), self.progress, len(self._in_flight)
        self._number += 1
        self._sent_tokens += tokens
        self._in_flight[self._number] = now
        ticket = Ticket(
            self._number,
            now,
            self.window.generation,
            ahead,
            progress.moves,
            self._sent_tokens,
            now + progress.seconds_given_up() if progress.given_up else now,
            self._index,
        )
        self.pace.sent(ticket)
        if self._number == 1:
            self.note("first request", logging.DEBUG)
        return ticket

    def restart(self, ticket: Ticket) -> Ticket:
        """Let a request begin now that was admitted before."""
        now = self._clock()
        self._in_flight[ticket.number] = now
        later = now - ticket.sent
        return msgspec.structs.replace(ticket, sent=now, expected=ticket.expected + later)

    def leave(self, ticket: Ticket) -> None:
        """Make room, as a request has ended."""
        del self._in_flight[ticket.number]

    def answered(self, ticket: Ticket, *, is_answer: bool, waiting: bool) -> None:
        """Count an answer, or an error that is no fault of the endpoint's.

        Args:
            ticket: The request.
            is_answer: Whether it is an answer.
            waiting: Whether others wait for their turn.
        """
        self._close_circuit()
        now, window = self._clock(), self.window
        if is_answer:
            self.progress.answered(ticket, now)
            # Where nobody waits, the last to come are those that took longest, however few.
            if waiting:
                self._measure(ticket, now)
        window.answered(len(self._in_flight), now, waiting=waiting)
        size = window.size(now)
        if size >= self._noted * _WORTH_NOTING or size == window.most != self._noted:
            self.note("grew", logging.DEBUG)

    def failed(self, ticket: Ticket, call: bytes, error: ProviderError) -> bool:
        """Count a failure that may pass, and slow down or stop where that is what it asks for.

        Returns:
            Whether the circuit opened.
        """
        late = error.status in _LATE or isinstance(error, NoAnswerError)
        if error.status in _OVERLOADED:
            self._slow_down(ticket, error)
            error.busy = error.status == RATE_LIMITED or self._is_at_work(ticket)
        elif late:
            self._timed_out(ticket)
        if error.retry_after is not None:
            self._pause(error.retry_after)
        if error.status == RATE_LIMITED:
            self._close_circuit()
        if error.busy:
            return False
        if late and self.progress.answered_at >= ticket.sent:
            return False  # others were answered meanwhile: the server is there
        opened = self.circuit.failed(call, error)
        if opened:
            self.note(f"circuit opened: {error}")
        return opened

    def _pause(self, seconds: float) -> None:
        """Let no request begin for some time."""
        now = self._clock()
        more = now + seconds - max(self._paused_until, now)
        if more > 0:
            self._paused_until = now + seconds
            if more > seconds / 2:  # those that were under way together say so one by one
                self.note(f"told to wait {seconds:.3g} s")

    def note(self, reason: str, level: int = logging.INFO) -> None:
        """Note a change in the history."""
        now = self._clock()
        self._noted = self.window.size(now)
        self._history.add(self._noted, self.pace.rate(now), reason, level=level)

    def _close_circuit(self) -> None:
        if self.circuit.is_open:
            self.note("answers again")
        self.circuit.answered()

    def _slow_down(self, ticket: Ticket, error: ProviderError) -> None:
        now = self._clock()
        first = self.window.refused(ticket, self.in_flight, now)
        if error.status == RATE_LIMITED:
            self.pace.refused(ticket, self.window.size(now) if first else None)
        if first:
            self.note(f"refused with {error.status}")

    def _is_at_work(self, ticket: Ticket) -> bool:
        """Whether the server that refused a request answers others, or holds them to work on."""
        now = self._clock()
        if now - self.progress.answered_at < _LATELY_SECONDS:
            return True
        # In the order in which they were sent; the first one may just hang.
        held = next(islice(self._in_flight.values(), 1, None), now)
        return now - held > _LONGER * (now - ticket.sent) + _JUDGED_SECONDS

    def _timed_out(self, ticket: Ticket) -> None:
        now = self._clock()
        self._curve.add(ticket.ahead + 1, now - ticket.sent, self._number)
        self.progress.gave_up(ticket, now)
        # One that later ones have overtaken did not wait in a queue.
        overtaken = self.progress.was_overtaken(ticket)
        if not overtaken and self.window.timed_out(ticket, now):
            self.note("no answer in time")

    def _measure(self, ticket: Ticket, now: float) -> None:
        """Bound the window where more requests in flight only wait longer."""
        self._curve.add(ticket.ahead + 1, now - ticket.sent, self._number)
        if now >= self._judge_at:
            self._judge_at = now + _JUDGED_SECONDS
            if self.window.bound(self._curve.useful(self._number), now):
                self.note("latency grows and throughput does not")

    def _bucket(self, per_minute: int | None, unit: str) -> SharedBucket | None:
        if per_minute is None:
            return None
        return SharedBucket(per_minute, shared_path(self.model, unit, self._key), clock=self._clock)
