"""`ember-bench schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ember_bench.cli import main


def status(*arguments: str) -> int:
    """Run the command and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(["schema", *arguments])
    return int(ended.value.code or 0)


def test_kinds_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert status() == 0
    assert "grid\nmodel\ndataset\n" in capsys.readouterr().out


def test_a_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("grid") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "ember-bench grid"


def test_a_wrong_kind_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("gird") == 2
    assert "did you mean 'grid'" in capsys.readouterr().err


def test_files_are_given_the_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = tmp_path / "sums.yaml"
    card.write_text("name: sums\n")
    assert status("dataset", str(card)) == 0
    assert card.read_text().startswith("# yaml-language-server: $schema=.schemas/dataset.json\n")
    assert capsys.readouterr().out == ""
