"""The file format of a response store: its tables, and an answer as a row of them."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ember_bench.models.recorded.places import Place, Source
from ember_bench.models.types import Completion, TokenLogprob, ToolCall, Usage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

APPLICATION_ID: Final = 0x454D4252  # "EMBR"
SCHEMA_VERSION: Final = 2

# Few sizes, so that the statements stay prepared; SQLite takes 32,766 values in one.
_ROWS_PER_STATEMENT: Final = (256, 32, 4, 1)

# A prompt has no index, which would cost as much as the answer: one that is asked again much
# later, or by another process, is there twice.
SCHEMA: Final = """
CREATE TABLE prompts (id INTEGER PRIMARY KEY, messages TEXT NOT NULL);
CREATE TABLE responses (
    key BLOB PRIMARY KEY,
    prompt INTEGER NOT NULL REFERENCES prompts (id),
    model TEXT NOT NULL,
    role TEXT NOT NULL,
    parameters TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    replica TEXT NOT NULL,
    draw TEXT NOT NULL,
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    usage TEXT NOT NULL,
    more TEXT,
    cost_usd REAL,
    latency_seconds REAL,
    created REAL NOT NULL
);
CREATE TABLE payments (
    account TEXT PRIMARY KEY,
    requests INTEGER NOT NULL,
    spend INTEGER NOT NULL
) WITHOUT ROWID;
"""
# Tables that stores of this version may lack, which are then made: what is not known of the
# payments, and answers that stand in a recording, with their places in it.
LATER_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS doubts (
    account TEXT PRIMARY KEY,
    unpriced INTEGER NOT NULL,
    unanswered INTEGER NOT NULL,
    most INTEGER NOT NULL,
    unbounded INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recordings (id INTEGER PRIMARY KEY, source TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS places (
    key BLOB PRIMARY KEY,
    prompt INTEGER NOT NULL REFERENCES prompts (id),
    recording INTEGER NOT NULL REFERENCES recordings (id),
    item TEXT NOT NULL,
    number INTEGER NOT NULL,
    role TEXT NOT NULL,
    parameters TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    replica TEXT NOT NULL,
    draw TEXT NOT NULL,
    cost_usd REAL,
    created REAL NOT NULL
)
"""

ANSWER_COLUMNS: Final = "text, finish_reason, usage, more, cost_usd, latency_seconds"


class StoredCall(msgspec.Struct, frozen=True, gc=False):
    """One finished call as the store keeps it.

    `completion` has its cost and its latency filled in, as far as they are known. With a `place` it
    stands in a recording, and a file keeps the place alone.
    """

    key: bytes
    messages: str
    model: str
    role: str
    parameters: str
    epoch: int
    replica: str
    draw: str
    completion: Completion
    place: Place | None = None


def completion_of(row: Sequence[Any]) -> Completion:
    """Return the answer in a row of `ANSWER_COLUMNS`.

    Raises:
        ValueError: if what stands there is none: the row is damaged.
    """
    text, finish_reason, usage, more, cost_usd, latency = row
    if not (
        isinstance(text, str)
        and isinstance(finish_reason, str)
        and isinstance(usage, str)
        and isinstance(more, str | None)
        and is_amount(cost_usd)
        and is_amount(latency)
    ):
        raise ValueError("a column has a value that was not written there")
    rest = _decode_more(more) if more is not None else _NO_MORE
    return Completion(
        text,
        _decode_usage(usage),
        finish_reason,
        cost_usd,
        latency,
        rest.tool_calls,
        rest.logprobs,
        rest.thoughts,
        first_token_seconds=rest.first_token_seconds,
    )


def is_amount(value: object) -> bool:
    """Whether a value is a number of dollars or seconds, or None."""
    return value is None or (isinstance(value, float) and 0 <= value < math.inf)


class _More(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The parts of an answer that few have; older rows end before the later of them."""

    tool_calls: tuple[ToolCall, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    thoughts: str = ""
    first_token_seconds: float | None = None


_NO_MORE: Final = _More()
_decode_usage = msgspec.json.Decoder(Usage).decode
_decode_more = msgspec.json.Decoder(_More).decode


def row_of(call: StoredCall, prompt: int, created: float) -> tuple[Any, ...]:
    """Return the row of the table of responses."""
    done, more = call.completion, None
    rest = _More(done.tool_calls, done.logprobs, done.thoughts, done.first_token_seconds)
    if rest != _NO_MORE:
        more = msgspec.json.encode(rest).decode()
    return (
        call.key, prompt, call.model, call.role, call.parameters, call.epoch, call.replica,
        call.draw, done.text, done.finish_reason, msgspec.json.encode(done.usage).decode(), more,
        done.cost_usd, done.latency_seconds, created,
    )  # fmt: skip


def place_row_of(
    call: StoredCall, place: Place, prompt: int, recording: int, created: float
) -> tuple[Any, ...]:
    """Return the row of the table of places."""
    return (
        call.key, prompt, recording, place.item, place.number, call.role, call.parameters,
        call.epoch, call.replica, call.draw, call.completion.cost_usd, created,
    )  # fmt: skip


def recording_id(connection: sqlite3.Connection, source: str) -> int:
    """Return the number of a recording, given as JSON, in the table of recordings."""
    connection.execute("INSERT OR IGNORE INTO recordings (source) VALUES (?)", (source,))
    row = connection.execute("SELECT id FROM recordings WHERE source = ?", (source,)).fetchone()
    found: int = row[0]
    return found


def source_as_text(source: Source) -> str:
    """Return a recording as the table of recordings has it."""
    return msgspec.json.encode(source).decode()


def place_in(source: object, item: object, number: object) -> Place:
    """Return the place that columns of a row say.

    Raises:
        ValueError: if they say none: the row is damaged.
    """
    if not (isinstance(source, str) and isinstance(item, str) and isinstance(number, int)):
        raise ValueError("a column has a value that was not written there")
    return Place(_source_in(source), item, number)


@lru_cache(maxsize=1024)
def _source_in(text: str) -> Source:
    return msgspec.json.decode(text, type=Source)


def insert(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Insert `rows` but for those whose key is there; return how many were inserted.

    Many rows go into one statement: sqlite3 gives up the interpreter lock for each statement, and
    a writer that asks for it back at every row holds up the thread that asks the models.
    """
    inserted, start = 0, 0
    while start < len(rows):
        size = next(size for size in _ROWS_PER_STATEMENT if size <= len(rows) - start)
        chunk = rows[start : start + size]
        one = "(" + ", ".join("?" * len(chunk[0])) + ")"
        inserted += connection.execute(
            f"INSERT OR IGNORE INTO {table} VALUES {', '.join([one] * size)}",  # noqa: S608 - ours
            [value for row in chunk for value in row],
        ).rowcount
        start += size
    return inserted
