"""The verdicts of the source, of texts and of votes over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ember_bench.datasets import Item
from ember_bench.documents import parse_document
from ember_bench.errors import EmberBenchError
from ember_bench.evaluators import AsRecorded
from ember_bench.models.model_registry import models_of_card

FIELDS = "{item: id, answer: o, correct: c, model: m}"


def theirs(folder: Path, records: Any, fields: str = FIELDS, **more: Any) -> AsRecorded:
    (folder / "a.json").write_text(json.dumps(records))
    text = f"name: recorded:s\nfiles: a.json\nmodels: [a, b]\nfields: {fields}\n"
    models = models_of_card(parse_document(text, folder / "card.yaml"))
    return AsRecorded("theirs", "recorded:s", **more).with_models(models)


def sums(*rows: tuple[str, str, bool | None]) -> list[dict[str, Any]]:
    return [{"id": "1", "m": model, "o": text, "c": right} for model, text, right in rows]


ITEM = Item("1", "1 + 1?", "2", answer_format="number")


class TestVerdicts:
    def test_a_text_gets_its_own(self, tmp_path: Path) -> None:
        rows = sums(("a", "It is 2.", False), ("b", "Answer: 2", True))
        found = theirs(tmp_path, rows)
        scores = [found.evaluate(ITEM, text) for text in ("It is 2.", "Answer: 2")]
        assert [(s.value, s.answer, s.outcome) for s in scores] == [
            (0.0, "2", "wrong"),
            (1.0, "2", "correct"),
        ]

    def test_an_answer_gets_the_mean_of_the_texts_that_state_it(self, tmp_path: Path) -> None:
        rows = sums(("a", "It is 2.", False), ("b", "Answer: 2", True))
        score = theirs(tmp_path, rows).evaluate(ITEM, "2")
        assert (score.value, score.outcome) == (0.5, "partial")
        assert (
            score.explanation
            == "theirs: 0.5, as 2 recorded answers scored, which differ: their mean"
        )

    def test_it_may_read_answers_in_another_format(self, tmp_path: Path) -> None:
        rows = sums(("a", "Answer: yes", True), ("b", "Answer: 2", False))
        found = theirs(tmp_path, rows, answer_format="yes_no")
        assert found.evaluate(ITEM, "Yes").value == 1.0

    def test_what_nobody_answered_has_none(self, tmp_path: Path) -> None:
        found = theirs(tmp_path, sums(("a", "2", True), ("b", "3", None)))
        for item, text in ((ITEM, "7"), (ITEM, "3"), (Item("9", "?", "2"), "2")):
            with pytest.raises(EmberBenchError, match="has no verdict of"):
                found.evaluate(item, text)

    def test_a_text_without_an_answer_is_scored_all_the_same(self, tmp_path: Path) -> None:
        found = theirs(tmp_path, sums(("a", "No idea", True), ("b", "", False)))
        assert [found.evaluate(ITEM, text).outcome for text in ("No idea", "")] == [
            "correct",
            "wrong",
        ]


class TestIdentity:
    def test_other_verdicts_are_another_evaluator(self, tmp_path: Path) -> None:
        identities = {
            theirs(tmp_path, sums(("a", "2", right), ("b", "3", False))).identity
            for right in (True, False, True)
        }
        assert len(identities) == 2
        assert all(text.startswith("as_recorded@1 ") for text in identities)
