from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from ember_bench.datasets import Dataset
from ember_bench.errors import ConfigError
from tests.support.postgres import postgresql

CARD: dict[str, Any] = {
    "name": "quiz",
    "purpose": "A test.",
    "fields": {"id": "id", "question": "q", "target": "a"},
    "evaluator": "exact_match",
}
TABLE = "CREATE TABLE quiz (id INTEGER PRIMARY KEY, q TEXT, a TEXT, kind TEXT)"
ROWS = [(2, "Capital of Peru?", "Lima", "far"), (1, "Capital of France?", "Paris", "near")]

Load = Callable[..., Dataset]


@pytest.fixture
def database(registry: Path) -> Path:
    """A database beside the cards, its rows in another order than their keys."""
    path = registry / "datasets" / "items.db"
    with sqlite3.connect(path) as connection:
        connection.execute(TABLE)
        connection.executemany("INSERT INTO quiz VALUES (?, ?, ?, ?)", ROWS)
        connection.execute("CREATE VIEW bare AS SELECT q, a FROM quiz")
    connection.close()
    return path


@pytest.fixture
def read(load: Load, database: Path) -> Load:
    def read(source: dict[str, Any], **card: Any) -> Dataset:
        return load(json.dumps(CARD | {"source": {"sql": source}} | card))

    return read


def test_the_rows_of_a_table_come_in_the_order_of_its_key(read: Load) -> None:
    dataset = read({"url": "sqlite:///items.db", "table": "quiz"})
    assert [(item.id, item.target) for item in dataset] == [("1", "Paris"), ("2", "Lima")]
    assert dataset.source.endswith("items.db (quiz)")
    assert dataset.revision is not None


def test_another_order_and_a_query_can_be_given(read: Load) -> None:
    ordered = read({"url": "sqlite:///items.db", "table": "bare", "order_by": "a"},
                   fields={"question": "q", "target": "a"})  # fmt: skip
    assert [item.target for item in ordered] == ["Lima", "Paris"]
    query = "SELECT id, q, a FROM quiz WHERE kind = 'far' ORDER BY id"
    assert [item.id for item in read({"url": "sqlite:///items.db", "query": query})] == ["2"]


def test_an_edited_table_is_another_revision(read: Load, database: Path) -> None:
    source = {"url": "sqlite:///items.db", "table": "quiz"}
    before = read(source)
    assert read(source).revision == before.revision
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE quiz SET a = 'Cuzco' WHERE id = 2")
    connection.close()
    assert read(source).revision != before.revision


def test_the_address_may_come_from_the_environment(
    read: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {"url_from": "QUIZ_DATABASE", "table": "quiz"}
    with pytest.raises(ConfigError, match="environment variable QUIZ_DATABASE, with the address"):
        read(source)
    monkeypatch.setenv("QUIZ_DATABASE", "sqlite:///items.db")
    assert len(read(source)) == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"table": "quiz"}, "expected exactly one of url, url_from"),
        ({"url": "sqlite:///items.db"}, "expected exactly one of table, query"),
        (
            {"url": "sqlite:///items.db", "query": "SELECT 1", "order_by": "a"},
            "`order_by` is for a table",
        ),
        ({"url": "sqlite:///none.db", "table": "quiz"}, "there is no file"),
        ({"url": "sqlite:///items.db", "table": "quz"}, "no table 'quz'; did you mean 'quiz'?"),
        (
            {"url": "sqlite:///items.db", "table": "quiz", "order_by": "kin"},
            "table 'quiz' has no column 'kin'; did you mean 'kind'?",
        ),
        ({"url": "sqlite:///items.db", "table": "bare"}, "table 'bare' has no primary key"),
        ({"url": "sqlite:///items.db", "query": "SELEC"}, 'the database: near "SELEC"'),
        ({"url": "quiz", "table": "quiz"}, "the database: Could not parse"),
        ({"url": "nosql://x/y", "table": "quiz"}, "the database: Can't load plugin"),
    ],
)
def test_what_is_wrong_with_a_database_is_said(
    source: dict[str, Any], message: str, read: Load
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(source)
    assert message in str(caught.value)
    assert "quiz.yaml" in str(caught.value)


def test_a_row_without_a_target_is_named(read: Load, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE quiz SET a = NULL WHERE id = 2")
    connection.close()
    with pytest.raises(ConfigError, match="row 2 of quiz: the target"):
        read({"url": "sqlite:///items.db", "table": "quiz"})


def test_a_password_is_never_shown(read: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        read({"url": "postgresql+psycopg2://me:s3cret@127.0.0.1:9/db", "table": "quiz"})
    assert "the database: " in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.slow
def test_a_table_of_postgresql_is_read_alike(read: Load) -> None:
    local = read({"url": "sqlite:///items.db", "table": "quiz"})
    with postgresql() as url:
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(TABLE))
            for row in ROWS:
                names = dict(zip("iqak", row, strict=True))
                connection.execute(
                    sqlalchemy.text("INSERT INTO quiz VALUES (:i, :q, :a, :k)"), names
                )
        engine.dispose()
        remote = read({"url": url, "table": "quiz"})
    assert list(remote) == list(local)
    assert remote.revision == local.revision
