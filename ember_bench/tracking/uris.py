"""Tracking URIs: of a results folder, of a file, without a password."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from urllib.parse import quote, unquote, urlencode, urlsplit

from ember_bench.secrets import redacted

RUN_PREFIX = "runs:/"
"""MLflow's own way to write that a run is meant."""

_STORES = ("sqlite", "postgresql", "mysql", "mssql", "databricks")
_SQLITE = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]+)(?:\?.*)?", re.DOTALL)
_USER = re.compile(r"(?<=://)[^/\s]*@")


def default_uri(results: Path) -> str:
    """Return the URI of the database that a results folder has for MLflow."""
    path = str(results.absolute() / "mlflow.db")
    return "sqlite:///" + path.replace("%", "%25").replace("?", "%3F")


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite URI, None of any other."""
    found = _SQLITE.fullmatch(uri)
    return Path(unquote(found["path"])) if found else None


def unusable(uri: str) -> str | None:
    """Return the problem of a tracking URI, None if MLflow may be able to use it."""
    scheme = uri.split(":", 1)[0].split("+", 1)[0]
    if is_server(uri) or scheme in _STORES:
        return None
    return (
        f"{redacted(uri)!r} is not a tracking URI that MLflow can use: give a database "
        "(`sqlite:///mlflow.db`, `postgresql://...`) or a server (`http://...`)"
    )


def is_server(uri: str) -> bool:
    """Tell whether a tracking server, and not a database, is behind `uri`."""
    return urlsplit(uri).scheme in {"http", "https"}


def ui_command(uri: str) -> str | None:
    """Return the command that opens MLflow on a database, short if it is below this folder."""
    if is_server(uri):
        return None
    path = sqlite_path(uri)
    if path is not None and path.is_absolute() and path.is_relative_to(Path.cwd()):
        uri = "sqlite:///" + uri.removeprefix("sqlite:///" + str(Path.cwd()) + os.sep)
    return f"mlflow ui --backend-store-uri {shlex.quote(redacted(uri))}"


def runs_url(pages: str, experiment_id: str) -> str:
    """Return the page with the table of an experiment's runs."""
    return f"{pages}/#/experiments/{experiment_id}/runs"


def run_url(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the page of a run; a database's is where `mlflow ui` puts it."""
    return f"{_pages(uri)}/#/experiments/{experiment_id}/runs/{run_id}"


def cells_url(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the page with the charts of the cells of a run, best first.

    Only in an order of their own are they not hidden below the run.
    """
    query = {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{run_id}'",
        "orderByKey": "metrics.`accuracy`",
        "orderByAsc": "false",
        "compareRunsMode": "CHART",
    }
    found = urlencode(query, quote_via=quote)
    return f"{_pages(uri)}/#/experiments/{experiment_id}/runs?{found}"


def _pages(uri: str) -> str:
    return _USER.sub("", uri).rstrip("/") if is_server(uri) else "http://127.0.0.1:5000"
