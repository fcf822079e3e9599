"""Messages between the driver of a run and its workers, and their encoding.

What a worker asks has a number, by which the answer names it. All are small: keys, counts, answers
of models, results of trials. They travel in batches, as MessagePack.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from ember_bench.errors import EmberBenchError
from ember_bench.experiment.results.further import writable
from ember_bench.experiment.trial import Trial, TrialResult
from ember_bench.models.limits import RateLimitWait
from ember_bench.models.store.payments import Payment
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.types import Completion


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """One message."""


class Claim(Message, frozen=True):
    """Asks for the answer to a call, or for leave to make it (`Coordination.claim`)."""

    number: int
    key: bytes
    makes: bool


class Release(Message, frozen=True):
    """Gives up a call that was claimed."""

    key: bytes
    error: bytes


class Put(Message, frozen=True):
    """Asks for an answer to be stored."""

    number: int
    call: StoredCall
    account: str
    spend_usd: float | None
    patient: bool


class Pay(Message, frozen=True):
    """Asks for a payment to be stored."""

    number: int
    payment: Payment


class Reserve(Message, frozen=True):
    """Asks for money of the budget."""

    number: int
    usd: float
    model: str
    cell: str


class Settle(Message, frozen=True):
    """Settles a reservation; `number` is that of its `Reserve`."""

    number: int
    usd: float | None
    known: float | None


class Permit(Message, frozen=True):
    """Asks for leave to send a request."""

    number: int
    model: str
    lane: int
    tokens: float
    most_usd: float | None


class Serve(Message, frozen=True):
    """Asks for the server of a local model to be started; the answer has its address."""

    number: int
    model: str


class GiveBack(Message, frozen=True):
    """Ends a request; `number` is that of its `Permit`."""

    number: int
    tokens: float


class Finished(Message, frozen=True):
    """Results of trials, and the trials that ended without one."""

    results: list[TrialResult]
    without: list[Trial]


class Failed(Message, frozen=True):
    """A trial raised what is no result: nothing more can be run."""

    error: bytes


class Drained(Message, frozen=True):
    """No request of the worker is in flight any more."""


class Waits(Message, frozen=True):
    """The waits for rate limits that go on."""

    waits: list[RateLimitWait]


Ask = (
    Claim | Release | Put | Pay | Reserve | Settle | Permit | GiveBack | Serve
    | Finished | Failed | Drained | Waits
)  # fmt: skip


class Assign(Message, frozen=True):
    """Hands out trials.

    Attributes:
        trials: With their fingerprints.
        in_flight: Number of trials that the worker may have under way.
    """

    trials: list[tuple[Trial, bytes]]
    in_flight: int


class Answer(Message, frozen=True):
    """Answers a `Claim` or `Put`: None is leave to make the call, or that it is stored as it is."""

    number: int
    completion: Completion | None


class Done(Message, frozen=True):
    """What was asked for is done, or may be done.

    Attributes:
        address: Of the server, if one was asked for.
    """

    number: int
    address: str = ""


class Refused(Message, frozen=True):
    """What was asked for cannot be done."""

    number: int
    error: bytes


class Stop(Message, frozen=True):
    """Begin no further trial.

    Attributes:
        winding_down: Send no further request either.
    """

    winding_down: bool


class Drain(Message, frozen=True):
    """Say so when no request is in flight."""


Tell = Assign | Answer | Done | Refused | Stop | Drain

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_asks: Final = msgspec.msgpack.Decoder(list[Ask])
_tells: Final = msgspec.msgpack.Decoder(list[Tell])


def encoded(messages: Sequence[Ask] | Sequence[Tell]) -> bytes:
    """Return a batch of messages as bytes."""
    return _encode(messages)


def decoded_asks(data: bytes) -> list[Ask]:
    """Return the messages of a worker."""
    return _asks.decode(data)


def decoded_tells(data: bytes) -> list[Tell]:
    """Return the messages of the driver."""
    return _tells.decode(data)


def sendable(message: Ask) -> Ask:
    """Return a message with texts that can be encoded, as the trial store would write them."""
    if not isinstance(message, Finished):
        return message
    return Finished([_sendable(result) for result in message.results], message.without)


def _sendable(result: TrialResult) -> TrialResult:
    further = tuple(
        msgspec.structs.replace(
            score, answer=_plain(score.answer), explanation=_plain(score.explanation) or ""
        )
        for score in result.further
    )
    return msgspec.structs.replace(
        result,
        answer=_plain(result.answer),
        explanation=_plain(result.explanation) or "",
        error=_plain(result.error),
        further=further,
    )


def _plain(text: str | None) -> str | None:
    """Return a text of a user's code, which may be a kind of its own, as a plain one."""
    return None if text is None else writable(str(text))


def packed(error: BaseException) -> bytes:
    """Return an error as bytes; one that cannot be is an `EmberBenchError` with its message."""
    try:
        data = pickle.dumps(error)
        pickle.loads(data)  # noqa: S301 - of the line above
    except Exception:  # whatever a user's exception does when it is written or made again
        return pickle.dumps(EmberBenchError(f"{type(error).__name__}: {error}"))
    return data


def unpacked(data: bytes) -> BaseException:
    """Return the error in `data`, which comes from a process of the same run."""
    error = pickle.loads(data)  # noqa: S301 - Ray's own messages are pickled, too
    return error if isinstance(error, BaseException) else EmberBenchError(str(error))
