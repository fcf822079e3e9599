from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ember_bench.errors import ConfigError, DataMissingError, ProviderError
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.recorded import Recorded
from ember_bench.models.recorded.data_dir import data_dir
from ember_bench.models.strand import TrialContext
from ember_bench.models.types import Usage
from tests.models.providers.replay import Subject, ask, card, one


@pytest.fixture(autouse=True)
def _no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBER_BENCH_DATA", raising=False)


Writer = Callable[[list[dict[str, Any]]], bytes]


def as_jsonl(records: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(r, ensure_ascii=False) for r in records).encode()


def as_json(records: list[dict[str, Any]]) -> bytes:
    return json.dumps(records).encode()


def as_csv(records: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["id", "output", "other"])
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


class TestFiles:
    @pytest.mark.parametrize("compressed", [False, True])
    @pytest.mark.parametrize("write", [as_jsonl, as_json, as_csv])
    @given(
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
                lambda t: "\0" not in t
            ),
            st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: "\0" not in t),
            min_size=1,
            max_size=5,
        )
    )
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
    def test_every_format_gives_back_what_was_written(
        self, tmp_path: Path, write: Writer, compressed: bool, answers: dict[str, str]
    ) -> None:
        records = [{"id": i, "output": o, "other": "x,\ny"} for i, o in answers.items()]
        content = write(records)
        name = write.__name__.replace("as_", "m.") + (".gz" if compressed else "")
        (tmp_path / name).write_bytes(gzip.compress(content, mtime=0) if compressed else content)
        model = card(
            tmp_path,
            f"name: recorded:s\nfiles: '{{model}}{name[1:]}'\nmodels: [m]\n"
            "fields: {item: id, answer: output}",
        )[0]
        assert {i: ask(model, i).text for i in answers} == answers

    def test_one_file_may_hold_several_models_and_datasets(self, tmp_path: Path) -> None:
        (tmp_path / "all.csv").write_text(
            "\ufeffid,who,set,answer\n0,org/m1,prime,yes\n0,org/m2,prime,no\n0,org/m1,other,7\n"
        )
        models = card(
            tmp_path,
            "name: recorded:s\nfiles: all.csv\nmodels: [m1, m2]\nwhere: {set: prime}\n"
            "recorded_as: org/{model}\nfields: {item: id, answer: answer, model: who}",
        )
        assert [ask(m, "0").text for m in models] == ["yes", "no"]

    def test_a_set_may_have_several_files(self, tmp_path: Path) -> None:
        for name in "xy":
            (tmp_path / f"{name}.jsonl").write_text(f'{{"id": "{name}", "output": "{name}!"}}\n')
        text = (
            "name: recorded:s\nfiles: [x.jsonl, y.jsonl]\nmodels: [m]\n"
            "fields: {item: id, answer: output}"
        )
        assert [ask(card(tmp_path, text)[0], i).text for i in "xy"] == ["x!", "y!"]
        (tmp_path / "y.jsonl").write_text('{"id": "x", "output": "again"}')
        with pytest.raises(ConfigError, match="item 'x' is in two of the set's files"):
            Recorded.check(card(tmp_path, text))

    @pytest.mark.parametrize(
        ("content", "fields", "problem"),
        [
            ('{"id": 1, "output": "x"}\n{"id"', "", "answers.jsonl:2: not JSON"),
            ('{"id": 1, "output": "x"}\n[1]', "", "2: expected a record of named fields"),
            ('{"id": 1, "outptu": "x"}', "", "1: no field 'output'; did you mean 'outptu'"),
            ('{"id": 1, "output": {"a": 1}}', "", "1: output: expected text or a number, found"),
            ('{"id": 1, "output": "x"}\n\n{"id": "1", "output": "x"}', "", "3: item '1' is there"),
            ('{"id": 1, "output": "x", "s": "fast"}', ", latency: s", "1: s: expected a number"),
            ('{"id": 1, "output": "x", "s": -1}', ", cost: s", "1: s: expected a number"),
            ('{"id": 1, "output": "x", "s": nan}', ", cost: s", "1: not JSON"),
            ('{"id": 1, "output": "x", "s": 0.5}', ", input_tokens: s", "1: s: expected a whole"),
            ('{"id": 1, "output": "x", "s": 2}', ", score: s", "1: s: expected a score from 0 to"),
            ('{"id": 1, "output": "x", "s": 0.5}', ", correct: s", "1: s: expected true or false"),
            ('{"id": 1, "output": "x"}', ", score: s", "1: no field 's'"),
            ('{"id": 1, "output": "x", "s": 1.5}', ", sample: s", "1: s: expected a whole"),
            ('{"id": 1, "output": ["x", "y"], "s": 2}', ", cost: s", "1: 2 answers need as many"),
        ],
    )
    def test_a_broken_one_is_placed(
        self, tmp_path: Path, content: str, fields: str, problem: str
    ) -> None:
        (tmp_path / "answers.jsonl").write_text(content)
        models = card(
            tmp_path,
            "name: recorded:s\nfiles: answers.jsonl\nmodels: [m]\n"
            f"fields: {{item: id, answer: output{fields}}}",
        )
        for _ in range(2):  # the failure is remembered, too
            with pytest.raises(ConfigError) as caught:
                Recorded.check(models)
            assert problem in str(caught.value)
        with pytest.raises(ProviderError):
            ask(models[0], "1")

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.jsonl.gz", b"not gzip"),
            ("a.jsonl.gz", gzip.compress(b'{"id": 1}' * 99, mtime=0)[:-9]),
            ("a.csv", b"id,output\n1\n"),
            ("a.csv", b'id,output\n1,"open\n'),
            ("a.csv", b"id,output\n1,\xff\n"),
            ("a.json", b'{"id": 1}'),
            ("a.json", b"[1"),
        ],
    )
    def test_no_file_whatever_is_in_it_is_a_crash(
        self, tmp_path: Path, name: str, content: bytes
    ) -> None:
        (tmp_path / name).write_bytes(content)
        text = f"name: recorded:s\nfiles: {name}\nmodels: [m]\nfields: {{item: id, answer: output}}"
        with pytest.raises(ConfigError, match=name):
            Recorded.check(card(tmp_path, text))

    def test_each_is_read_once_until_it_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reads: list[Path] = []
        read_bytes = Path.read_bytes
        monkeypatch.setattr(Path, "read_bytes", lambda p: reads.append(p) or read_bytes(p))
        model = one(tmp_path, [{"id": "a", "output": "A"}])
        for _ in range(3):
            ask(model, "a")
        assert len(reads) == 1
        os.utime(tmp_path / "answers.json", (1, 1))
        ask(model, "a")
        assert len(reads) == 2


class TestDataDirectory:
    TEXT = (
        "name: recorded:s\nfiles: sub/{model}.jsonl\nmodels: [m1, m2]\n"
        "fields: {item: id, answer: output}\n"
        "available_from: {repository: github.com/o/r, licence: MIT,\n"
        "  commit: abcdef0123456789abcdef0123456789abcdef01}"
    )

    def test_comes_before_the_cards_own_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert data_dir() is None
        for folder in ("data", "cards"):
            (tmp_path / folder / "sub").mkdir(parents=True)
            path = tmp_path / folder / "sub" / "m1.jsonl"
            path.write_text(json.dumps({"id": "a", "output": folder}))
        model = card(tmp_path / "cards", self.TEXT)[0]
        assert ask(model, "a").text == "cards"
        monkeypatch.setenv("EMBER_BENCH_DATA", str(tmp_path / "data"))
        assert ask(model, "a").text == "data"

    def test_missing_data_says_where_to_get_it_and_where_to_put_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMBER_BENCH_DATA", str(tmp_path / "data"))
        models = card(tmp_path, self.TEXT)
        with pytest.raises(DataMissingError) as caught:
            Recorded.check([*models, ModelInfo(model_id="openai:x")])
        assert len(caught.value.problems) == 1
        message = str(caught.value)
        for part in (
            "sub/m1.jsonl",
            str(tmp_path / "data"),
            "1 more",
            "github.com/o/r at commit abcdef0123456789abcdef0123456789abcdef01 (MIT)",
            "--data-dir",
            "EMBER_BENCH_DATA",
        ):
            assert part in message
        with pytest.raises(DataMissingError):
            Recorded(models[0]).context(TrialContext(Subject("a")))


COST = "cost:\n  M: {input_cost_per_million: 1, output_cost_per_million: 1}"


class TestCards:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            (
                "files: a.jsonl\nmodels: [m]\nfields: {item: i}",
                "4:1: fields: `answer` is needed, or what the source says of it",
            ),
            (
                "files: a.jsonl\nmodels: [m]\nfields: {item: i, answer: a, latncy: l}",
                "4:30: unknown field 'latncy'; did you mean 'latency'",
            ),
            ("files: a.jsonl\nmodels: []\nfields: {item: i, answer: a}", "3:1: models"),
            ("files: a.log\nmodels: [m]\nfields: {item: i, answer: a}", "2:1: expected a file of"),
            ("files: '{mdl}.csv'\nmodels: [m]\nfields: {item: i, answer: a}", "2:1: unknown place"),
            ("files: a.csv\nmodels: [m, n]\nfields: {item: i, answer: a}", "2:1: nothing tells"),
            (
                "files: [a.csv, b.csv]\nmodels: [m, n]\nfields: {item: i, answer: a}",
                "2:16: nothing tells",
            ),
            (
                "files: '{model}.csv'\nmodels: [m, n, m]\nfields: {item: i, answer: a}",
                "3:16: model 'm' is listed twice",
            ),
            (
                "files: a.csv\nmodels: [m]\nfields: {item: i, answer: a}\nrecorded_as: x",
                "5:1: `recorded_as` needs",
            ),
            (
                "files: a.csv\nmodels: [m]\nfields: {item: i, answer: a}\n"
                + COST.replace("M", "m"),
                "5:1: prices need recorded tokens",
            ),
            (
                "files: a.csv\nmodels: [mm1]\nfields: "
                "{item: i, answer: a, input_tokens: i, output_tokens: o}\n"
                + COST.replace("M", "mn1"),
                "6:3: unknown model 'mn1'; did you mean 'mm1'",
            ),
        ],
    )
    def test_every_mistake_has_its_place(self, text: str, problem: str) -> None:
        with pytest.raises(ConfigError) as caught:
            card(Path(), f"name: recorded:s\n{text}\n")
        assert f"card.yaml:{problem}" in str(caught.value)

    def test_a_model_that_the_file_does_not_have_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("id,who,answer\n0,gpt-4,yes\n")
        models = card(
            tmp_path,
            "name: recorded:s\nfiles: a.csv\nmodels: [gpt4]\n"
            "fields: {item: id, answer: answer, model: who}",
        )
        with pytest.raises(ConfigError, match=r"no record of model 'gpt4'.*did you mean 'gpt-4'"):
            Recorded.check(models)

    def test_prices_by_model(self, tmp_path: Path) -> None:
        models = card(
            tmp_path,
            "name: recorded:s\nfiles: '{model}.csv'\nmodels: [m, n]\n"
            "fields: {item: i, answer: a, input_tokens: p, output_tokens: o}\n"
            "cost:\n  m: {input_cost_per_million: 1, output_cost_per_million: 2}",
        )
        assert models[0].cost is not None
        assert models[0].cost.of(Usage(1_000_000, 1_000_000)) == pytest.approx(3)
        assert models[1].cost is None

    def test_models_are_named_after_their_set(self, tmp_path: Path) -> None:
        model = card(tmp_path, TestDataDirectory.TEXT)[0]
        assert (model.model_id, model.model_name) == ("recorded:s/m1", "s/m1")
