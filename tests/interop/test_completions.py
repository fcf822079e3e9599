"""Tables of completions by guessed columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.interop.completions import read
from ember_bench.interop.found import FoundAnswer, FoundItem


def table(folder: Path, *rows: dict[str, Any], name: str = "mine.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_columns_are_guessed_whatever_their_case_and_separators(tmp_path: Path) -> None:
    row = {
        "Question ID": "7", "prompt": "1 + 1?", "Expected Answer": "2", "model_name": "m",
        "Model Output": "It is 2", "is_correct": True, "latency_seconds": 1.5, "cost-usd": 0.1,
        "prompt_tokens": 5, "completion_tokens": 3,
    }  # fmt: skip
    found, columns = read(table(tmp_path, row), {})
    assert found.items == {"7": FoundItem("7", "1 + 1?", "2")}
    assert found.answers == [FoundAnswer("m", "7", 0, "It is 2", 1.0, 1.5, 0.1, 5, 3)]
    assert columns.given()["answer"] == "Model Output"


def test_answer_is_the_target_where_another_column_has_the_completion(tmp_path: Path) -> None:
    found, _ = read(table(tmp_path, {"question": "q", "answer": "2", "completion": "two"}), {})
    assert found.items["0"].target == "2"
    assert found.answers[0].answer == "two"


def test_rows_of_one_question_are_one_item_without_ids(tmp_path: Path) -> None:
    rows = [{"question": q, "response": r, "model": m} for q, r, m in
            [("a", "1", "x"), ("b", "2", "x"), ("a", "3", "y"), ("a", "4", "x")]]  # fmt: skip
    found, _ = read(table(tmp_path, *rows), {})
    assert list(found.items) == ["0", "1"]
    assert [(a.model, a.item, a.sample) for a in found.answers] == [
        ("x", "0", 0), ("x", "1", 0), ("y", "0", 0), ("x", "0", 1),
    ]  # fmt: skip


def test_a_list_is_several_samples_with_their_scores(tmp_path: Path) -> None:
    row = {"id": 1, "question": "q", "outputs": ["a", None, "b"], "score": [1, 0, 0.5]}
    found, _ = read(table(tmp_path, row), {})
    assert [(a.sample, a.answer, a.score) for a in found.answers] == [
        (0, "a", 1.0), (1, None, 0.0), (2, "b", 0.5),
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"mine.jsonl:1: 2 answers need as many scores, found 1"):
        read(table(tmp_path, row | {"outputs": ["a", "b"], "score": [1]}), {})


def test_what_is_empty_or_no_number_is_unknown(tmp_path: Path) -> None:
    row = {"id": 1, "response": "", "score": "", "cost": "n/a", "latency": None}
    found, _ = read(table(tmp_path, row), {})
    assert found.answers == [FoundAnswer("mine", "1", 0, None)]


def test_columns_can_be_named_by_path(tmp_path: Path) -> None:
    row = {"id": 1, "choices": [{"text": "x"}], "reply": "y"}
    found, _ = read(table(tmp_path, row), {"answer": "choices[0].text"}, "me")
    assert found.answers == [FoundAnswer("me", "1", 0, "x")]


def test_mistakes_are_told(tmp_path: Path) -> None:
    path = table(tmp_path, {"id": 1, "reply": "y"})
    with pytest.raises(ConfigError, match=r"which column has the answers.*one of: id, reply"):
        read(path, {})
    with pytest.raises(ConfigError, match=r"answer: no column 'replay'; did you mean 'reply'"):
        read(path, {"answer": "replay"})
    rows = [{"id": 1, "question": q, "response": "y"} for q in "ab"]
    with pytest.raises(ConfigError, match=r"item '1' is not the same everywhere: 'a'.*'b'"):
        read(table(tmp_path, *rows), {})


def test_a_score_that_cannot_be_read_is_told_and_not_dropped(tmp_path: Path) -> None:
    rows = [
        {"id": n, "response": "x", "correct": score} for n, score in enumerate([1, "N/A", "yes"])
    ]
    message = r"mine.jsonl:3: correct: expected a score, true or false; found 'yes'"
    with pytest.raises(ConfigError, match=message):
        read(table(tmp_path, *rows), {})
    with pytest.raises(ConfigError, match=r"mine.jsonl:1: fine: expected a score"):
        read(table(tmp_path, {"response": "x", "fine": "yes"}), {"score": "fine"})


def test_a_column_without_any_score_is_not_guessed_to_have_them(tmp_path: Path) -> None:
    _, columns = read(table(tmp_path, {"id": 1, "response": "x", "correct": "Paris"}), {})
    assert columns.score is None


@pytest.mark.parametrize("value", ["$0.01", "n/a", -1, float("inf")])
def test_costs_that_are_none_are_unknown_and_noted(tmp_path: Path, value: object) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"id,response,cost\n1,x,0.5\n2,x,{value}\n")
    found, _ = read(path, {})
    assert [answer.cost for answer in found.answers] == [0.5, None]
    (note,) = found.notes
    assert note.startswith("cost: values that are no numbers")
    assert note.endswith("(mine.csv:3)")


def test_rows_that_repeat_another_are_noted(tmp_path: Path) -> None:
    row = {"id": 1, "response": "x", "model": "m"}
    noted = "rows that repeat another one: 1, such as mine.jsonl:2"
    for rows in ([row, row], [row | {"epoch": 1}, row | {"epoch": 1, "response": "y"}]):
        found, _ = read(table(tmp_path, *rows), {})
        assert [answer.sample for answer in found.answers] == [0, 1]
        assert any(note.startswith(noted) for note in found.notes)
    found, _ = read(table(tmp_path, row | {"epoch": 1}, row | {"epoch": 2}), {})
    assert not found.notes


def test_messages_name_the_column_and_the_row(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine.jsonl:1: input: expected text or a number"):
        read(table(tmp_path, {"input": {"question": "q"}, "response": "x"}), {})
    rows = [{"id": 1, "question": q, "response": "y"} for q in "ab"]
    with pytest.raises(ConfigError, match=r"mine.jsonl:2: item '1' is not the same everywhere"):
        read(table(tmp_path, *rows), {})
