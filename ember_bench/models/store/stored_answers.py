"""The answers in a response store's file, and what was paid for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from ember_bench.errors import ConfigError, DamagedStoreError, StoreError
from ember_bench.models.recorded.places import RecordedAnswers
from ember_bench.models.storable import as_kept
from ember_bench.models.store.payments import Paid, Sums
from ember_bench.models.store.rows import (
    ANSWER_COLUMNS,
    APPLICATION_ID,
    SCHEMA,
    SCHEMA_VERSION,
    StoredCall,
    completion_of,
    place_in,
)
from ember_bench.models.store.sqlite import is_damage, is_undecodable, open_for_reading, suspect
from ember_bench.models.types import Completion, Message

_CALL_COLUMNS: Final = ("messages", "model", "role", "parameters", "epoch", "replica", "draw")

_PLACE_COLUMNS: Final = "source, item, number, role, cost_usd"
_PLACES: Final = "FROM places JOIN recordings ON recording = recordings.id"

_decode_messages = msgspec.json.Decoder(tuple[Message, ...]).decode


class StoredAnswers:
    """The answers in a response store's file, which is only read: nothing is made or changed.

    Args:
        path: The file.

    Raises:
        StoreError: if it is not a response store of this version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = _open_for_reading(path)
        known = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'places'"
        self._recordings = RecordedAnswers()
        self._has_places = self._reader.execute(known).fetchone() != (0,)

    def get(self, key: bytes) -> Completion | None:
        """Return the stored answer of a call, or None; one of a recording is read there.

        Raises:
            StoreError: if the file cannot be read any more.
            DataMissingError: if the recording is not there any more.
            ConfigError: if it is another one.
        """
        row = self._row(
            f"SELECT {ANSWER_COLUMNS} FROM responses WHERE key = ?",  # noqa: S608 - ours
            key,
        )
        if row is None:
            return self._recorded(key)
        try:
            return completion_of(row)
        except ValueError:
            self._found_damaged(key)
            return None

    def _recorded(self, key: bytes) -> Completion | None:
        """Return the answer of a call that stands in a recording, or None.

        Raises:
            ConfigError: if the recording is not there any more, or another one.
        """
        if not self._has_places:
            return None
        row = self._row(f"SELECT {_PLACE_COLUMNS} {_PLACES} WHERE key = ?", key)
        if row is None:
            return None
        source, item, number, role, cost_usd = row
        try:
            found = self._recordings.at(place_in(source, item, number), role)
        except (ValueError, IndexError):  # damaged; the next run reads it anew
            return None
        return as_kept(found, cost_usd)

    def calls(self, keys: Iterable[bytes]) -> dict[bytes, StoredCall]:
        """Return the stored calls among `keys` with their prompts, for reports.

        Where an answer stands in a recording that is gone or has changed, its text says so.

        Raises:
            StoreError: if the file cannot be read any more.
        """
        found = {}
        for key in keys:
            row = self._row(
                f"SELECT {', '.join(_CALL_COLUMNS)}, {ANSWER_COLUMNS}"  # noqa: S608 - ours
                " FROM responses JOIN prompts ON prompt = id WHERE key = ?",
                key,
            )
            if row is None:
                if (call := self._recorded_call(key)) is not None:
                    found[key] = call
                continue
            fields = dict(zip(_CALL_COLUMNS, row, strict=False))
            with suppress(ValueError):
                fields["messages"] = _readable(fields["messages"])
                completion = completion_of(row[len(_CALL_COLUMNS) :])
                found[key] = msgspec.convert(
                    {"key": key, "completion": completion, **fields}, StoredCall
                )
        return found

    def _recorded_call(self, key: bytes) -> StoredCall | None:
        """Return a call whose answer stands in a recording; where that is gone, the error."""
        if not self._has_places:
            return None
        row = self._row(
            f"SELECT {', '.join(_CALL_COLUMNS[2:])}, source, messages {_PLACES}"
            " JOIN prompts ON prompt = prompts.id WHERE key = ?",
            key,
        )
        if row is None:
            return None
        *call, source, messages = row
        try:
            completion = self._recorded(key)
        except ConfigError as error:
            completion = Completion(f"[not here: {error}]")
        if completion is None:
            return None
        fields = dict(zip(_CALL_COLUMNS[2:], call, strict=True))
        with suppress(ValueError):
            model = place_in(source, "", 0).source.model
            more = {"messages": _readable(messages), "model": model, "completion": completion}
            return msgspec.convert({"key": key, **fields, **more}, StoredCall)
        return None

    def latest(self, most: int) -> list[StoredCall]:
        """Return the calls that were stored last, the latest first, without damaged ones.

        Raises:
            StoreError: if the file cannot be read any more.
        """
        tables = ["responses", "places"] if self._has_places else ["responses"]
        found: list[tuple[float, int, bytes]] = []
        for table in tables:
            query = f"SELECT created, rowid, key FROM {table} ORDER BY rowid DESC LIMIT ?"  # noqa: S608 - ours
            try:
                found += self._reader.execute(query, (most,))
            except sqlite3.DatabaseError as error:
                raise unreadable(self.path, error) from error
        return list(self.calls([key for *_, key in sorted(found, reverse=True)[:most]]).values())

    def _row(self, query: str, key: bytes) -> tuple[Any, ...] | None:
        """Return the row of a call; None if there is none, or a text in it is not UTF-8."""
        try:
            row: tuple[Any, ...] | None = self._reader.execute(query, (key,)).fetchone()
        except sqlite3.DatabaseError as error:
            if not is_undecodable(error):
                raise unreadable(self.path, error) from error
            self._found_damaged(key)
            return None
        return row

    def _found_damaged(self, key: bytes) -> None:
        """Take the answer of a call for one that is not stored."""

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


def paid_on(path: Path, account: str) -> Paid:
    """Return what was paid on `account` in a response store.

    Raises:
        StoreError: if the file cannot be read.
    """
    with closing(_open_for_reading(path)) as reader:
        try:
            row = reader.execute(
                "SELECT requests, spend, ifnull(unpriced, 0), ifnull(unanswered, 0),"
                " ifnull(most, 0), ifnull(unbounded, 0)"
                " FROM payments LEFT JOIN doubts USING (account) WHERE account = ?",
                (account,),
            ).fetchone()
        except sqlite3.DatabaseError as error:
            raise unreadable(path, error) from error
    return (Sums() if row is None else Sums(*row)).paid


def _readable(messages: object) -> str:
    """Return a prompt as JSON; an empty one where it is damaged: the answer is worth showing."""
    try:
        if isinstance(messages, str):
            _decode_messages(messages)
            return messages
    except msgspec.MsgspecError:
        pass
    return "[]"


def unreadable(path: Path, error: sqlite3.DatabaseError) -> StoreError:
    """Return the error of a file that cannot be read; a damaged one is suspected from then on."""
    if not is_damage(error):
        return StoreError(f"{path}: cannot be read: {error}")
    suspect(path)
    return DamagedStoreError(
        f"{path}: cannot be read: {error}; the next run puts it aside and recovers what can be read"
    )


def _open_for_reading(path: Path) -> sqlite3.Connection:
    return open_for_reading(
        path, application_id=APPLICATION_ID, version=SCHEMA_VERSION, schema=SCHEMA
    )
