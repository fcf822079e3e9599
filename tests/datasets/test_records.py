from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets import DatasetCard, Item
from ember_bench.datasets.item_reader import ItemReader, json_like
from ember_bench.documents import read_document
from ember_bench.record_fields import ABSENT, RecordError, lookup
from ember_bench.registry import builtin_root
from tests.support.mbpp import MBPP

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = {"id": "id", "question": "q", "target": "a"}
CHOICE = {"question": "q", "choices": "options", "target": "a"}
OPTIONS = ["red", "green", "blue"]


def read(record: dict[str, Any], fields: dict[str, Any] | None = None, **card: Any) -> Item:
    content = {
        "name": "quiz",
        "purpose": "A test.",
        "source": {"file": "items.jsonl"},
        "fields": fields or PLAIN,
        "evaluator": "exact_match",
    }
    return ItemReader(DatasetCard.model_validate(content | card)).item(5, record)


def refused(record: dict[str, Any], fields: dict[str, Any] | None = None, **card: Any) -> str:
    with pytest.raises(RecordError) as caught:
        read(record, fields, **card)
    return str(caught.value)


def test_every_field_of_an_item_can_be_mapped() -> None:
    fields = {
        "id": ["set", "n"],
        "question": "q",
        "target": "a",
        "alternatives": ["also", "or"],
        "category": "subject",
        "cluster": "passage",
        "difficulty": "hard",
        "metadata": ["year", "absent"],
    }
    record = {
        "set": "dev", "n": 3, "q": "Who?", "a": "Ada", "also": ["A. L.", ""], "or": "Lovelace",
        "subject": "history", "passage": 7, "hard": "0.25", "year": 1843,
    }  # fmt: skip
    assert read(record, fields) == Item(
        id="dev/3",
        question="Who?",
        target="Ada",
        alternatives=("A. L.", "Lovelace"),
        category="history",
        cluster="7",
        difficulty=0.25,
        metadata={"year": 1843},
    )


def test_without_an_id_field_the_number_of_the_record_is_the_id() -> None:
    assert read({"q": "?", "a": "!"}, {"question": "q", "target": "a"}).id == "5"


def test_a_name_with_a_dot_is_a_field_before_it_is_a_path() -> None:
    assert lookup({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert lookup({"a": {"b": {"c": 3}}}, "a.b.c") == 3


@pytest.mark.parametrize(
    ("target", "text"),
    [("# 18", "# 18"), (" x ", " x "), (18, "18"), (0.5, "0.5"), (10**30, "1" + "0" * 30)],
)
def test_a_target_is_kept_as_it_is(target: Any, text: str) -> None:
    assert read({"id": 1, "q": "?", "a": target}).target == text


@pytest.mark.parametrize(
    ("answers", "path"),
    [
        (["Ada", "A. L.", "Ada"], "a"),
        ([["Ada"], ["A. L."]], "a"),
        ({"text": ["Ada", "", "A. L."]}, "a.text"),
        ([{"text": "Ada"}, {"text": "A. L."}], "a.text"),
        ({"spans": [{"text": ["Ada"]}, {"text": ["A. L."]}]}, "a.spans.text"),
    ],
)
def test_the_first_of_several_right_answers_is_the_target(answers: Any, path: str) -> None:
    item = read({"id": 1, "q": "?", "a": answers}, PLAIN | {"target": path})
    assert (item.target, item.alternatives) == ("Ada", ("A. L.",))


def test_an_alternative_that_the_list_of_targets_has_is_not_repeated() -> None:
    record = {"id": 1, "q": "?", "a": ["Ada", "A. L."], "also": ["A. L.", "Lovelace"]}
    item = read(record, PLAIN | {"alternatives": "also"})
    assert (item.target, item.alternatives) == ("Ada", ("A. L.", "Lovelace"))


def test_each_of_several_right_answers_is_cut_out_by_the_pattern() -> None:
    item = read({"id": 1, "q": "?", "a": ["= 18\n#### 18", "#### 19"]}, target_pattern="#### (.+)")
    assert (item.target, item.alternatives) == ("18", ("19",))


def test_each_of_several_right_choices_becomes_its_letter() -> None:
    record = {"q": "Which?", "options": OPTIONS, "a": ["blue", "red"]}
    item = read(record, CHOICE, target_is="text")
    assert (item.target, item.alternatives) == ("C", ("A",))
    shuffled = read(record, CHOICE, target_is="text", shuffle_choices=True)
    right = ["ABC".index(letter) for letter in (shuffled.target, *shuffled.alternatives)]
    assert [shuffled.choices[at] for at in right] == ["blue", "red"]


NESTED = {
    "a": {"text": ["Ada", "A. L."], "n": []},
    "spans": [{"text": ["Ada"], "at": 3}, {"text": ["A. L.", "Lovelace"], "at": 0}],
    "rows": [[1, 2], [3]],
    "a[0]": "a name with brackets",
    "Duration [s]": 7,
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.text", ["Ada", "A. L."]),
        ("a.text[0]", "Ada"),
        ("a.text[-1]", "A. L."),
        ("a.text[2]", ABSENT),
        ("a.text[*]", ["Ada", "A. L."]),
        ("a.n[*]", []),
        ("a[*]", ABSENT),
        ("a[0]", "a name with brackets"),
        ("Duration [s]", 7),
        ("spans.text", [["Ada"], ["A. L.", "Lovelace"]]),
        ("spans[*].text", ["Ada", "A. L.", "Lovelace"]),
        ("spans[*].text[0]", ["Ada", "A. L."]),
        ("spans[1].at", 0),
        ("spans[*].nowhere", ABSENT),
        ("rows[*]", [1, 2, 3]),
        ("rows[*][*]", [1, 2, 3]),
        ("rows[0][1]", 2),
        ("none", None),
        ("none.x", ABSENT),
        ("a..text", ABSENT),
        ("a.text[", ABSENT),
        ("[0]", ABSENT),
        ("", ABSENT),
    ],
)
def test_a_path_goes_into_mappings_and_lists(path: str, value: Any) -> None:
    assert lookup(NESTED, path) == value


@given(st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_each_entry_is_what_the_places_give(value: Any) -> None:
    record = {"a": value}
    found = lookup(record, "a[*]")
    if not isinstance(value, list):
        assert found is ABSENT
        return
    places = [lookup(record, f"a[{n}]") for n in range(len(value))]
    assert found == [x for one in places for x in (one if isinstance(one, list) else [one])]


def test_a_target_that_is_0_or_false_is_a_target() -> None:
    assert read({"id": 1, "q": "?", "a": 0}).target == "0"
    assert read({"id": 1, "q": "?", "a": [0, 0.0]}).alternatives == ("0.0",)
    assert read({"id": 1, "q": "?", "a": False}, answer_format="yes_no").target == "no"


@pytest.mark.parametrize("empty", ["", None, [], [""], [[], []], " "])
def test_an_empty_target_stands_for_what_the_card_says(empty: Any) -> None:
    record = {"id": 1, "q": "?", "a": empty}
    assert refused(record) == "the target (field 'a') is empty"
    item = read(record, empty_target="unanswerable")
    assert (item.target, item.alternatives) == ("unanswerable", ())
    assert read(record | {"a": ["Paris"]}, empty_target="unanswerable").target == "Paris"


def test_one_field_may_hold_several_targets() -> None:
    item = read({"id": 1, "q": "?", "a": "Ada|A. L.|"}, target_separator="|")
    assert (item.target, item.alternatives) == ("Ada", ("A. L.",))


def test_choices_are_cut_out_by_their_pattern() -> None:
    record = {"q": "Which?", "options": ["(A)red", "(B) green"], "a": "B"}
    item = read(record, CHOICE, choices_pattern=r"^\([A-Z]\)\s*(.*)$")
    assert (item.choices, item.target) == (("red", "green"), "B")
    message = refused(record, CHOICE, choices_pattern=r"^\d (.*)$")
    assert message == "the choice '(A)red' does not match `choices_pattern`"


def test_the_choices_of_a_classification_stand_on_the_card() -> None:
    labels = ["SUPPORTS", "REFUTES", "NOT ENOUGH INFO"]
    record = {"id": 1, "q": "It rains.", "a": "NOT ENOUGH INFO"}
    item = read(record, options=labels, target_is="text")
    assert (item.target, item.choices, item.answer_format) == ("C", tuple(labels), "choice")
    assert item.question == "It rains.\n\nA) SUPPORTS\nB) REFUTES\nC) NOT ENOUGH INFO"


@pytest.mark.parametrize(
    ("answer_format", "target"), [("yes_no", "yes"), ("text", "true"), ("exact", "true")]
)
def test_a_truth_value_is_yes_where_yes_or_no_is_asked(answer_format: str, target: str) -> None:
    assert read({"id": 1, "q": "?", "a": True}, answer_format=answer_format).target == target


def test_a_pattern_cuts_the_target_out_in_the_last_place_where_it_matches() -> None:
    solution = {"id": 1, "q": "?", "a": "#### 3 is wrong\n#### 1,234\n"}
    assert read(solution, target_pattern=r"####\s*([^\n]+)").target == "1,234"
    message = refused({"id": 1, "q": "?", "a": "18"}, target_pattern="#### (.+)")
    assert message == "the target '18' does not match `target_pattern`"


@pytest.mark.parametrize(
    ("kind", "target", "letter"),
    [
        ("answer", "C", "C"),
        ("answer", " b ", "B"),
        ("index", 0, "A"),
        ("index", "2", "C"),
        ("position", "2", "B"),
        ("position", 1, "A"),
        ("text", "green", "B"),
        ("flags", [0, 0, 1], "C"),
        ("flags", [False, True, False], "B"),
        ("flags", [[], ["correct"], []], "B"),
    ],
)
def test_the_target_of_a_choice_becomes_its_letter(kind: str, target: Any, letter: str) -> None:
    item = read({"q": "Which?", "options": OPTIONS, "a": target}, CHOICE, target_is=kind)
    assert (item.target, item.choices, item.answer_format) == (letter, tuple(OPTIONS), "choice")
    assert item.question == "Which?\n\nA) red\nB) green\nC) blue"


def test_several_fields_of_which_one_has_the_target() -> None:
    fields = {"question": "q", "target": ["a.number", "a.spans", "a.date"]}
    assert read({"q": "?", "a": {"number": "3", "spans": []}}, fields).target == "3"
    both = read({"q": "?", "a": {"number": "", "spans": ["Paris", "in Paris"]}}, fields)
    assert (both.target, both.alternatives) == ("Paris", ("in Paris",))
    assert "(field 'a.number' or 'a.spans' or 'a.date') is empty" in refused(
        {"q": "?", "a": {"number": None, "spans": []}}, fields
    )


def test_an_id_that_a_table_made_a_number_with_a_point() -> None:
    fields = {"id": ["part", "n"], "question": "q", "target": "a"}
    assert read({"part": "x", "n": 7.0, "q": "?", "a": "1"}, fields).id == "x/7"


def test_labels_name_the_choices() -> None:
    fields = CHOICE | {"labels": "names"}
    record = {"q": "Which?", "options": OPTIONS, "names": ["1", "2", "3"], "a": "3"}
    assert read(record, fields, target_is="label").target == "C"


@pytest.mark.parametrize(
    ("kind", "target", "message"),
    [
        ("answer", "D", "the target 'D' is none of the letters ['A', 'B', 'C']"),
        ("index", 3, "the target '3' is none of the indices ['0', '1', '2']"),
        ("position", 0, "the target '0' is none of the positions ['1', '2', '3']"),
        ("index", -1, "the target '-1' is none of the indices"),
        ("text", "grey", "the target 'grey' is none of the choices"),
        ("flags", [1, 1, 0], "expected 3 flags, one of them true, found [1, 1, 0]"),
        ("flags", [1, 0], "expected 3 flags"),
        ("flags", [2, 0, 1], "expected 3 flags"),
    ],
)
def test_a_target_that_is_no_choice_is_refused(kind: str, target: Any, message: str) -> None:
    record = {"q": "Which?", "options": OPTIONS, "a": target}
    assert message in refused(record, CHOICE, target_is=kind)


def test_a_target_that_two_choices_share_is_refused() -> None:
    record = {"q": "Which?", "options": ["red", "blue", "red"], "a": "red"}
    assert "names two of the choices" in refused(record, CHOICE, target_is="text")


@given(st.lists(st.integers().map(str), min_size=2, max_size=26, unique=True), st.data())
def test_shuffled_choices_keep_the_right_one(options: list[str], data: st.DataObject) -> None:
    right = data.draw(st.sampled_from(options))
    record = {"q": "Which?", "options": options, "a": right}
    item = read(record, CHOICE, target_is="text", shuffle_choices=True)
    assert sorted(item.choices) == sorted(options)
    assert item.choices["ABCDEFGHIJKLMNOPQRSTUVWXYZ".index(item.target)] == right
    assert read(record, CHOICE, target_is="text", shuffle_choices=True) == item


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"id": 1, "q": "?", "a": None}, "the target (field 'a') is empty"),
        ({"id": 1, "q": "?", "a": "  "}, "the target (field 'a') is empty"),
        ({"id": 1, "q": "?", "a": math.nan}, "the target (field 'a') is empty"),
        ({"id": 1, "q": "", "a": "!"}, "the question (field 'q') is empty"),
        ({"id": "", "q": "?", "a": "!"}, "the id (field 'id') is empty"),
        ({"id": 1, "q": "?"}, "the record has no field 'a'"),
        ({"id": 1, "q": "?", "a": []}, "the target (field 'a') is empty"),
        ({"id": 1, "q": "?", "a": ["", None]}, "the target (field 'a') is empty"),
        ({"id": 1, "q": "?", "a": [{}]}, "target: expected text or a number, found a mapping"),
        ({"id": 1, "q": {}, "a": "!"}, "question: expected text or a number, found a mapping"),
        ({"id": 1, "q": "\ud800", "a": "!"}, "the record cannot be written down as JSON"),
    ],
)
def test_what_is_missing_or_odd_is_said(record: dict[str, Any], message: str) -> None:
    assert message in refused(record)


@pytest.mark.parametrize("value", ["hard", "1.5", -0.1, "nan"])
def test_difficulty_lies_between_0_and_1(value: Any) -> None:
    message = refused({"id": 1, "q": "?", "a": "!", "d": value}, PLAIN | {"difficulty": "d"})
    assert "difficulty: expected a number from 0 to 1" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("red, blue", "expected a list, found a str"),
        (["red"], "expected 2 to 26 choices, found 1"),
        (["x"] * 27, "expected 2 to 26 choices, found 27"),
        (["red", None], "one of the choices is empty"),
    ],
)
def test_choices_that_cannot_be_shown_are_refused(options: Any, message: str) -> None:
    assert message in refused({"q": "?", "options": options, "a": "A"}, CHOICE)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_any_json_can_be_kept_as_metadata(value: Any) -> None:
    orjson.dumps(json_like(value))


def test_dates_and_decimals_become_text() -> None:
    values = {"day": datetime(2024, 1, 2, tzinfo=UTC), "price": Decimal("1.10")}
    assert json_like(values) == {"day": "2024-01-02T00:00:00+00:00", "price": "1.10"}
    with pytest.raises(RecordError, match="bytes cannot be kept"):
        json_like(b"image")


@given(st.dictionaries(st.sampled_from(["id", "q", "a"]), json_values))
def test_any_record_becomes_an_item_or_is_refused(record: dict[str, Any]) -> None:
    try:
        item = read(record)
    except RecordError:
        return
    assert item.id.strip()
    assert item.question.strip()
    assert item.target.strip()


SAMPLES: dict[str, tuple[dict[str, Any], str, str]] = {
    "gsm8k": (
        {"question": "How many?", "answer": "3 * 6 = <<3*6=18>>18 eggs.\n#### 18"},
        "5",
        "18",
    ),
    "mmlu": (
        {"question": "?", "subject": "anatomy", "choices": ["a", "b", "c", "d"], "answer": 1},
        "5",
        "B",
    ),
    "mmlu_pro": (
        {
            "question_id": 70, "question": "?", "options": list("abcdefghij"), "answer": "I",
            "answer_index": 8, "cot_content": "", "category": "business", "src": "ori_mmlu",
        },
        "70",
        "I",
    ),
    "arc_challenge": (
        {
            "id": "Mercury_1", "question": "?", "answerKey": "3",
            "choices": {"text": ["a", "b", "c", "d"], "label": ["1", "2", "3", "4"]},
        },
        "Mercury_1",
        "C",
    ),
    "mbpp": (MBPP, "2", MBPP["code"]),
}  # fmt: skip


def shipped(name: str) -> ItemReader:
    path: Path = builtin_root() / "datasets" / f"{name}.yaml"
    return ItemReader(read_document(path).parse(DatasetCard))


@pytest.mark.parametrize("name", SAMPLES)
def test_records_as_the_hub_has_them_fit_their_cards(name: str) -> None:
    record, id_, target = SAMPLES[name]
    item = shipped(name).item(5, record)
    assert (item.id, item.target) == (id_, target)


def test_mbpp_shows_its_tests() -> None:
    question = shipped("mbpp").item(0, MBPP).question
    shown = "assert common([3, 4], [5, 4]) == [4]\nassert common([1], [2]) == []"
    assert question.startswith(f"{MBPP['prompt']} The code is to pass these tests:\n\n{shown}\n\n")


def test_where_the_source_puts_the_right_choice_first_it_does_not_stay_there() -> None:
    gpqa, truthfulqa = shipped("gpqa_diamond"), shipped("truthfulqa")
    letters = set()
    for index in range(40):
        wrong = {f"Incorrect Answer {n}": f"wrong {n}" for n in (1, 2, 3)}
        record = {"Record ID": f"rec{index}", "Question": "?", "Correct Answer": "right"}
        item = gpqa.item(index, record | wrong | {"High-level domain": "Physics"})
        assert item.choices["ABCD".index(item.target)] == "right"
        letters.add(item.target)
        targets = {"choices": ["true", "myth", "rumour"], "labels": [1, 0, 0]}
        item = truthfulqa.item(index, {"question": "?", "mc1_targets": targets})
        assert item.choices["ABC".index(item.target)] == "true"
    assert letters == set("ABCD")
