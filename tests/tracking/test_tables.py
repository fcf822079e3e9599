from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from ember_bench.tracking.tables import SCHEMA, write_tables
from tests.tracking.summaries import trials


def test_all_rows_are_in_the_parquet_file_and_the_first_in_the_table(tmp_path: Path):
    write_tables(trials(2_500, size=700), tmp_path)
    rows = pq.read_table(tmp_path / "trials.parquet")
    assert rows.schema.names == SCHEMA.names
    assert rows.num_rows == 2_500
    *_, last = trials(2_500, size=700)
    assert rows["item"][2_499].as_py() == last["item"][-1]
    table = json.loads((tmp_path / "trials.json").read_text())
    assert len(table["data"]) == 2_000
    assert table["columns"][:2] == ["item", "outcome"]
    errors = [error for batch in trials(2_000) for error in batch["error"]]
    assert ("error" in table["columns"]) == any(errors)


def test_missing_columns_are_empty_and_answers_of_any_type_are_text(tmp_path: Path):
    batch = {"item": ["a", "b"], "answer": [3, None], "cost_usd": [0.5, None]}
    write_tables([batch], tmp_path)
    rows = pq.read_table(tmp_path / "trials.parquet").to_pylist()
    assert [row["answer"] for row in rows] == ["3", None]
    assert [row["cost_usd"] for row in rows] == [0.5, None]
    assert rows[0]["outcome"] is None


def test_epochs_of_an_item_are_told_apart_in_the_table(tmp_path: Path):
    write_tables([{"item": ["a", "a"], "epoch": [0, 1], "outcome": ["wrong", "correct"]}], tmp_path)
    table = json.loads((tmp_path / "trials.json").read_text())
    assert table["data"] == [["a · epoch 0", "wrong"], ["a · epoch 1", "correct"]]


def test_a_cell_without_trials_has_files_all_the_same(tmp_path: Path):
    write_tables([], tmp_path)
    assert pq.read_table(tmp_path / "trials.parquet").num_rows == 0
    assert json.loads((tmp_path / "trials.json").read_text())["data"] == []


def test_long_answers_are_cut_in_the_table_only(tmp_path: Path):
    write_tables([{"item": ["a"], "answer": ["x" * 50_000]}], tmp_path)
    assert len((tmp_path / "trials.json").read_text()) < 2_000
    assert len(pq.read_table(tmp_path / "trials.parquet")["answer"][0].as_py()) == 50_000
