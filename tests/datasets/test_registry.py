"""The dataset cards of the registry, on rows in the shapes that their sources have."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pytest

from ember_bench.datasets import Dataset, Item
from ember_bench.datasets.cards import DatasetCard, parse_card
from ember_bench.datasets.examples import solution
from ember_bench.datasets.formats import Layout, open_records
from ember_bench.datasets.item_reader import ItemReader
from ember_bench.evaluators import load_evaluator
from ember_bench.registry import Cards, builtin_root

CARDS: Final = Cards([builtin_root()])
NAMES: Final = sorted(CARDS.all("datasets"))
FETCHED: Final = {"hub", "url"}


def card(name: str) -> DatasetCard:
    return parse_card(CARDS.get("datasets", name).document)


def items(name: str, *records: dict[str, Any]) -> list[Item]:
    """Return the items of the records that the card selects; numbers start at 0."""
    reader = ItemReader(card(name))
    return [reader.item(n, record) for n, record in enumerate(records) if reader.selects(record)]


def assert_solved(name: str, found: list[Item]) -> None:
    """See that the evaluator of the card takes each item's own target for right."""
    evaluator = load_evaluator(card(name).evaluator, CARDS)
    for item in found:
        score = evaluator.evaluate(item, f"It is clear.\n{solution(item)}")
        assert score.value == 1, (name, item.target, score)


# --- all cards


@pytest.mark.parametrize("name", NAMES)
def test_a_card_of_the_registry_is_whole(name: str) -> None:
    read = card(name)
    assert read.name == name
    assert read.citation or read.source.given[0] in ("generated", "file")
    assert load_evaluator(read.evaluator, CARDS).name == read.evaluator


FIRST: Final = {
    "arc_challenge", "gpqa_diamond", "gsm8k", "humaneval", "mbpp", "mmlu", "mmlu_pro", "truthfulqa",
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in NAMES if n not in FIRST])
def test_what_is_fetched_cannot_change_and_says_who_pins_it(name: str) -> None:
    kind, source = card(name).source.given
    if kind not in FETCHED:
        return
    text = CARDS.get("datasets", name).document.path.read_text()
    assert "\n# Pin: " in text
    if kind == "url":
        for address, digest in source.files().values():
            commit = [part for part in address.split("/") if len(part) == 40]
            assert commit or digest, address


# --- rows as the hub and the servers have them, with other texts

# Their evaluators read the whole response, or what stands in a box.
FREE: Final = {"alpaca_eval_2", "cruxeval_o", "math_500", "truthfulqa_generation"}
QUIZ: Final = {"question": "Which?", "choices": ["a", "b", "c", "d"], "answer": 1}
LABELLED: Final = {"label": ["A", "B", "C"], "text": ["bank", "library", "mall"]}
# Dataset -> a record, and the target and alternatives of its item.
SHAPES: Final[dict[str, tuple[dict[str, Any], tuple[str, ...]]]] = {
    "mmlu_redux": (QUIZ | {"error_type": "ok", "config": "anatomy", "source": None}, ("B",)),
    "arc_easy": (
        {"id": "M_1", "question": "Which?", "choices": LABELLED, "answerKey": "C"},
        ("C",),
    ),
    "super_gpqa": (
        {
            "uuid": "1f", "question": "Which?", "options": [f"o{n}" for n in range(10)],
            "answer": "o9", "answer_letter": "J", "discipline": "Law", "field": "Law",
            "subfield": "Law", "difficulty": "hard", "is_calculation": False,
        },
        ("J",),
    ),
    "gsm_symbolic": (
        {"id": 3, "instance": 7, "question": "How many?", "answer": "2+3\n#### 5", "canary": "x"},
        ("5",),
    ),
    "gsm_symbolic_p1": (
        {"id": 3, "instance": 7, "question": "How many?", "answer": "#### 1,250"},
        ("1,250",),
    ),
    "gsm_symbolic_p2": (
        {"id": 3, "instance": 7, "question": "How many?", "answer": "#### 0"},
        ("0",),
    ),
    "asdiv": (
        {
            "body": "Seven red and two green.", "question": "How many?", "answer": "9 (apples)",
            "solution_type": "Addition", "formula": "7+2=9",
        },
        ("9",),
    ),
    "aime_2024": (
        {"ID": "2024-I-1", "Problem": "Find n.", "Solution": "...", "Answer": 73},
        ("73",),
    ),
    "aime_2025": ({"id": "0", "problem": "Find n.", "answer": "070"}, ("070",)),
    "bbh": ({"input": "Q\nOptions:\n(A) x", "target": "(A)", "part": "snarks"}, ("A", "(A)")),
    "bbeh": (
        {"task": "dyck languages", "input": "Close: [ (", "target": ") ]", "mini": 0},
        (") ]", ") ]"),
    ),
    "bbeh_mini": ({"task": "nycc", "input": "Which?", "target": "(b)", "mini": True}, ("(b)",) * 2),
    "hellaswag": (
        {
            "ind": 4, "activity_label": "Baking", "ctx_a": "A", "ctx_b": "he", "ctx": "A he",
            "endings": ["runs.", "bakes.", "sings.", "hides."], "source_id": "wikihow~1",
            "split": "val", "split_type": "zeroshot", "label": "1",
        },
        ("B",),
    ),
    "winogrande": (
        {"sentence": "The _ fell.", "option1": "cup", "option2": "mug", "answer": "2"},
        ("B",),
    ),
    "commonsense_qa": (
        {
            "id": "1a", "question": "Where?", "question_concept": "door", "choices": LABELLED,
            "answerKey": "B",
        },
        ("B",),
    ),
    "strategy_qa": (
        {"qid": "x", "term": "y", "question": "Would it?", "answer": False, "facts": "z"},
        ("no",),
    ),
    "alpaca_eval_2": (
        {"dataset": "vicuna", "generator": "m", "instruction": "Greet me.", "output": "Hello!"},
        ("Hello!",),
    ),
    "cruxeval_o": (
        {"code": "def f(x):\n    return [x]", "id": "sample_0", "input": "1", "output": "[1]"},
        ("[1]",),
    ),
    "simple_qa": (
        {"metadata": "{'topic': 'Art'}", "problem": "Who?", "answer": "Ada Lovelace"},
        ("Ada Lovelace",),
    ),
    "trivia_qa": (
        {
            "question": "Who?", "question_id": "tc_1", "question_source": "x",
            "answer": {
                "aliases": ["Sinclair Lewis", "Harry Lewis"], "value": "Lewis",
                "normalized_aliases": ["sinclair lewis"], "matched_wiki_entity_name": "",
            },
        },
        ("Lewis", "Sinclair Lewis", "Harry Lewis"),
    ),
    "hotpot_qa": (
        {
            "id": "5a", "question": "Same nationality?", "answer": "yes", "type": "comparison",
            "level": "hard", "supporting_facts": {"title": ["A"], "sent_id": [0]},
            "context": {"title": ["A", "B"], "sentences": [["One.", " Two."], ["Three."]]},
        },
        ("yes",),
    ),
    "musique": (
        {
            "id": "2hop__1_2", "question": "Who?", "answer": "Tennessee", "answerable": True,
            "answer_aliases": ["TN"], "question_decomposition": [],
            "paragraphs": [{"idx": 0, "title": "A", "paragraph_text": "One."}],
        },
        ("Tennessee", "TN"),
    ),
    "squad_2": (
        {
            "id": "56", "title": "Normans", "context": "In France.", "question": "Where?",
            "answers": {"text": ["France", "in France", "France"], "answer_start": [3, 0, 3]},
        },
        ("France", "in France"),
    ),
    "averitec": (
        {
            "claim": "It did.", "label": "Conflicting Evidence/Cherrypicking", "claim_date": None,
            "questions": [{"question": "Did it?", "answers": [{"answer": "No."}]}],
        },
        ("D",),
    ),
    "math_500": (
        {
            "problem": "Halve 1.", "solution": "...", "answer": r"\frac{1}{2}", "level": 2,
            "subject": "Algebra", "unique_id": "test/algebra/1.json",
        },
        (r"\frac{1}{2}",),
    ),
    "truthfulqa_generation": (
        {
            "type": "Adversarial", "category": "Law", "question": "Is it?", "best_answer": "No.",
            "correct_answers": ["No.", "It is not."], "incorrect_answers": ["Yes."], "source": "",
        },
        ("No.", "No.", "It is not."),
    ),
    "halueval_qa": (
        {
            "knowledge": "It is so.", "question": "Is it?", "right_answer": "yes",
            "hallucinated_answer": "It is not.",
        },
        ("A",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_rows_in_the_shape_of_the_source_become_items(name: str) -> None:
    record, targets = SHAPES[name]
    (item,) = items(name, record)
    right = [item.target, *item.alternatives]
    if card(name).shuffle_choices:
        right = ["A"]
        assert item.choices["AB".index(item.target)] == record[card(name).fields.target]  # type: ignore[union-attr]
    assert tuple(right) == targets
    if name not in FREE:
        assert_solved(name, [item])


def test_a_question_of_squad_without_an_answer_is_unanswerable() -> None:
    record, _ = SHAPES["squad_2"]
    (item,) = items("squad_2", record | {"answers": {"text": [], "answer_start": []}})
    assert (item.target, item.alternatives, item.cluster) == ("unanswerable", (), "Normans")
    assert item.question.startswith("In France.\n\nWhere?")


def test_paragraphs_stand_before_the_question() -> None:
    (item,) = items("hotpot_qa", SHAPES["hotpot_qa"][0])
    assert item.question.startswith("One.\n Two.\nThree.\n\nSame nationality?")
    (item,) = items("musique", SHAPES["musique"][0])
    assert item.question.startswith("One.\n\nWho?")


def test_only_the_sound_questions_of_mmlu_redux_are_asked() -> None:
    record, _ = SHAPES["mmlu_redux"]
    assert not items("mmlu_redux", record | {"error_type": "wrong_groundtruth"})


def test_only_the_mini_part_of_bbeh_is_asked() -> None:
    assert not items("bbeh_mini", SHAPES["bbeh"][0])


# --- recorded rows, byte by byte those of the source


def recorded(data_dir: Path, file: str, layout: Layout | None = None) -> list[dict[str, Any]]:
    path = data_dir / "tasks" / file
    if not path.exists():
        pytest.skip(f"needs {path}")
    return [dict(record) for _, record in open_records(path, layout).rows]


RECORDED: Final = {
    "gsm_hard": ("gsm_hard/gsmhardv2.jsonl.gz", 200, "-9867630.0"),
    "svamp": ("svamp/SVAMP.json.gz", 200, "51.0"),
    "fever": ("fever/paper_dev.jsonl.gz", 200, "C"),
    "nq_open": ("nq_open/NQ-open.dev.jsonl.gz", 200, "14 December 1972 UTC"),
    "hellaswag": ("hellaswag/hellaswag.jsonl.gz", 200, "D"),
    "drop": ("drop/drop_v0_dev.jsonl.gz", 60, "under the age of 18 and 25 to 44 and 45 to 64"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_rows_become_items_that_their_evaluator_can_score(
    name: str, data_dir: Path
) -> None:
    file, count, target = RECORDED[name]
    found = items(name, *recorded(data_dir, file))
    assert (len(found), found[0].target) == (count, target)
    Dataset(name, found, card(name).evaluator, file)  # no id comes twice
    assert_solved(name, found)


@pytest.mark.parametrize(
    "part", ["aqua-rat", "logiqa-en", "lsat-ar", "sat-en", "sat-math"]
)  # the tasks that were recorded
def test_exams_of_agieval_become_lettered_choices(part: str, data_dir: Path) -> None:
    rows = [row | {"part": part} for row in recorded(data_dir, f"agieval/{part}.jsonl.gz")]
    found = items("agieval_en", *rows)
    assert len(found) == 100
    for row, item in zip(rows, found, strict=True):
        assert item.target == row["label"]
        assert not item.choices[0].startswith("(A)")
        assert (
            item.choices["ABCDE".index(item.target)] in row["options"]["ABCDE".index(item.target)]
        )
    assert_solved("agieval_en", found)


@pytest.mark.parametrize("language", ["de", "en", "ja", "sw", "zh"])
def test_mgsm_is_the_file_that_the_card_pins(language: str, data_dir: Path) -> None:
    _, source = card("mgsm").source.given
    path = data_dir / "tasks" / "mgsm" / f"mgsm_{language}.tsv.gz"
    if not path.exists():
        pytest.skip(f"needs {path}")
    assert hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest() == source.parts[language]
    rows = recorded(data_dir, f"mgsm/mgsm_{language}.tsv.gz", source)
    found = items("mgsm", *(row | {"part": language} for row in rows))
    assert len(found) == 250
    assert_solved("mgsm", found)


def test_the_tasks_of_bbh_and_bbeh_are_scored_in_all_their_forms(data_dir: Path) -> None:
    rows = recorded(data_dir, "masarena/bbh_test.jsonl.gz")
    bbh = items("bbh", *(row | {"part": row["task_id"].rpartition("_")[0]} for row in rows))
    assert_solved("bbh", bbh)
    mini = recorded(data_dir, "bbeh/mini.json.gz", Layout(field="examples"))
    bbeh = items("bbeh", *(row | {"task": "", "mini": True} for row in mini))
    assert len(bbeh) == 460
    assert_solved("bbeh", bbeh)


def test_all_pairs_of_llmbar_are_read(data_dir: Path) -> None:
    rows = [json.loads(line) for line in (data_dir / "llmbar" / "items.jsonl").open()]
    found = items("llmbar", *(row | {"part": row["set"]} for row in rows))
    assert len(found) == 419
    right = [row[f"output_{row['label']}"] for row in rows]
    assert [item.choices["AB".index(item.target)] for item in found] == right
    assert_solved("llmbar", found)


def test_a_row_of_cruxeval_is_solved_by_its_output(data_dir: Path) -> None:
    path = data_dir / "cruxeval" / "cruxeval.jsonl"
    if not path.exists():
        pytest.skip(f"needs {path}")
    source = card("cruxeval_o").source.given[1]
    ((_, digest),) = source.files().values()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    found = items("cruxeval_o", *(dict(record) for _, record in open_records(path).rows))
    assert len(found) == 800
    assert f"What does f({found[0].metadata['input']}) return?" in found[0].question
    evaluator = load_evaluator("python_literal", CARDS)
    for item in found:
        assert evaluator.evaluate(item, f"So.\nAnswer: {item.target}").value == 1, item


def test_a_row_of_gpqa_fits_both_cards(data_dir: Path) -> None:
    path = data_dir / "tasks" / "gpqa" / "gpqa_diamond.csv.gz"
    if not path.exists():
        pytest.skip(f"needs {path}")
    with gzip.open(path, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    for name in ("gpqa_main", "gpqa_diamond"):
        found = items(name, *rows)
        assert len(found) == 40
        for row, item in zip(rows, found, strict=True):
            assert item.choices["ABCD".index(item.target)] == row["Correct Answer"]


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("ifeval", "tasks/ifeval/input_data.jsonl.gz", 541),
        ("game_of_24", "tot_game24/24.csv", 1362),
        ("agieval_math", "tasks/agieval/math.jsonl.gz", 100),
    ],
)
def test_what_is_not_scored_by_its_target_has_what_its_evaluator_needs(
    name: str, file: str, count: int, data_dir: Path
) -> None:
    path = data_dir / file
    if not path.exists():
        pytest.skip(f"needs {path}")
    found = items(name, *(dict(record) for _, record in open_records(path).rows))
    assert len(found) == count
    evaluator = load_evaluator(card(name).evaluator, CARDS)
    if (check := getattr(evaluator, "check_item", None)) is not None:
        for item in found:
            check(item)
