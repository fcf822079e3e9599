"""Labels of people: from files and from the items themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError, UnlabelledError
from ember_bench.evaluators import load_evaluator
from ember_bench.evaluators.base import Evaluator
from ember_bench.evaluators.exact import ExactMatch
from ember_bench.evaluators.kinds import StandIn, evaluator_identity
from ember_bench.evaluators.several import Several, further_of, headline_of
from ember_bench.evaluators.texts import Confidence
from ember_bench.registry import Cards, builtin_root

LABELS = """item,output,label
one,It is 4.,good
one,It is 5.,bad
two,Paris,good
three,,
"""


def card(folder: Path, labels: str = LABELS, **fields: Any) -> Evaluator:
    path = folder / "evaluators"
    path.mkdir(exist_ok=True)
    (path / "labels.csv").write_text(labels)
    scores = {"good": 1, "bad": 0}
    written = {"name": "people", "kind": "labelled", "file": "labels.csv", "scores": scores}
    (path / "people.yaml").write_text(yaml.safe_dump(written | fields))
    return load_evaluator("people", Cards([builtin_root(), folder]))


def item(name: str, **fields: Any) -> Item:
    return Item(name, "?", "4", **fields)


def test_an_output_has_the_label_that_it_got(tmp_path: Path) -> None:
    people = card(tmp_path)
    assert people.evaluate(item("one"), "It is 4.").value == 1
    assert people.evaluate(item("one"), "It is 5. ").value == 0
    assert people.evaluate(item("one"), "It is 5.").outcome == "wrong"


@pytest.mark.parametrize(("name", "output"), [("one", "It is 6."), ("three", ""), ("four", "x")])
def test_an_output_without_a_label_has_no_score(name: str, output: str, tmp_path: Path) -> None:
    with pytest.raises(UnlabelledError, match="no label"):
        card(tmp_path).evaluate(item(name), output)


def test_a_label_may_be_of_the_answer_that_was_read(tmp_path: Path) -> None:
    people = card(tmp_path, "item,answer,label\none,4,good\n", output="answer")
    assert people.evaluate(item("one", answer_format="number"), "So it is 4.").value == 1


def test_most_people_decide(tmp_path: Path) -> None:
    rows = "item,output,a,b,c\none,x,1,1,0\none,y,1,0,\none,z,0,,\n"
    people = card(tmp_path, rows, label=["a", "b", "c"], scores={})
    score = people.evaluate(item("one"), "x")
    assert score.value == 1
    assert "2 of 3 people" in score.explanation
    assert people.evaluate(item("one"), "z").value == 0
    with pytest.raises(UnlabelledError, match="as many labels"):
        people.evaluate(item("one"), "y")


def test_labels_may_be_of_the_items(tmp_path: Path) -> None:
    people = card(tmp_path, file=None, label="verdict")
    assert people.evaluate(item("x", metadata={"verdict": "bad"}), "anything").value == 0
    with pytest.raises(UnlabelledError):
        people.evaluate(item("x", metadata={"verdict": None}), "anything")
    with pytest.raises(ConfigError, match="'fine' is none of `scores`: bad, good"):
        people.check_item(item("x", metadata={"verdict": "fine"}))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("labels", "fields", "message"),
    [
        ("item,output,label\none,x,fine\n", {}, "labels.csv:2: label 'fine' is none of `scores`"),
        ("item,output,label\none,x,5\n", {"scores": {}}, "no number from 0 to 1"),
        ("item,outputs,label\none,x,good\n", {}, "no field 'output'; did you mean 'outputs'"),
        ("item,output,label\none,x,good\n", {"label": "labels"}, "has no label in 'labels'"),
        ("item,output,label\n", {"file": "label.csv"}, "there is no file"),
    ],
)
def test_what_is_no_label_is_a_mistake_at_its_place(
    labels: str, fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        card(tmp_path, labels, **fields)


def test_other_labels_are_another_identity(tmp_path: Path) -> None:
    before = evaluator_identity(card(tmp_path))
    assert evaluator_identity(card(tmp_path)) == before
    assert evaluator_identity(card(tmp_path, LABELS.replace("Paris,good", "Paris,bad"))) != before


def test_a_confidence_is_read() -> None:
    confidence = Confidence("confidence")
    assert confidence.evaluate(item("one"), "4. Confidence: 80%").value == pytest.approx(0.8)
    assert confidence.evaluate(item("one"), "4.").outcome == "unparsed"


class TestSeveral:
    EXACT = ExactMatch("exact_match")
    BOTH = Several(EXACT, {"confidence": Confidence("confidence")})

    def test_the_headline_scores(self) -> None:
        assert self.BOTH.evaluate(item("one"), "4") == self.EXACT.evaluate(item("one"), "4")
        assert self.BOTH.name == "exact_match"
        assert headline_of(self.BOTH) is self.EXACT

    def test_simulated_answers_depend_on_the_headline_alone(self) -> None:
        assert self.BOTH.identity == self.EXACT.identity

    def test_results_depend_on_all(self) -> None:
        assert evaluator_identity(self.BOTH) != evaluator_identity(self.EXACT)
        assert evaluator_identity(self.BOTH).startswith(evaluator_identity(self.EXACT))

    def test_a_stand_in_has_the_identities_of_before_and_the_evaluators_of_now(self) -> None:
        stands = StandIn(self.BOTH, evaluator_identity(Several(self.EXACT, {"x": self.EXACT})))
        assert stands.identity == self.EXACT.identity
        assert further_of(stands) == self.BOTH.further
        assert headline_of(stands) is self.EXACT
