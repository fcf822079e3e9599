"""What a run is doing now: a file beside its trial store, for who looks at it meanwhile.

It is written anew about every second while trials run, and taken away at their end. Writing it
takes a small share of the CPU time at most. It is no result: nothing is lost with it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec

from ember_bench.engines.local import UnderWay
from ember_bench.experiment.trial import Trial
from ember_bench.experiment.trial_calls import CallEntry, entries
from ember_bench.files import write
from ember_bench.models.call import Call
from ember_bench.models.client import Client
from ember_bench.models.service import ModelService
from ember_bench.models.types import Message
from ember_bench.models.under_way import EndpointNow, Unanswered
from ember_bench.secrets import without_secrets

LIVE: Final = "live.json"
MOST_TRIALS: Final = 1_000
_LEAST_SECONDS: Final = 1.0
_MOST_WAITS: Final = 10
# Of the CPU time of the process.
_SHARE: Final = 0.01
_LONGEST_PROMPT: Final = 4_000
_LONGEST_ERROR: Final = 500
_LOGGER: Final = logging.getLogger("ember_bench.live")

State = Literal["waiting", "sent", "again", "elsewhere"]


class WaitingCall(msgspec.Struct, frozen=True, gc=False):
    """A call whose answer a trial waits for.

    Attributes:
        key: The call key.
        model: Who is asked.
        node: The graph node that asks.
        role: What the model is asked to do.
        seconds: How long the trial has waited for it.
        state: `waiting` for limits or money, `sent`, to be sent `again` after an error, or asked
            `elsewhere`: in a batch or by another process.
        sent_seconds: Since its request was sent; None unless it is `sent`.
        attempts: Number of requests sent.
        error: The error of the last attempt that failed; "" without one.
        prompt: Index of its prompt in `Live.prompts`.
    """

    key: bytes
    model: str
    node: str
    role: str
    seconds: float
    state: State
    sent_seconds: float | None
    attempts: int
    error: str
    prompt: int


class LiveTrial(msgspec.Struct, frozen=True, gc=False):
    """A trial that is under way.

    Attributes:
        cell: Index of its cell.
        item: Index of its item.
        epoch: Its epoch, from 0.
        seconds: How long it has taken.
        calls: Its calls that are answered, those of its judges among them.
        waits: The calls that it waits for.
    """

    cell: int
    item: int
    epoch: int
    seconds: float
    calls: tuple[CallEntry, ...]
    waits: tuple[WaitingCall, ...]


class LiveSummary(msgspec.Struct, frozen=True):
    """What a run is doing now, in short.

    Attributes:
        process: The process that wrote it.
        written: When, in seconds since 1970.
        models: The limits of each model that may have to be waited for.
        under_way: Number of trials under way; None if the engine does not tell.
    """

    process: int
    written: float
    models: dict[str, EndpointNow]
    under_way: int | None


class Live(LiveSummary, frozen=True):
    """What a run is doing now.

    Attributes:
        trials: The trials under way that began first, `MOST_TRIALS` at most.
        prompts: Role and text of each message of the calls that are waited for; of long ones the
            beginning.
    """

    trials: tuple[LiveTrial, ...] = ()
    prompts: tuple[tuple[tuple[str, str], ...], ...] = ()


_L = TypeVar("_L", bound=LiveSummary)


def read_live(folder: Path, process: int, kind: type[_L]) -> _L | None:
    """Return what a process does now in an experiment's folder; None if unknown.

    Args:
        folder: The experiment's folder.
        process: The process that runs it.
        kind: How much to read: `LiveSummary` or `Live`.
    """
    try:
        found = msgspec.json.decode((folder / LIVE).read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):  # not written yet, or by another version
        return None
    return found if found.process == process else None


@asynccontextmanager
async def shown_live(
    folder: Path,
    service: ModelService,
    under_way: Mapping[Trial, UnderWay] | None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Keep the file of what a run is doing now.

    Args:
        folder: The experiment's folder.
        service: Asks the models, on this loop.
        under_way: The trials of the engine; None if it does not tell.
        sleep: Waits for some seconds.
    """
    path = folder / LIVE
    writings, seconds = 0, 0.0

    async def keep() -> None:
        nonlocal writings, seconds
        due = -math.inf
        while True:
            await _until(due, sleep)
            began = time.thread_time()
            content = msgspec.json.encode(live_now(service, under_way))
            took = time.thread_time() - began
            try:
                took += await asyncio.to_thread(_timed_write, path, content)
            except OSError as error:
                _LOGGER.warning("%s: cannot be written: %s", path, error.strerror)
                return
            due = time.process_time() + took / _SHARE
            writings, seconds = writings + 1, seconds + took

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        with suppress(OSError):
            path.unlink(missing_ok=True)
        _LOGGER.debug("%s: written %d times in %.6f s of CPU", path, writings, seconds)


async def _until(due: float, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Wait at least a second, until the process has used so much CPU or did not do so for long.

    Args:
        due: CPU seconds of the process.
        sleep: Waits for some seconds.
    """
    for _ in range(_MOST_WAITS):
        await sleep(_LEAST_SECONDS)
        if time.process_time() >= due:
            return


def _timed_write(path: Path, content: bytes) -> float:
    """Write a file; return the CPU seconds that it took."""
    began = time.thread_time()
    write(path, content)
    return time.thread_time() - began


def live_now(service: ModelService, under_way: Mapping[Trial, UnderWay] | None) -> Live:
    """Return what a run is doing now; call it on the loop of its service."""
    now = time.monotonic()
    models = {c.provider.model.model_id: state for c in service.clients if (state := c.now)}
    if under_way is None:
        return Live(os.getpid(), time.time(), models, None)
    shown = dict(list(under_way.items())[:MOST_TRIALS])
    prompts: dict[tuple[Message, ...], int] = {}
    waits = _waits(service.clients, {id(trial.purse) for trial in shown.values()}, prompts, now)
    trials = tuple(
        LiveTrial(
            trial.cell, trial.item, trial.epoch, now - state.began, entries(state.log.calls),
            tuple(waits.get(id(state.purse), ())),
        )
        for trial, state in shown.items()
    )  # fmt: skip
    return Live(
        os.getpid(), time.time(), models, len(under_way), trials, tuple(map(_shortened, prompts))
    )


def _waits(
    clients: list[Client], purses: set[int], prompts: dict[tuple[Message, ...], int], now: float
) -> dict[int, list[WaitingCall]]:
    """Return the calls that trials wait for, by their purses."""
    found: dict[int, list[WaitingCall]] = defaultdict(list)
    for call, since, state in _waiting(clients):
        if (purse := id(call.trial.purse)) not in purses:
            continue
        request = call.request
        place = prompts.setdefault(request.messages, len(prompts))
        sent = None if state is None or state.sent is None else now - state.sent
        found[purse].append(
            WaitingCall(
                call.key, request.model.model_id, call.node, request.role, now - since,
                _named(state), sent, 0 if state is None else state.attempts,
                "" if state is None else _written(state.error), place,
            )
        )  # fmt: skip
    return found


def _waiting(clients: list[Client]) -> Iterator[tuple[Call, float, Unanswered | None]]:
    for client in clients:
        yield from client.waiting()


def _named(state: Unanswered | None) -> State:
    if state is None:
        return "elsewhere"
    if state.sent is not None:
        return "sent"
    return "again" if state.attempts else "waiting"


def _written(error: str) -> str:
    text = without_secrets(error)[:_LONGEST_ERROR]
    return text.encode(errors="replace").decode()  # JSON takes no lone surrogate


def _shortened(messages: tuple[Message, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((message.role, _beginning(message.content)) for message in messages)


def _beginning(text: str) -> str:
    return text if len(text) <= _LONGEST_PROMPT else f"{text[:_LONGEST_PROMPT]} …"
