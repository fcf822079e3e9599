"""The card that is guessed for a file of records gives the items that a person would expect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from ember_bench.datasets import Item, load_dataset
from ember_bench.datasets.guess import Chosen, guess_card
from ember_bench.documents import Document
from ember_bench.errors import ConfigError
from ember_bench.registry import Card, Cards


def items(path: Path, chosen: Chosen | None = None) -> list[Item]:
    """Return the items of the guessed card."""
    document = Document(
        path.parent / "card.yaml", guess_card(path, chosen).card("x", path.name), {}
    )
    return list(load_dataset(Card("datasets", "x", document, path.parent), Cards()))


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    if isinstance(content, str):
        path.write_text(content)
    elif name.endswith(".parquet"):
        parquet.write_table(pyarrow.Table.from_pylist(content), path)
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in content))
    return path


RECORDS = [
    ([{"question": "1 + 1?", "answer": 2}, {"question": "2 + 2?", "answer": 4}], "number"),
    ([{"Query": "Red?", "Gold": "yes"}, {"Query": "Blue?", "Gold": "No"}], "yes_no"),
    ([{"prompt": "Factors of 6?", "target": "2, 3"}], "integers"),
    ([{"text": "Capital of France?", "label": "Paris"}, {"text": "1 + 1?", "label": "2"}], "text"),
    ([{"q": "Half of 1?", "a": "1/2"}], "number"),
    ([{"sentence": "A long one, the question.", "verdict": "Paris"}], "text"),
]


@pytest.mark.parametrize(("records", "form"), RECORDS)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_question_target_and_format(
    records: list[dict[str, Any]], form: str, kind: str, tmp_path: Path
) -> None:
    found = items(written(tmp_path, f"x.{kind}", records))
    question, target = records[0].values()
    assert found[0].question.startswith(question)
    assert "`Answer: X`" in found[0].question
    assert (found[0].target, found[0].answer_format) == (str(target), form)


CHOICES = [
    ({"choices": ["u", "v", "w"], "answer": "B"}, "letter"),
    ({"choices": ["u", "v", "w"], "answer": 1}, "index"),
    ({"choices": ["u", "v", "w"], "answer": "v"}, "text"),
    ({"choices": ["u", "v", "w"], "answer": [False, True, False]}, "flags"),
    ({"choices": {"text": ["u", "v", "w"], "label": ["1", "2", "3"]}, "answerKey": "2"}, "label"),
    ({"A": "u", "B": "v", "C": "w", "answer": "B"}, "letter in columns"),
    ({"option_1": "u", "option_2": "v", "option_3": "w", "correct": "v"}, "numbered columns"),
    ({"choice_a": "u", "choice_b": "v", "choice_c": "w", "target": "b"}, "small letters"),
]


@pytest.mark.parametrize(("record", "_name"), CHOICES, ids=[name for _, name in CHOICES])
def test_choices_and_what_the_target_says(
    record: dict[str, Any], _name: str, tmp_path: Path
) -> None:
    (item,) = items(written(tmp_path, "x.jsonl", [{"question": "Which?", **record}]))
    assert item.choices == ("u", "v", "w")
    assert item.target == "B"
    assert "B) v" in item.question


def test_an_id_is_unique_and_a_category_may_repeat(tmp_path: Path) -> None:
    rows = "id,nr,question,answer,subject\na,1,x,1,s\na,2,y,2,s\n"
    guess = guess_card(written(tmp_path, "x.csv", rows))
    assert guess.fields == {"question": "question", "target": "answer", "category": "subject"}
    rows = rows.replace("\na,2", "\nb,2")
    assert guess_card(written(tmp_path, "x.csv", rows)).fields["id"] == "id"


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_csv_file_with_another_delimiter(delimiter: str, tmp_path: Path) -> None:
    path = written(
        tmp_path, "x.csv", "question;answer\nOne, or two?;Paris\n".replace(";", delimiter)
    )
    (item,) = items(path)
    assert item.question.startswith("One, or two?")
    assert guess_card(path).card("x", "x.csv")["source"]["file"]["delimiter"] == delimiter


def test_a_target_that_is_text_and_index_is_doubtful(tmp_path: Path) -> None:
    record = {"question": "1?", "options": ["0", "1"], "answer": "1"}
    guess = guess_card(written(tmp_path, "x.jsonl", [record]))
    assert guess.rest["target_is"] == "text"
    assert "target_is: index" in guess.doubts[0]


def test_fields_that_are_named_are_not_guessed(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "question,answer,hint,best\nWhat?,a,because,b\n")
    (item,) = items(path, Chosen(question="hint", target="best"))
    assert (item.question.splitlines()[0], item.target) == ("because", "b")
    with pytest.raises(ConfigError, match="no field 'beast'; did you mean 'best'"):
        guess_card(path, Chosen(target="beast"))


def test_a_target_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "question,one,two\nWhat?,a,b\n")
    with pytest.raises(ConfigError, match="Give --target FIELD, one of: question, one, two"):
        guess_card(path)


def test_a_file_without_records(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no records"):
        guess_card(written(tmp_path, "x.csv", "question,answer\n"))


@pytest.mark.parametrize("kind", ["columns", "list"])
def test_numbers_choices_and_free_text_in_one_file(kind: str, tmp_path: Path) -> None:
    if kind == "columns":
        rows = "question,A,B,answer\n1 + 1?,,,2\nWhich?,red,blue,blue\nCapital of France?,,,Paris\n"
        path = written(tmp_path, "x.csv", rows)
    else:
        asked = [("1 + 1?", None, 2), ("Which?", ["red", "blue"], "blue"), ("Who?", [], "Ada")]
        named = [{"question": q, "options": o, "answer": a} for q, o, a in asked]
        path = written(tmp_path, "x.jsonl", named)
    found = items(path)
    assert [item.target for item in found][:2] == ["2", "B"]
    assert [item.answer_format for item in found] == ["number", "choice", "text"]
    assert [item.evaluator for item in found] == ["numeric_match", "multiple_choice", None]
    assert found[1].question.startswith("Which?\n\nA) red\nB) blue\n\nEnd with")
    assert found[0].question.startswith("1 + 1?\n\nEnd with")
    assert "by_target" in guess_card(path).doubts[0]


def test_letters_name_choices_among_items_without_any(tmp_path: Path) -> None:
    rows = "question,A,B,C,answer\n1 + 1?,,,,2\nWhich?,red,blue,,B\nWhere?,here,there,far,C\n"
    found = items(written(tmp_path, "x.csv", rows))
    assert [item.choices for item in found] == [(), ("red", "blue"), ("here", "there", "far")]
    assert [item.target for item in found] == ["2", "B", "C"]


def test_numbers_among_texts_are_compared_as_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", 'question,answer\nHow many?,"1,200"\nWho?,Ada\n')
    assert [item.answer_format for item in items(path)] == ["number", "text"]
    many = "".join(f"Who is {i}?,Ada{chr(97 + i)}\n" for i in range(20))
    path = written(tmp_path, "y.csv", f"question,answer\nWhich novel?,1984\n{many}")
    assert {item.answer_format for item in items(path)} == {"text"}  # a number is a title, too


@pytest.mark.parametrize(
    "choices",
    [
        "red | blue",
        "red;blue",
        '"[""red"", ""blue""]"',
        "\"['red', 'blue']\"",
        "A) red | B) blue",
        '"(a) red\n(b) blue"',
        '"red, blue"',
    ],
)
def test_choices_in_one_text(choices: str, tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", f"question,choices,answer\nWhich?,{choices},B\n")
    (item,) = items(path)
    assert (item.choices, item.target) == (("red", "blue"), "B")


def test_a_field_may_name_the_format_of_each_record(tmp_path: Path) -> None:
    rows = (
        "question,A,B,answer,answer_format\n"
        "1 + 1?,,,2.0,number\nWhich?,red,blue,B,choice\nCapital of France?,,,Paris,text\n"
    )
    path = written(tmp_path, "x.csv", rows)
    guess = guess_card(path)
    assert guess.fields["answer_format"] == "answer_format"
    assert guess.doubts == ()
    sums, which, capital = items(path)
    assert [i.answer_format for i in (sums, which, capital)] == ["number", "choice", "text"]
    assert (which.choices, which.target) == (("red", "blue"), "B")
    assert "A) red\nB) blue" in which.question
    assert "A)" not in capital.question
    assert (sums.choices, capital.choices) == ((), ())


def test_a_field_of_other_types_names_no_formats(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "question,answer,type\nWhat?,a,history\n")
    assert "answer_format" not in guess_card(path).fields


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "question,answer\r1?,2\r", "x.csv:1: not valid CSV: lines end in CR alone"),
        ("x.csv", 'question,answer\n"1?,2\n', "x.csv:2: not valid CSV: a quotation mark is opened"),
        ("x.xlsx", "PK", "x.xlsx: a spreadsheet: save its sheet as CSV"),
        (
            "x.json",
            '{"rows": [{"q": "1?"}]}',
            "an object; name its list on the card, `field: ",
        ),
        ("x.json", '{"q": "1?"}', "x.json: expected a JSON array of objects, found an object"),
        ("x.jsonl", '{"q": 1}\n{"q": }\n', "x.jsonl:2:7: not valid JSON"),
        ("x.csv.gz", "question,answer\n1?,2\n", "x.csv.gz: not gzip data"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_why(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode())
    with pytest.raises(ConfigError) as caught:
        guess_card(path)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_ids_that_repeat_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, "x.csv", "id,question,answer\na,1?,2\na,2?,3\n")
    assert [item.id for item in items(path)] == ["0", "1"]
    assert "the field 'id' is empty or the same" in guess_card(path).doubts[0]
