"""Layouts that published results have, each read by a card alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from ember_bench.errors import ConfigError
from ember_bench.models.providers.recorded import Recorded
from ember_bench.models.recorded.finding import tape_of
from tests.models.providers.replay import card

FIELDS: Final = {"item": "id", "answer": "o"}
SCORED: Final = {**FIELDS, "correct": "g"}


@pytest.fixture(autouse=True)
def _no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBER_BENCH_DATA", raising=False)


def read(folder: Path, file: str, content: Any, **given: Any) -> dict[str, dict[str, list[str]]]:
    """Return model -> item -> texts, of a file with this content."""
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / file).write_text(text, encoding="utf-8")
    return of_files(folder, file, **given)


def of_files(folder: Path, files: str, **given: Any) -> dict[str, dict[str, list[str]]]:
    known = {"name": "recorded:set", "files": files, "models": ["m"], "fields": FIELDS}
    models = card(folder, yaml.safe_dump(known | given))
    Recorded.check(models)
    return {
        model.model_id.partition("/")[2]: {
            item: [sample.text for sample in samples]
            for item, samples in tape_of(model).answers.items()
        }
        for model in models
    }


def verdicts(folder: Path, file: str, content: Any, **given: Any) -> list[float | None]:
    read(folder, file, content, **given)
    known = {"name": "recorded:set", "files": file, "models": ["m"]}
    (model,) = card(folder, yaml.safe_dump(known | given))
    return [verdict for found in tape_of(model).verdicts.values() for verdict in found]


TWO: Final = ["a", "b"]
LAYOUTS: Final[dict[str, tuple[str, Any, dict[str, Any], dict[str, dict[str, list[str]]]]]] = {
    "tab-separated columns": (
        "x.tsv", "id\ta\tb\n1\tA\tB\n",
        {"models": TWO, "fields": {"item": "id", "answer": "{model}"}},
        {"a": {"1": ["A"]}, "b": {"1": ["B"]}},
    ),
    "semicolons": ("x.csv", "id;o\n1;A\n", {"delimiter": ";"}, {"m": {"1": ["A"]}}),
    "ndjson": ("x.ndjson", '{"id": 1, "o": "A"}\n', {}, {"m": {"1": ["A"]}}),
    "a mark of byte order": ("x.json", '\ufeff[{"id": 1, "o": "A"}]', {}, {"m": {"1": ["A"]}}),
    "numbers that are none": ("x.json", '[{"id": 1, "o": "A", "g": NaN}]', {}, {"m": {"1": ["A"]}}),
    "a mapping by model": (
        "x.json", {"a": {"1": "A"}, "b": {"1": "B"}},
        {"models": TWO, "records": "{model}", "layout": "by_id",
         "fields": {"item": "key", "answer": "value"}},
        {"a": {"1": ["A"]}, "b": {"1": ["B"]}},
    ),
    "a list of models in each item": (
        "x.json", [{"id": 1, "said": [{"who": "b", "o": "B"}, {"who": "a", "o": "A"}]}],
        {"models": TWO, "each": "said", "fields": {**FIELDS, "model": "who"}},
        {"a": {"1": ["A"]}, "b": {"1": ["B"]}},
    ),
    "a mapping of models in each item": (
        "x.json", [{"id": 1, "said": {"a": {"o": "A"}, "b": {"o": "B"}}}],
        {"models": TWO, "each": "said", "fields": {**FIELDS, "model": "key"}},
        {"a": {"1": ["A"]}, "b": {"1": ["B"]}},
    ),
    "a column for each sample": (
        "x.csv", "id,o1,o2,o3\n1,A,B,C\n2,D,E,\n",
        {"missing": [""], "fields": {"item": "id", "answer": ["o1", "o2", "o3"]}},
        {"m": {"1": ["A", "B", "C"], "2": ["D", "E"]}},
    ),
    "a mapping of samples": (
        "x.jsonl", {"id": 1, "o": {"0": "A", "1": "B"}},
        {"axes": ["sample"]}, {"m": {"1": ["A", "B"]}},
    ),
    "JSON in a column": (
        "x.csv", 'id,o\n1,"[""A"", ""B""]"\n', {"json_fields": ["o"]}, {"m": {"1": ["A", "B"]}},
    ),
    "one number beside a list of one": (
        "x.jsonl", {"id": 1, "choices": [{"text": "A"}], "seconds": 0.5},
        {"fields": {"item": "id", "answer": "choices[*].text", "latency": "seconds"}},
        {"m": {"1": ["A"]}},
    ),
    "one record": ("x.json", {"id": 1, "o": "A"}, {"layout": "record"}, {"m": {"1": ["A"]}}),
    "a file .json of one record a line": (
        "x.json", '{"id": 1, "o": "A"}\n{"id": 2, "o": "B"}\n', {}, {"m": {"1": ["A"], "2": ["B"]}},
    ),
    "records that are written over several lines": (
        "x.jsonl", '{\n "id": 1,\n "o": "A"\n}\n{\n "id": 2,\n "o": "B"\n}',
        {"format": "json"}, {"m": {"1": ["A"], "2": ["B"]}},
    ),
    "a name that does not say what it holds": (
        "x.log", '{"id": 1, "o": "A"}\n', {"format": "jsonl"}, {"m": {"1": ["A"]}},
    ),
    "a list on each line": (
        "x.jsonl", '["1", "A"]\n["2", "B"]\n',
        {"fields": {"item": "value[0]", "answer": "value[1]"}}, {"m": {"1": ["A"], "2": ["B"]}},
    ),
    "no line with names": (
        "x.tsv", "1\tA\n\n2\tB\n", {"columns": ["id", "o"]}, {"m": {"1": ["A"], "2": ["B"]}},
    ),
    "a list as Python writes it": (
        "x.csv", "id,o\n1,\"['A', 'B']\"\n", {"json_fields": ["o"]}, {"m": {"1": ["A", "B"]}},
    ),
    "lists in lists": (
        "x.json", [{"who": "a", "runs": [{"seed": 1, "said": [{"id": 1, "o": "A"}]}]}],
        {"models": ["a"], "each": ["runs", "said"], "fields": {**FIELDS, "model": "who"}},
        {"a": {"1": ["A"]}},
    ),
    "samples that are lines without a number": (
        "x.jsonl", '{"id": 1, "o": "A"}\n{"id": 2, "o": "C"}\n{"id": 1, "o": "B"}\n',
        {"files_hold": "samples"}, {"m": {"1": ["A", "B"], "2": ["C"]}},
    ),
    "ids that a table made numbers with a point": (
        "x.jsonl", '{"id": 7.0, "o": "A"}\n{"id": 7.5, "o": "B"}\n', {},
        {"m": {"7": ["A"], "7.5": ["B"]}},
    ),
    "one of several values": (
        "x.csv", "id,o,split\n1,A,dev\n2,B,test\n3,C,train\n",
        {"where": {"split": ["dev", "test"]}}, {"m": {"1": ["A"], "2": ["B"]}},
    ),
    "records without an error": (
        "x.json", [{"id": 1, "o": "A", "error": None}, {"id": 2, "o": "B", "error": "timeout"},
                   {"id": 3, "o": "C"}, {"id": 4, "o": "D", "error": ""}],
        {"where": {"error": None}}, {"m": {"1": ["A"], "3": ["C"], "4": ["D"]}},
    ),
    "truth in a table": (
        "x.csv", "id,o,ok\n1,A,true\n2,B,FALSE\n3,C,TRUE\n", {"where": {"ok": True}},
        {"m": {"1": ["A"], "3": ["C"]}},
    ),
    "rows without names": (
        "x.json", [["1", "A"]], {"fields": {"item": "value[0]", "answer": "value[1]"}},
        {"m": {"1": ["A"]}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_it_is_read(name: str, tmp_path: Path) -> None:
    file, content, given, expected = LAYOUTS[name]
    assert read(tmp_path, file, content, **given) == expected


def test_parquet(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"id": [1, 2], "o": ["A", "B"]}), tmp_path / "x.parquet")
    assert of_files(tmp_path, "x.parquet") == {"m": {"1": ["A"], "2": ["B"]}}


class TestSeveralFiles:
    def test_the_id_is_in_the_name_of_the_file(self, tmp_path: Path) -> None:
        for number in range(2):
            (tmp_path / f"item{number}.json").write_text(json.dumps({"o": f"A{number}"}))
        found = of_files(
            tmp_path, "item*.json", layout="record", fields={"item": "file", "answer": "o"}
        )
        assert found == {"m": {"0": ["A0"], "1": ["A1"]}}

    def test_a_text_for_each_item_in_a_folder_of_its_own(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            folder = tmp_path / "m" / name
            folder.mkdir(parents=True)
            (folder / "answer.txt").write_text(f"\ufeffIt is {name}.\n", encoding="utf-8")
        found = of_files(
            tmp_path, "{model}/*/answer.txt", fields={"item": "file", "answer": "value"}
        )
        assert found == {"m": {"a": ["It is a.\n"], "b": ["It is b.\n"]}}

    def test_a_record_keeps_its_own_field_of_that_name(self, tmp_path: Path) -> None:
        (tmp_path / "x1.jsonl").write_text('{"file": "own", "o": "A"}')
        found = of_files(tmp_path, "x*.jsonl", fields={"item": "file", "answer": "o"})
        assert found == {"m": {"own": ["A"]}}

    def test_a_file_for_each_item(self, tmp_path: Path) -> None:
        for number in range(2):
            (tmp_path / f"item{number}.json").write_text(json.dumps({"id": number, "o": "A"}))
        found = of_files(tmp_path, "item*.json", layout="record")
        assert found == {"m": {"0": ["A"], "1": ["A"]}}

    def test_a_file_for_each_run(self, tmp_path: Path) -> None:
        for seed in range(3):
            (tmp_path / f"seed_{seed}.jsonl").write_text(json.dumps({"id": 1, "o": f"A{seed}"}))
        with pytest.raises(ConfigError, match="say `files_hold: samples`"):
            of_files(tmp_path, "seed_*.jsonl")
        found = of_files(tmp_path, "seed_*.jsonl", files_hold="samples")
        assert found == {"m": {"1": ["A0", "A1", "A2"]}}


class TestMistakes:
    def test_columns_that_stand_apart_by_another_sign(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="separated by ';': say `delimiter: \";\"`"):
            read(tmp_path, "x.csv", "id;o\n1;A\n")

    def test_a_list_in_a_file_of_lines(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="a file with one list is `format: json`"):
            read(tmp_path, "x.jsonl", '[{"id": 1, "o": "A"}]')

    def test_nothing_passes_where(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"m: no record that passes `where` in x\.json"):
            read(tmp_path, "x.json", [{"id": 1, "o": "A"}], where={"o": "B"})

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        (tmp_path / "x.csv").write_bytes(b"id,o\n1,caf\xe9\n")
        with pytest.raises(ConfigError, match=r"x\.csv:2: not UTF-8 text: byte 0xe9"):
            of_files(tmp_path, "x.csv")


class TestVerdicts:
    @pytest.mark.parametrize(
        "words",
        [("True", "False"), ("yes", "no"), ("CORRECT", "INCORRECT"), ("pass", "fail"), ("C", "I")],
    )
    def test_in_words(self, words: tuple[str, str], tmp_path: Path) -> None:
        content = "id,o,g\n" + "".join(f"{n},A,{word}\n" for n, word in enumerate(words))
        assert verdicts(tmp_path, "x.csv", content, fields=SCORED) == [1, 0]

    def test_in_words_of_the_source(self, tmp_path: Path) -> None:
        content = "id,o,g\n1,A,good\n2,A,fair\n"
        scores = {"good": 1, "fair": 0.5}
        fields = {**FIELDS, "score": "g"}
        assert verdicts(tmp_path, "x.csv", content, fields=fields, scores=scores) == [1, 0.5]

    def test_as_lists_of_ids_by_what_became_of_them(self, tmp_path: Path) -> None:
        content = {"total": 3, "resolved": ["a", "b"], "failed": ["c"], "when": "today"}
        found = verdicts(
            tmp_path,
            "x.json",
            content,
            layout="by_id",
            where={"key": ["resolved", "failed"]},
            each="value",
            fields={"item": "value", "correct": "key"},
            scores={"resolved": 1, "failed": 0},
        )
        assert found == [1, 1, 0]

    def test_as_a_number_that_means_that_there_is_none(self, tmp_path: Path) -> None:
        content = [{"id": 1, "o": "A", "g": 10}, {"id": 2, "o": "B", "g": -1}]
        given = {"fields": {**FIELDS, "score": "g"}, "score_range": [1, 10]}
        with pytest.raises(ConfigError, match="from 1 to 10, found -1"):
            verdicts(tmp_path, "x.json", content, **given)
        assert verdicts(tmp_path, "x.json", content, **given, missing=["-1"]) == [1, None]

    def test_in_percent(self, tmp_path: Path) -> None:
        fields = {**FIELDS, "score": "g"}
        content = "id,o,g\n1,A,100%\n2,B,25 %\n"
        found = verdicts(tmp_path, "x.csv", content, fields=fields, score_range=[0, 100])
        assert found == [1, 0.25]

    def test_in_other_words_is_a_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="expected true or false, or 1 or 0, found 'meh'"):
            verdicts(tmp_path, "x.csv", "id,o,g\n1,A,meh\n", fields=SCORED)


def test_numbers_may_be_written_as_in_a_table(tmp_path: Path) -> None:
    content = 'id,o,c,l,n\n1,A,$0.01,1.2s,"1,234"\n'
    fields = {**FIELDS, "cost": "c", "latency": "l", "output_tokens": "n"}
    read(tmp_path, "x.csv", content, fields=fields)
    known = {"name": "recorded:set", "files": "x.csv", "models": ["m"], "fields": fields}
    (model,) = card(tmp_path, yaml.safe_dump(known))
    ((said,),) = tape_of(model).answers.values()
    assert (said.cost_usd, said.latency_seconds, said.usage.output_tokens) == (0.01, 1.2, 1234)
