"""Recordings as they are published: in any layout, with what was recorded beside the answers."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ember_bench.errors import ConfigError
from ember_bench.models.info import ModelInfo
from ember_bench.models.providers.recorded import Recorded
from ember_bench.models.recorded.finding import tape_of
from ember_bench.models.types import Usage
from tests.models.providers.replay import ask, card


def tape(folder: Path, content: Any, text: str, name: str = "a.json") -> ModelInfo:
    """Return the model `m` of a recording with a card of these further lines."""
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return card(folder, f"name: recorded:s\nfiles: {name}\nmodels: [m]\n{text}")[0]


def texts(model: ModelInfo) -> dict[str, list[str]]:
    return {item: [s.text for s in samples] for item, samples in tape_of(model).answers.items()}


WRITERS: Mapping[str, Any] = {
    "fields: {item: id, answer: o}": lambda t: [{"id": i, "o": o} for i, o in t.items()],
    "fields: {item: id.n, answer: 'o[0].text'}": lambda t: [
        {"id": {"n": i}, "o": [{"text": o}]} for i, o in t.items()
    ],
    "layout: columns\nfields: {item: i, answer: o}": lambda t: {
        "i": [*t],
        "o": [*t.values()],
        "seconds": [1],
    },
    "layout: columns\nfields: {item: key, answer: o}": lambda t: {"o": t, "about": {"a": "b"}},
    "layout: by_id\nfields: {item: key, answer: value}": lambda t: t,
    "layout: by_id\nrecords: of.m\nfields: {item: key, answer: o}": lambda t: {
        "of": {"m": {i: {"o": o} for i, o in t.items()}}
    },
    "records: outputs\nfields: {item: id, answer: 'by.{model}'}": lambda t: {
        "outputs": [{"id": i, "by": {"m": o, "n": "!"}} for i, o in t.items()]
    },
}


class TestLayouts:
    @pytest.mark.parametrize("text", WRITERS)
    @given(st.dictionaries(st.text("abc/", min_size=1), st.text("xyz\n"), min_size=1, max_size=4))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
    def test_all_give_back_what_was_written(
        self, tmp_path: Path, text: str, answers: dict[str, str]
    ) -> None:
        model = tape(tmp_path, WRITERS[text](answers), text)
        assert texts(model) == {item: [answer] for item, answer in answers.items()}

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ({"outputs": ["x", "y"]}, "layout: columns\nfields: {answer: outputs}"),
            ({"outputs": ["x", "y"]}, "records: outputs\nfields: {answer: value}"),
            ([{"o": "x"}, {"o": "y"}], "fields: {answer: o}"),
        ],
    )
    def test_without_ids_the_place_is_the_id(self, tmp_path: Path, content: Any, text: str) -> None:
        assert texts(tape(tmp_path, content, text)) == {"0": ["x"], "1": ["y"]}

    def test_places_are_counted_for_each_model(self, tmp_path: Path) -> None:
        rows = "who,o\nm,a\nn,b\nm,c\n"
        model = tape(
            tmp_path, rows, "recorded_as: '{model}'\nfields: {answer: o, model: who}", "a.csv"
        )
        assert texts(model) == {"0": ["a"], "1": ["c"]}

    def test_a_line_may_be_all_that_a_model_answered(self, tmp_path: Path) -> None:
        lines = '{"who": "m", "outputs": ["x", null, "z"]}\n{"who": "n", "outputs": ["!"]}\n'
        text = "layout: columns\nfields: {answer: outputs, model: who}"
        assert texts(tape(tmp_path, lines, text, "a.jsonl")) == {"0": ["x"], "2": ["z"]}

    def test_columns_name_the_models(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("id,m1,m1_usd,m2,m2_usd\n0,A,0.5,-,\n1,B,,C,2\n")
        models = card(
            tmp_path,
            "name: recorded:s\nfiles: a.csv\nmodels: [m1, m2]\nmissing: ['-']\n"
            "fields: {item: id, answer: '{model}', cost: '{model}_usd'}",
        )
        assert [texts(m) for m in models] == [{"0": ["A"], "1": ["B"]}, {"1": ["C"]}]
        assert [ask(m, "1").cost_usd for m in models] == [None, 2.0]

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("fields: {item: id, answer: o}", "a.json: expected a JSON list of records; of a"),
            ("layout: columns\nfields: {item: i, answer: o}", "not equally long: i 2, o 1"),
            ("layout: columns\nfields: {item: i, answer: q}", "no field 'q'"),
            ("records: p.q\nfields: {item: i, answer: o}", "no field 'p.q', where the records"),
        ],
    )
    def test_another_one_than_the_card_says_is_an_error(
        self, tmp_path: Path, text: str, problem: str
    ) -> None:
        with pytest.raises(ConfigError) as caught:
            Recorded.check([tape(tmp_path, {"i": [1, 2], "o": ["x"]}, text)])
        assert problem in str(caught.value)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("fields: {item: i}", "fields: `answer` is needed"),
            ("fields: {answer: a, sample: s}", "fields: `sample` needs `item`"),
            ("fields: {answer: a, score: s, correct: c}", "fields: `score` and `correct`"),
            ("fields: {answer: a}\nscale: {cost: 2}", "`scale` needs `cost` in `fields`"),
            ("fields: {answer: a}\nscore_range: [0, 5]", "`score_range` needs `score`"),
            ("fields: {answer: a, score: s}\nscore_range: [5, 5]", "score_range: expected two"),
            (
                "fields: {answer: a}\nlayout: columns",
                "layout: a table (CSV, TSV, Parquet) has records only",
            ),
        ],
    )
    def test_a_contradiction_has_its_place(self, tmp_path: Path, text: str, problem: str) -> None:
        with pytest.raises(ConfigError) as caught:
            tape(tmp_path, "a\n1\n", text, "a.csv")
        assert problem in str(caught.value)
        assert "card.yaml:" in str(caught.value)


class TestValues:
    def test_numbers_and_booleans_are_text_and_null_is_none(self, tmp_path: Path) -> None:
        answers = [[18, 1.5, True, "x", None], None, False]
        model = tape(tmp_path, [{"o": answer} for answer in answers], "fields: {answer: o}")
        assert texts(model) == {"0": ["18", "1.5", "true", "x"], "2": ["false"]}

    def test_what_some_records_lack_is_unknown_there(self, tmp_path: Path) -> None:
        lines = '{"o": "x", "n": 7, "ms": 250, "cny": 7}\n{"o": "y"}\n'
        fields = "fields: {answer: o, input_tokens: n, output_tokens: n, latency: ms, cost: cny}"
        model = tape(tmp_path, lines, f"{fields}\nscale: {{latency: 0.001, cost: 0.5}}", "a.jsonl")
        first, second = ask(model, "0"), ask(model, "1")
        assert (first.usage, first.latency_seconds, first.cost_usd) == (Usage(7, 7), 0.25, 3.5)
        assert (second.usage, second.latency_seconds, second.cost_usd) == (Usage(), None, None)

    def test_what_no_record_has_is_misspelt(self, tmp_path: Path) -> None:
        lines = '{"o": "x", "usd": 1}\n{"o": "y", "usd": 2}\n'
        with pytest.raises(ConfigError, match=r"a\.jsonl:1: no field 'used'; did you mean 'usd'"):
            Recorded.check([tape(tmp_path, lines, "fields: {answer: o, cost: used}", "a.jsonl")])

    def test_scores_come_to_lie_between_0_and_1(self, tmp_path: Path) -> None:
        content = [{"s": 1}, {"s": "1.5"}, {"s": 2}, {"s": None}]
        model = tape(tmp_path, content, "fields: {score: s}\nscore_range: [1, 2]")
        assert tape_of(model).verdicts == {"0": (0.0,), "1": (0.5,), "2": (1.0,)}

    @pytest.mark.parametrize(("right", "wrong"), [(True, False), (1, 0), ("True", "false")])
    def test_flags_may_be_written_in_several_ways(
        self, tmp_path: Path, right: Any, wrong: Any
    ) -> None:
        model = tape(tmp_path, [{"o": "x", "c": [right]}], "fields: {answer: o, correct: 'c[0]'}")
        assert tape_of(model).verdicts == {"0": (1.0,)}
        model = tape(tmp_path, [{"o": ["x"], "c": [wrong]}], "fields: {answer: o, correct: c}")
        assert tape_of(model).verdicts == {"0": (0.0,)}

    def test_new_fields_change_no_model_that_has_none_of_them(self, tmp_path: Path) -> None:
        model = tape(tmp_path, [], "fields: {item: id, answer: o}")
        assert model.options == {"files": ["a.json"], "fields": {"item": ("id",), "answer": "o"}}


def mean(model: ModelInfo) -> float:
    """Return the mean of the source's scores."""
    found = [v for verdicts in tape_of(model).verdicts.values() for v in verdicts]
    known = [v for v in found if v is not None]
    return sum(known) / len(known)


class TestPublishedSets:
    @pytest.fixture(autouse=True)
    def _data(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EMBER_BENCH_DATA", str(data_dir))

    def test_alpaca_eval_win_rates(self, data_dir: Path, tmp_path: Path) -> None:
        names = ["claude-2.1", "gemma-2b-it", "NullModel", "alpaca-7b_verbose"]
        models = card(
            tmp_path,
            "name: recorded:alpaca\nfiles: alpaca_eval/judge__{model}.jsonl.gz\n"
            f"models: {json.dumps(names)}\nscore_range: [1, 2]\n"
            "fields: {item: id, score: preference, cost: price, latency: time_s}",
        )
        with (data_dir / "alpaca_eval" / "leaderboard.csv").open(encoding="utf-8") as file:
            published = {row["model"]: float(row["win_rate"]) for row in csv.DictReader(file)}
        for name, model in zip(names, models, strict=True):
            assert 100 * mean(model) == pytest.approx(published[name], abs=1e-6)

    def test_omnisbench_quality_and_dollars(self, data_dir: Path, tmp_path: Path) -> None:
        policies = ["always_cheap", "oracle", "random", "always_big"]
        models = card(
            tmp_path,
            "name: recorded:omnis\nfiles: omnisbench/2026-08-19.items.jsonl.gz\n"
            f"models: {json.dumps(policies)}\nscale: {{latency: 0.001}}\n"
            "fields: {item: item_id, answer: response_text, model: policy, correct: passed,\n"
            "  latency: latency_ms, cost: cost_usd, input_tokens: input_tokens}",
        )
        path = data_dir / "omnisbench" / "2026-08-19.published.json"
        rows = {row["policy"]: row for row in json.loads(path.read_text())["leaderboard"]}
        for policy, model in zip(policies, models, strict=True):
            calls = [s for samples in tape_of(model).answers.values() for s in samples]
            assert mean(model) == pytest.approx(rows[policy]["quality"], abs=1e-12)
            dollars = sum(call.cost_usd or 0.0 for call in calls)
            assert dollars == pytest.approx(rows[policy]["total_cost_usd"], abs=1e-9)

    def test_llmrouter_has_no_ids_no_texts_and_a_column_a_model(
        self, data_dir: Path, tmp_path: Path
    ) -> None:
        models = card(
            tmp_path,
            "name: recorded:router\nfiles: routing/llmrouter.test.jsonl.gz\n"
            "models: [llama-3.1-nemotron-51b-instruct, llama-3.1-8b-instruct]\n"
            "fields: {question: question, score: 'scores.{model}'}",
        )
        assert [round(100 * mean(model), 2) for model in models] == [56.26, 50.78]
        with gzip.open(data_dir / "routing" / "llmrouter.test.jsonl.gz") as file:
            first = json.loads(file.readline())["question"]
        assert Recorded(models[0]).question_of("0") == first

    def test_cruxeval_has_columns_by_id(self, data_dir: Path, tmp_path: Path) -> None:
        model = card(
            tmp_path,
            "name: recorded:crux\nlayout: columns\nmodels: [codellama-7b]\n"
            "files: 'cruxeval/evaluation_results/{model}_temp0.2_output.json.gz'\n"
            "fields: {item: key, answer: raw_generations, correct: raw_scored_generations}",
        )[0]
        with (data_dir / "cruxeval" / "data.csv").open(encoding="utf-8") as file:
            text = file.read()
        assert f"{100 * mean(model):.1f}" in text
        assert {len(samples) for samples in tape_of(model).answers.values()} == {10}

    def test_llmbar_has_a_column_for_each_order(self, data_dir: Path, tmp_path: Path) -> None:
        given, swapped = card(
            tmp_path,
            "name: recorded:judge\nfiles: llmbar/verdicts.jsonl.gz\nmodels: [as_given, swapped]\n"
            "where: {judge: GPT-4, prompt: CoT}\nfields: {item: [set, i], answer: '{model}'}",
        )
        orders = texts(given), texts(swapped)
        raw: dict[str, list[str | None]] = defaultdict(list)
        with gzip.open(data_dir / "llmbar" / "verdicts.jsonl.gz", "rt") as file:
            for row in map(json.loads, file):
                if (row["judge"], row["prompt"]) == ("GPT-4", "CoT"):
                    raw[f"{row['set']}/{row['i']}"] = [row["as_given"], row["swapped"]]
        assert len(raw) == 419
        for item, verdicts in raw.items():
            assert [order.get(item, [None])[0] for order in orders] == verdicts
