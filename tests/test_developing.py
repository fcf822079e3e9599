"""The map of the house leads to files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "developing.md").read_text()
PATHS = sorted(set(re.findall(r"`([\w./]+(?:/|\.py|\.pyi|\.yaml|\.md))`", PAGE)))
BESIDE = {path.name for path in (ROOT / "ember_bench").iterdir()} - {"py.typed", "__pycache__"}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_the_page_exists(path: str) -> None:
    assert any((ROOT / part / path).exists() for part in ("", "ember_bench", "ember_bench/models",
               "ember_bench/experiment", "ember_bench/graph"))  # fmt: skip


def test_the_page_names_each_room_and_module_at_the_top() -> None:
    named = {path.rstrip("/") for path in PATHS}
    assert {name for name in BESIDE if not name.startswith("__")} <= named


@pytest.mark.parametrize(
    "decorator",
    ["provider", "record_source", "generator", "evaluator", "answer_format", "operator"],
)
def test_a_decorator_of_the_page_is_used_by_the_file_to_copy(decorator: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if re.search(rf"`@{decorator}\b", line)]
    file = re.findall(r"`([\w./]+\.py)`", row)[0]
    own = (ROOT / file).read_text()
    used = re.search(rf"^@{decorator}\b", own, re.MULTILINE)
    listed = (ROOT / "ember_bench/answers/formats.py").read_text()
    assert used or (decorator == "answer_format" and f"answers.{Path(file).stem} import" in listed)
