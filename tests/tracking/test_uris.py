from __future__ import annotations

from pathlib import Path

import pytest

from ember_bench.secrets import redacted
from ember_bench.tracking.uris import (
    default_uri,
    run_url,
    sqlite_path,
    ui_command,
)


@pytest.mark.parametrize("name", ["plain", "a b", "50%25", "what?", "c#d", "é"])
def test_a_results_folder_of_any_name_has_a_database(name: str, tmp_path: Path):
    assert sqlite_path(default_uri(tmp_path / name)) == tmp_path / name / "mlflow.db"


def test_only_a_sqlite_uri_has_a_file():
    assert sqlite_path("sqlite:///a/b.db?timeout=3") == Path("a/b.db")
    assert sqlite_path("postgresql://host/db") is None
    assert sqlite_path("http://host") is None


def test_passwords_are_not_shown():
    said = redacted("no route to postgresql://me:s3cret@host/db nor https://tok@host/x")
    assert said == "no route to postgresql://***@host/db nor https://***@host/x"
    assert "s3cret" not in str(ui_command("postgresql://me:s3cret@host/db"))
    assert run_url("https://me:s3cret@host/", "1", "r") == "https://host/#/experiments/1/runs/r"


def test_the_command_is_short_and_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    uri = default_uri(tmp_path / "results")
    assert ui_command(uri) == "mlflow ui --backend-store-uri sqlite:///results/mlflow.db"
    spaced = default_uri(tmp_path / "my results")
    assert ui_command(spaced) == "mlflow ui --backend-store-uri 'sqlite:///my results/mlflow.db'"
    assert ui_command("http://host") is None
