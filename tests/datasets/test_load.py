from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ember_bench.datasets import Dataset, Item, load_dataset, read_card
from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError, DataMissingError, UnknownNameError
from ember_bench.registry import Cards, builtin_root
from tests.datasets.conftest import CARD

pytestmark = pytest.mark.slow

Load = Callable[..., Dataset]
Write = Callable[[str, str | bytes], Path]

ITEMS = """
{"id": "one", "q": "What is 1 + 1?", "a": "2", "model": "x"}
{"id": "two", "q": "What is 2 + 2?", "a": "4", "model": "x"}
{"id": "three", "q": "What is 3 + 3?", "a": "6", "model": "y"}
"""

GENERATED = """
name: quiz
purpose: A test.
source:
  generated:
    generator: arithmetic
    parameters: {count: 30, terms: 2}
evaluator: exact_match
"""


def lines(error: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    """Return the messages, without the folder that the files are in."""
    return [str(problem).rpartition("datasets/")[2] for problem in error.value.problems]


def test_a_file_beside_the_card_is_read(load: Load, write: Write) -> None:
    path = write("items.jsonl", ITEMS)
    dataset = load()
    assert dataset.name == "quiz"
    assert dataset.evaluator == "exact_match"
    assert [item.id for item in dataset] == ["one", "two", "three"]
    assert dataset.items[0] == Item("one", "What is 1 + 1?", "2")
    assert dataset.source == path.name
    assert (dataset.revision or "").startswith("sha256:")


def test_the_digest_heeds_content_and_not_order(load: Load, write: Write) -> None:
    write("items.jsonl", ITEMS)
    digest = load().digest
    write("items.jsonl", "\n".join(reversed(ITEMS.strip().splitlines())))
    assert load().digest == digest
    write("items.jsonl", ITEMS.replace('"4"', '"5"'))
    assert load().digest != digest


def test_where_selects_records(load: Load, write: Write) -> None:
    write("items.jsonl", ITEMS)
    assert [i.id for i in load(CARD + "where: {model: x}")] == ["one", "two"]
    assert [i.id for i in load(CARD + "where: {model: [y, z], id: three}")] == ["three"]


def test_where_compares_numbers_with_text_as_they_are_written(load: Load, write: Write) -> None:
    write("items.csv", "id,q,a,n\n1,?,!,0\n2,?,!,1\n")
    card = CARD.replace("jsonl", "csv")
    assert [i.id for i in load(card + "where: {n: 1}")] == ["2"]
    assert [i.id for i in load(card + 'where: {n: "1"}')] == ["2"]


def test_a_limit_is_a_fixed_sample_within_any_larger_one(load: Load, write: Write) -> None:
    rows = [{"id": str(i), "q": "?", "a": "!"} for i in range(1000)]
    write("items.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    few, more = load(limit=50), load(limit=200)
    ids = [int(item.id) for item in few]
    assert ids == sorted(ids)
    assert set(ids) < {int(item.id) for item in more}
    # The mean of 50 of 0..999 lies within four standard errors of 499.5.
    assert abs(sum(ids) / 50 - 499.5) < 4 * 288.7 / 50**0.5
    assert len(load(limit=5000)) == 1000


@pytest.mark.parametrize("limit", [0, -1, True])
def test_a_limit_is_at_least_one(load: Load, limit: int) -> None:
    with pytest.raises(ConfigError, match="limit: expected at least 1"):
        load(GENERATED, limit=limit)


def test_a_caller_sets_parameters_on_top_of_the_cards(load: Load) -> None:
    dataset = load(GENERATED, parameters={"digits": 1})
    assert dataset.source == "arithmetic(count=30, seed=0, terms=2, digits=1)"
    assert dataset.revision is None
    assert len(dataset) == 30


def test_a_card_may_reword_what_is_generated(load: Load) -> None:
    card = GENERATED + 'prompt: "Be brief. {question}"\nanswer_format: exact\n'
    assert all(i.question.startswith("Be brief. What is") for i in load(card))
    assert {item.answer_format for item in load(card)} == {"exact"}


def test_mistakes_in_a_callers_options_are_placed_in_the_callers_file(
    load: Load, tmp_path: Path
) -> None:
    grid = parse_document(
        "datasets:\n  - name: quiz\n    limit: 0\n    parameters: {digts: 1}\n",
        tmp_path / "grid.yaml",
    )
    at = grid.sub("datasets", 0).at
    with pytest.raises(ConfigError, match=r"grid.yaml:3:5: limit: expected at least 1"):
        load(GENERATED, limit=0, at=at)
    with pytest.raises(ConfigError, match=r"grid.yaml:4:18: .* did you mean 'digits'\?"):
        load(GENERATED, parameters={"digts": 1}, at=at)
    with pytest.raises(UnknownNameError, match=r"grid.yaml:2:5: unknown dataset 'quizz'"):
        load_dataset("quizz", Cards([tmp_path / "registry"]), at=at)


def test_only_generated_datasets_take_parameters(load: Load, write: Write) -> None:
    write("items.jsonl", ITEMS)
    with pytest.raises(ConfigError, match="'quiz' takes no parameters"):
        load(parameters={"digits": 1})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"id": 1, "q": "?", "a": ""}', "items.jsonl:1: the target (field 'a') is empty"),
        (
            '{"id": 1, "q": "?", "a": 2}\n\n{"id": 2, "q": "?"}',
            "items.jsonl:3: the record has no field 'a'",
        ),
        (
            '{"id": 1, "q": "?", "a": 2}\n{"id": "1", "q": "!", "a": 3}',
            "items.jsonl:2: duplicate id '1': line 1 has it already",
        ),
        (
            '{"id": 1, "question": "?", "a": 2}',
            "quiz.yaml:4:18: the records have no field 'q'; did you mean 'question'?",
        ),
        ("\n", "quiz.yaml:3:1: items.jsonl has no records"),
    ],
)
def test_what_is_wrong_with_the_data_has_a_place(
    load: Load, write: Write, content: str, expected: str
) -> None:
    write("items.jsonl", content)
    with pytest.raises(ConfigError) as caught:
        load()
    assert lines(caught) == [expected]


def test_all_that_is_wrong_is_said_up_to_ten(load: Load, write: Write) -> None:
    write("items.jsonl", '{"id": 1, "q": "?", "a": ""}\n' * 3)
    with pytest.raises(ConfigError) as caught:
        load()
    assert len(caught.value.problems) == 3
    write("items.jsonl", '{"id": 1, "q": "?", "a": ""}\n' * 30)
    with pytest.raises(ConfigError, match="and perhaps more") as caught:
        load()
    assert len(caught.value.problems) == 11


def test_a_field_that_no_record_has_is_a_mistake_in_the_card(load: Load, write: Write) -> None:
    write("items.jsonl", ITEMS)
    with pytest.raises(ConfigError) as caught:
        load(CARD.replace("a}", "a, category: modle}") + "where: {modell: x}")
    assert lines(caught) == [
        "quiz.yaml:4:42: the records have no field 'modle'; did you mean 'model'?",
        "quiz.yaml:6:9: the records have no field 'modell'; did you mean 'model'?",
    ]


def test_a_where_that_nothing_passes_names_near_values(load: Load, write: Write) -> None:
    write("items.csv", "id,q,a,model\n1,?,!,gpt-4-0314\n2,?,!,gpt-4-0613\n")
    with pytest.raises(ConfigError) as caught:
        load(CARD.replace("jsonl", "csv") + "where: {model: gpt-4-314}")
    (line,) = lines(caught)
    assert line.startswith("quiz.yaml:6:1: no record of items.csv has model is 'gpt-4-314'")
    assert "did you mean 'gpt-4-0314'" in line


def test_a_missing_file_is_placed_in_the_card(load: Load, write: Write) -> None:
    write("itens.jsonl", ITEMS)
    with pytest.raises(ConfigError) as caught:
        load()
    assert "quiz.yaml:3:10: there is no file " in str(caught.value)
    assert "items.jsonl; did you mean 'itens.jsonl'?" in str(caught.value)


DATA = """
name: quiz
purpose: A test.
source: {data: sums/items.jsonl}
available_from:
  repository: github.com/org/sums
  commit: 0123456789012345678901234567890123456789
  note: its test.jsonl
fields: {id: id, question: q, target: a}
evaluator: exact_match
"""


def test_recorded_data_is_found_in_the_data_directory(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "sums").mkdir(parents=True)
    (tmp_path / "data" / "sums" / "items.jsonl").write_text(ITEMS.strip())
    given = load(DATA, data_dir=tmp_path / "data")
    assert given.source == "sums/items.jsonl"
    monkeypatch.setenv("EMBER_BENCH_DATA", str(tmp_path / "data"))
    assert load(DATA) == given
    assert load(DATA, data_dir=tmp_path / "data").digest == given.digest


@pytest.mark.parametrize(
    ("folder", "why"), [(None, "no data directory is given"), ("empty", "which is not in empty")]
)
def test_missing_recorded_data_says_where_to_get_it(
    load: Load, monkeypatch: pytest.MonkeyPatch, folder: str | None, why: str
) -> None:
    monkeypatch.delenv("EMBER_BENCH_DATA", raising=False)
    with pytest.raises(DataMissingError) as caught:
        load(DATA, data_dir=Path(folder) if folder else None)
    (line,) = lines(caught)
    assert line.startswith("quiz.yaml:3:10: dataset 'quiz' reads recorded data, sums/items.jsonl")
    assert why in line
    assert (
        "available from github.com/org/sums at commit 0123456789012345678901234567890123456789"
        "; its test.jsonl"
    ) in line
    assert "with --data-dir or EMBER_BENCH_DATA" in line


def test_every_shipped_card_can_be_read_and_generated_ones_load() -> None:
    cards = Cards([builtin_root()])
    for name, card in cards.all("datasets").items():
        if read_card(card).source.generated is not None:
            assert len(load_dataset(name, cards)) == 200


def test_importing_the_package_imports_no_reader() -> None:
    code = (
        "import sys; from ember_bench.datasets import *; load_dataset; "
        "print([m for m in ('datasets', 'pyarrow', 'pandas', 'huggingface_hub') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_many_rows_load_quickly(load: Load, write: Write) -> None:
    rows = ({"id": str(i), "q": f"What is {i} + {i}?", "a": str(2 * i)} for i in range(58_000))
    write("items.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    start = time.process_time()
    assert len(load()) == 58_000
    # About one second; the margin is for slow machines.
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "dataset 'quiz' has no items"),
        ([Item("1", "?", "!")] * 2, "dataset 'quiz' has duplicate item ids: '1'"),
        ([Item("1", "?", " ")], "dataset 'quiz' has items without a target: '1'"),
    ],
)
def test_a_dataset_cannot_be_made_of_unusable_items(items: list[Item], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Dataset("quiz", tuple(items), "exact_match", "here")
