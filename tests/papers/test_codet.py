"""CodeT's choice among programs, on problems of which it is clear."""

from __future__ import annotations

import gzip
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from ember_bench.registry import Cards
from tests.papers.runs import PAPERS

FOLDER = PAPERS / "codet"


@pytest.fixture
def codet() -> Any:
    Cards([FOLDER / "registry"]).all("evaluators")  # loads the code beside the cards, as a run does
    path = str(FOLDER / "registry" / "codet.py")
    return next(m for m in sys.modules.values() if getattr(m, "__file__", None) == path)


def test_a_group_scores_by_the_root_of_its_size_times_the_tests_it_passes(codet: Any) -> None:
    # Two samples pass the first test, written three times; one passes all four tests.
    found = codet.groups(["100", "100", "111", "000", ""], [3, 1, 1])
    assert found == [([2], 5.0), ([0, 1], 2**0.5 * 3)]


def test_groups_with_equal_scores_are_one(codet: Any) -> None:
    assert codet.groups(["10", "01"], [2, 2]) == [([0, 1], 2.0)]


def test_tests_are_the_first_five_assertions_that_compile_and_name_the_function(
    codet: Any,
) -> None:
    text = "f(1) == 2\nassert f(2) ==\nassert g(1) == 1\n" + "".join(
        f"assert f({n}) == {n}\n" for n in range(9)
    )
    assert codet.tests_of(text, "f") == ["assert f(1) == 2"] + [
        f"assert f({n}) == {n}" for n in range(4)
    ]


def test_a_program_ends_where_something_else_begins(codet: Any) -> None:
    assert codet.cut("    return 1\n\ndef g():\n    pass\n") == "    return 1\n"


def test_programs_are_run_with_each_test_by_itself(codet: Any) -> None:
    tests = ["assert f(1) == 1", "assert f(2) == 1", "while True: pass", "assert f(3) == 3"]
    assert codet.passed("def f(x):\n    return x\n", tests) == "1001"
    assert codet.passed("def f(x):\n    return y +\n", tests) == ""


def test_the_repository_is_repacked_into_what_the_cards_read(tmp_path: Path) -> None:
    """As it is laid out at the pinned commit, and at later ones with other names of files."""
    for number, name in enumerate(("HumanEval", "hmeval")):
        clone, data = tmp_path / f"clone{number}", tmp_path / f"data{number}"
        problem = {
            "task_id": "HumanEval/0",
            "entry_point": "f",
            "canonical_solution": "",
            "test": "",
        }
        write(clone, f"dataset/{name}_for_code_generation.jsonl", {**problem, "prompt": "def f"})
        write(
            clone, "dataset/HumanEval_for_test_case_generation.jsonl",
            {**problem, "prompt": "def f\nassert "},
        )  # fmt: skip
        stem = f"generated_data/{name}_codegen16B_temp0.8_topp0.95_num100_max300"
        write(clone, f"{stem}_code_solution.jsonl", {"prompt": "def f", "samples": ["a", "b"]})
        write(clone, f"{stem}_test_case.jsonl", {"prompt": "def f\nassert ", "samples": ["c"]})
        repack = runpy.run_path(str(FOLDER / "repack.py"))["repack"]
        repack({"github.com/microsoft/CodeT": clone}, data)
        assert read(data, "solutions") == {"task_id": "HumanEval/0", "samples": ["a", "b"]}
        assert read(data, "tests") == {"task_id": "HumanEval/0", "samples": ["c"]}
        assert read(data, "items")["test_prompt"] == "def f\nassert "


def write(clone: Path, path: str, record: dict[str, Any]) -> None:
    file = clone / "CodeT" / "data" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record) + "\n", encoding="utf-8")


def read(data: Path, name: str) -> dict[str, Any]:
    with gzip.open(data / "codet" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        (line,) = file
    found: dict[str, Any] = json.loads(line)
    return found
