"""Evaluators that ask models, with judges that answer what they are told to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets import Item
from ember_bench.errors import ConfigError, UnjudgedError
from ember_bench.evaluators import ExactMatch
from ember_bench.evaluators.base import Evaluator, judges_of, scored, without_models
from ember_bench.evaluators.by_record import ByRecord
from ember_bench.evaluators.cards import load_evaluator
from ember_bench.evaluators.cascaded import Cascade
from ember_bench.evaluators.judged import JudgeCard, Judged, JudgedBy, Rubric, needs_judge
from ember_bench.evaluators.kinds import StandIn
from ember_bench.evaluators.nested import Combined
from ember_bench.evaluators.preferred import Preferred
from ember_bench.operators.signature import Signature
from ember_bench.registry import Cards, builtin_root

PROMPT = Signature(prompt_template="{query}|{reference}|{options}")
ITEM = Item("capital", "The capital of France?", "Paris", alternatives=("City of Light",))


@dataclass
class Told:
    """Gives answers in turn, and keeps what it was asked."""

    answers: list[str]
    asked: list[Item] = field(default_factory=list)
    identity: str = "told"
    lms: tuple[()] = ()

    def verdicts(self, asked: Sequence[Item]) -> list[str]:
        self.asked += asked
        return [self.answers.pop(0) for _ in asked]


def by(card: JudgeCard, *answers: str, prompt: str = PROMPT.prompt_template or "") -> JudgedBy:
    return JudgedBy(card, Signature(prompt_template=prompt), Told([*answers]))


GRADES = Judged("grades", "s", verdicts={"correct": 1.0, "incorrect": 0.0, "not attempted": None})


@pytest.mark.parametrize(
    ("answer", "value", "outcome"),
    [("A", 1.0, "correct"), ("B", 0.0, "wrong"), ("C", 0.0, "unparsed")],
)
def test_a_verdict_has_the_score_of_its_card(answer: str, value: float, outcome: str) -> None:
    score = by(GRADES, answer).evaluate(ITEM, "It is Paris.")
    assert (score.value, score.outcome) == (value, outcome)
    assert "The judge says" in score.explanation


def test_the_prompt_has_the_question_the_references_and_the_verdicts() -> None:
    judge = by(GRADES, "A", prompt="{query}|{reference}|{response}|{options}|{note}")
    item = Item("x", "asked at length", "1", ("one",), bare="bare", metadata={"note": "N"})
    judge.evaluate(item, "say 1")
    (asked,) = judge.judge.asked  # type: ignore[attr-defined]
    assert asked.question == ("bare|1\none|say 1|A: correct\nB: incorrect\nC: not attempted|N")
    assert asked.choices == ("correct", "incorrect", "not attempted")


@pytest.mark.parametrize(
    ("output", "right"), [("paris", "A"), ("Lyon", "B"), ("city of light.", "A")]
)
def test_a_simulated_judge_is_told_what_is_right(output: str, right: str) -> None:
    judge = by(GRADES, "A")
    judge.evaluate(ITEM, output)
    assert judge.judge.asked[0].target == right  # type: ignore[attr-defined]


def test_what_is_asked_depends_on_content_alone() -> None:
    one, two, other = by(GRADES, "A"), by(GRADES, "B"), by(GRADES, "A")
    for judge, output in ((one, "Paris"), (two, "Paris"), (other, "Paris!")):
        judge.evaluate(ITEM, output)
    digests = [j.judge.asked[0].digest for j in (one, two, other)]  # type: ignore[attr-defined]
    assert digests[0] == digests[1] != digests[2]


def test_nobody_is_asked_about_an_empty_output() -> None:
    judge = by(GRADES)
    assert judge.evaluate(ITEM, " \n").outcome == "unparsed"


def test_another_answer_format_reads_the_verdict_itself() -> None:
    card = Judged("g", "s", answer_format="yes_no", verdicts={"yes": 1.0, "no": 0.0})
    assert by(card, "yes").evaluate(ITEM, "Paris").value == 1.0
    odd = Judged("g", "s", answer_format="number", verdicts={"1": 0.0, "2": 1.0})
    with pytest.raises(UnjudgedError, match="'7', is none of its verdicts"):
        by(odd, "7").evaluate(ITEM, "Paris")


class TestRubric:
    SCALE = Rubric("r", "s", scale={1: "bad", 2: "so so", 3: "good"})

    def test_a_grade_is_its_place_on_the_scale(self) -> None:
        values = [by(self.SCALE, a).evaluate(ITEM, "Paris").value for a in "ABC"]
        assert values == [1.0, 0.5, 0.0]

    def test_the_prompt_shows_what_grades_stand_for(self) -> None:
        judge = by(self.SCALE, "A")
        judge.evaluate(ITEM, "Paris")
        (asked,) = judge.judge.asked  # type: ignore[attr-defined]
        assert asked.question.endswith("A: 3 (good)\nB: 2 (so so)\nC: 1 (bad)")
        assert asked.choices == ("3", "2", "1")

    def test_each_criterion_is_asked_about_and_weighs_what_the_card_says(self) -> None:
        card = Rubric("r", "s", criteria={"names a city": 3.0, "is polite": 1.0})
        judge = by(card, "A", "B", prompt="{criterion}")
        score = judge.evaluate(ITEM, "Paris")
        assert [item.question for item in judge.judge.asked] == [*card.weights]  # type: ignore[attr-defined]
        assert score.value == 0.75
        assert "'names a city': met; 'is polite': not met" in score.explanation

    @given(st.lists(st.booleans(), min_size=1, max_size=8))
    def test_a_checklist_scores_the_share_that_is_met(self, met: list[bool]) -> None:
        card = Rubric("r", "s", criteria=[f"criterion {i}" for i in range(len(met))])
        score = by(card, *("A" if m else "B" for m in met)).evaluate(ITEM, "Paris")
        assert score.value == pytest.approx(sum(met) / len(met))


class TestPreferred:
    CARD = Preferred("p", "s")

    @pytest.mark.parametrize(
        ("verdicts", "ties", "value"),
        [
            ("AB", "half", 1.0),
            ("BA", "half", 0.0),
            ("AA", "half", 0.5),  # whatever stands first
            ("CC", "half", 0.5),
            ("CC", "none", 0.0),
            ("CC", "first", 0.5),
            ("AC", "half", 0.75),
            ("AC", "none", 0.5),
            ("CB", "first", 1.0),
        ],
    )
    def test_both_orders_count_the_same(self, verdicts: str, ties: str, value: float) -> None:
        card = Preferred("p", "s", ties=ties)  # type: ignore[arg-type]
        assert by(card, *verdicts).evaluate(ITEM, "Paris").value == value

    def test_both_orders_are_asked(self) -> None:
        judge = by(self.CARD, "A", "B", prompt="{first}>{second}")
        judge.evaluate(ITEM, "Lyon")
        questions = [asked.question for asked in judge.judge.asked]  # type: ignore[attr-defined]
        assert questions == ["Lyon>Paris", "Paris>Lyon"]
        # A simulated judge that is right prefers the target.
        assert [asked.target for asked in judge.judge.asked] == ["B", "A"]  # type: ignore[attr-defined]

    def test_a_recorded_output_is_a_field_of_the_item(self) -> None:
        card = Preferred("p", "s", against="reference_output")
        with pytest.raises(ConfigError, match="item 'capital' has no text in the field"):
            by(card, "A", "B").evaluate(ITEM, "Paris")
        item = Item("x", "q", "t", metadata={"reference_output": "theirs"})
        judge = by(card, "A", "B", prompt="{second}")
        judge.evaluate(item, "ours")
        assert judge.judge.asked[0].question == "theirs"  # type: ignore[attr-defined]


def cascade(*answers: str, **more: Sequence[str]) -> Cascade:
    parts: dict[str, Evaluator] = {
        "exact_match": ExactMatch("exact_match"), "grades": by(GRADES, *answers),
    }  # fmt: skip
    return Cascade("c", "exact_match", "grades", **more).with_evaluators(parts)  # type: ignore[arg-type]


def asked_of(evaluator: Evaluator) -> list[Item]:
    (judge,) = judges_of(evaluator)
    return judge.asked  # type: ignore[attr-defined,no-any-return]


class TestCascade:
    def test_the_judge_sees_only_what_the_first_leaves_open(self) -> None:
        found = cascade("A")
        assert found.evaluate(ITEM, "Answer: Paris").value == 1.0
        assert asked_of(found) == []
        assert found.evaluate(ITEM, "Answer: paris").value == 1.0
        assert len(asked_of(found)) == 1

    def test_a_card_says_which_outcomes_are_open(self) -> None:
        found = cascade(leaves_open=["unparsed"])
        assert found.evaluate(ITEM, "Answer: paris").outcome == "wrong"

    def test_both_are_part_of_its_identity(self) -> None:
        one, other = cascade(), cascade()
        assert one.identity == other.identity
        loose = one.with_evaluators(
            {**one.evaluators, "exact_match": ExactMatch("exact_match", ignore_case=True)}
        )
        judged = one.with_evaluators(
            {**one.evaluators, "grades": by(Judged("other", "t", verdicts=GRADES.verdicts))}
        )
        assert len({one.identity, loose.identity, judged.identity}) == 3

    def test_without_models_the_first_decides_alone(self) -> None:
        found = cascade()
        assert without_models(found) is found.evaluators["exact_match"]


class TestCombined:
    def combined(self, *answers: str) -> Combined:
        parts: dict[str, Evaluator] = {
            "text": ExactMatch("text"), "grades": by(GRADES, *answers),
        }  # fmt: skip
        return Combined("both", {"text": 3, "grades": 1}).with_evaluators(parts)

    def test_a_part_may_ask_models(self) -> None:
        found = self.combined("A")
        assert scored(found, ITEM, "Answer: paris").value == 0.25
        assert len(asked_of(found)) == 1

    def test_without_models_the_target_decides_on_that_part(self) -> None:
        found = self.combined()
        assert scored(without_models(found), ITEM, "Answer: Paris").value == 1.0
        assert asked_of(found) == []

    def test_the_judge_is_part_of_its_identity(self) -> None:
        one = self.combined()
        other = JudgedBy(GRADES, PROMPT, Told([], identity="another"))
        assert one.identity == self.combined().identity
        assert one.with_evaluators({**one.evaluators, "grades": other}).identity != one.identity

    def test_a_card_alone_does_not_score(self) -> None:
        found = self.combined()
        parts = {**found.evaluators, "grades": GRADES}
        assert needs_judge(found.with_evaluators(parts))
        assert not needs_judge(found)
        with pytest.raises(ConfigError, match="evaluator 'grades' asks models"):
            found.with_evaluators(parts).evaluate(ITEM, "Paris")


@pytest.mark.parametrize(
    "wrap", [lambda e: e, lambda e: ByRecord(e, {}), lambda e: StandIn(e, "another")]
)
def test_where_no_model_is_asked_the_target_decides(wrap: object) -> None:
    evaluator: Evaluator = wrap(by(GRADES))  # type: ignore[operator]
    assert len(judges_of(evaluator)) == 1
    cheap = without_models(evaluator)
    assert scored(cheap, ITEM, "paris").value == 1.0
    assert scored(cheap, ITEM, "Lyon").value == 0.0
    assert without_models(ExactMatch("e")) == ExactMatch("e")


def test_the_identity_has_card_prompt_and_judge() -> None:
    one = by(GRADES)
    others = [
        by(Judged("grades", "s", verdicts={"correct": 1.0, "incorrect": 0.0})),
        by(GRADES, prompt="{query}"),
        JudgedBy(GRADES, PROMPT, Told([], identity="another")),
    ]
    assert len({one.identity, *(other.identity for other in others)}) == 4
    assert by(Judged("renamed", "s", verdicts=GRADES.verdicts)).identity == one.identity


MINE = {"name": "mine", "kind": "judged", "signature": "s", "verdicts": {"yes": 1, "no": 0}}


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"verdicts": {"good": 1, "fine": 1}}, "needs verdicts with different scores"),
        ({"verdicts": {"good": 2, "bad": 0}}, "must be at most 1"),
        ({"verdicts": {f"v{i}": i / 30 for i in range(30)}}, "more than 26 verdicts"),
        ({"answer_format": "chioce"}, "did you mean 'choice'"),
    ],
)
def test_mistakes_in_a_card_stand_at_their_place(
    tmp_path: Path, card: dict[str, object], message: str
) -> None:
    path = tmp_path / "evaluators" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({**MINE, **card}))
    with pytest.raises(ConfigError) as caught:
        load_evaluator("mine", Cards([tmp_path]))
    assert message in str(caught.value)
    assert "mine.yaml:" in str(caught.value)


@pytest.mark.parametrize(
    ("first", "judge", "message"),
    [
        ("graded_by_rubric", "graded_by_reference", r":3:1: .* its `first` asks models, too"),
        ("exact_match", "quasi_exact_match", r":4:1: .* its `judge` asks no model"),
        ("exact_match", "graded_by_rubrik", r":4:1: .*did you mean 'graded_by_rubric'"),
        ("exact_match", "mine", r":4:1: .* in a circle: mine -> mine"),
    ],
)
def test_a_cascade_goes_from_one_that_computes_to_one_that_asks(
    tmp_path: Path, first: str, judge: str, message: str
) -> None:
    path = tmp_path / "evaluators" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(f"name: mine\nkind: cascade\nfirst: {first}\njudge: {judge}\n")
    with pytest.raises(ConfigError, match=message):
        load_evaluator("mine", Cards([tmp_path, builtin_root()]))


def test_a_card_alone_does_not_score() -> None:
    with pytest.raises(ConfigError, match="asks models"):
        GRADES.evaluate(ITEM, "Paris")
