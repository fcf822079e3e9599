"""Records of database tables and queries, through SQLAlchemy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ember_bench.datasets.records import Record, Records, content_revision
from ember_bench.datasets.sources import Opening, record_source
from ember_bench.errors import ConfigError, Problem, did_you_mean
from ember_bench.models.recorded.data_dir import Text
from ember_bench.secrets import redacted

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection
    from sqlalchemy.sql import Executable


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class SqlSource(BaseModel):
    """A table or a query of a database."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Text | None = None
    """Its address, as SQLAlchemy writes it: `sqlite:///items.db` (a path relative to the card),
    `postgresql://host/name`."""
    url_from: Text | None = None
    """The environment variable that holds the address, which may have a password in it."""
    table: Text | None = None
    """The table."""
    query: Text | None = None
    """A query, in place of a table; with an `ORDER BY`, for the same items each time."""
    order_by: (
        Annotated[
            tuple[Text, ...],
            BeforeValidator(_as_list, json_schema_input_type=str | list[str]),
            Field(min_length=1),
        ]
        | None
    ) = None
    """Columns that the rows of a table are ordered by; by default its primary key."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for names in (("url", "url_from"), ("table", "query")):
            if sum(getattr(self, name) is not None for name in names) != 1:
                raise ValueError(f"expected exactly one of {', '.join(names)}")
        if self.query is not None and self.order_by is not None:
            raise ValueError("`order_by` is for a table; write it into the query")
        return self


@record_source("sql", SqlSource)
def open_sql(source: SqlSource, opening: Opening) -> Records:
    """A table or a query of a database that SQLAlchemy knows (extra `sql`).

    All rows are read at once; their digest is the revision.

    Raises:
        ConfigError: if the database cannot be reached, or has no such table.
    """
    try:
        import sqlalchemy  # noqa: PLC0415 - an extra
    except ImportError:
        message = "a database needs SQLAlchemy: pip install 'ember-bench[sql]'"
        raise ConfigError(opening.problem(message)) from None
    try:
        url = _url(source, opening)
        engine = sqlalchemy.create_engine(url)
        try:
            with engine.connect() as connection:
                found = connection.execute(_statement(source, connection, opening))
                rows: list[Record] = [dict(row) for row in found.mappings()]
        finally:
            engine.dispose()
    except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
        raise ConfigError(opening.problem(f"the database: {_reason(error)}")) from None
    label = f"{url.render_as_string(hide_password=True)} ({source.table or 'query'})"

    def locate(number: int, message: str) -> Problem:
        return opening.problem(f"row {number} of {source.table or 'the query'}: {message}")

    return Records(label, content_revision(rows), enumerate(rows, 1), "record", locate)


def _url(source: SqlSource, opening: Opening) -> URL:
    """Return the address of the database; the path of a file is one relative to the card."""
    from sqlalchemy import make_url  # noqa: PLC0415

    named = source.url
    if source.url_from is not None and not (named := os.environ.get(source.url_from)):
        message = f"the environment variable {source.url_from}, with the address, is not set"
        raise ConfigError(opening.problem(message))
    url = make_url(named or "")
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return url
    path = Path(opening.folder, url.database or "")
    if not path.is_file():  # SQLite would make an empty one
        raise ConfigError(opening.problem(f"there is no file {path}"))
    return url.set(database=str(path))


def _statement(source: SqlSource, connection: Connection, opening: Opening) -> Executable:
    import sqlalchemy as sql  # noqa: PLC0415

    if source.query is not None:
        return sql.text(source.query)
    table = source.table or ""
    inspector = sql.inspect(connection)
    known = [*inspector.get_table_names(), *inspector.get_view_names()]
    if table not in known:
        raise ConfigError(
            opening.problem(f"there is no table {table!r}{did_you_mean(table, known)}")
        )
    order = source.order_by or inspector.get_pk_constraint(table)["constrained_columns"]
    if not order:
        message = f"table {table!r} has no primary key; say what to order it by: `order_by:`"
        raise ConfigError(opening.problem(message))
    columns = [column["name"] for column in inspector.get_columns(table)]
    for name in order:
        if name not in columns:
            message = f"table {table!r} has no column {name!r}{did_you_mean(name, columns)}"
            raise ConfigError(opening.problem(message))
    chosen = sql.table(table, *(sql.column(name) for name in columns))
    return sql.select(chosen).order_by(*(chosen.c[name] for name in order))


def _reason(error: Exception) -> str:
    """Return what went wrong, without the statement and its parameters."""
    reason = str(getattr(error, "orig", None) or error)
    return redacted((reason.strip().splitlines() or [type(error).__name__])[0])
