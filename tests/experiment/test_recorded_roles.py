"""Recorded calls that are no answers to items: scores, verdicts, judges, debates, routes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ember_bench.errors import ConfigError
from ember_bench.experiment.prepare import prepare
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards, builtin_root
from tests.support.workspace import Ran, Workspace, run

M = "recorded:set/m"


def recorded(workspace: Workspace, records: Any, **card: Any) -> None:
    """Write records, and the card of the set of them."""
    workspace.write("registry/models/set.json", json.dumps(records))
    known = {"name": "recorded:set", "purpose": "Recorded.", "files": "set.json", "models": ["m"]}
    workspace.write("registry/models/set.yaml", known | card)


def ran(workspace: Workspace, *architectures: Mapping[str, Any], **grid: Any) -> Ran:
    workspace.grid(architectures=list(architectures), **grid)
    cards = Cards([builtin_root(), workspace.root / "registry"])
    service = ModelService(ModelRegistry.from_cards(cards))
    return run(prepare(workspace.root / "grid.yaml", cards, service), workspace.root / "results")


def system(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": {"temperature": None, **parameters}}


def problem(workspace: Workspace, *architectures: Mapping[str, Any], **grid: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        ran(workspace, *architectures, **grid)
    (found,) = caught.value.problems
    return found.message


def answers(right: Sequence[bool], item: int) -> list[str]:
    """Return texts, each another one: right answers to a sum, and wrong ones."""
    return [f"({n}) Answer: {8 * item if good else -1 - n}" for n, good in enumerate(right)]


SCORES = {"score": {"fields": {"item": "id", "answer": "scores"}}}


class TestScores:
    def test_a_sample_gets_its_own_score_in_whatever_order_it_is_drawn(
        self, workspace: Workspace
    ) -> None:
        workspace.sums(8)
        rights = [[i % 4 == n for n in range(4)] for i in range(8)]
        recorded(
            workspace,
            [
                {
                    "id": f"sums-{i}",
                    "outputs": answers(right, i),
                    # The right answer has the highest score of the items with an even number.
                    "scores": [
                        (9 if i % 2 == 0 else 0) if good else 1 + n for n, good in enumerate(right)
                    ],
                }
                for i, right in enumerate(rights)
            ],
            fields={"item": "id", "answer": "outputs"},
            roles=SCORES,
        )
        found = ran(workspace, system("best_of_k", model=M, scorer=M, k=4))
        assert found.cell.outcomes["error"] == 0
        assert found.cell.accuracy is not None
        assert found.cell.accuracy.value == 0.5

    def test_in_epochs_as_well(self, workspace: Workspace) -> None:
        workspace.sums(1)
        recorded(
            workspace,
            [{"id": "sums-0", "outputs": answers([True] * 6, 0), "scores": list(range(6))}],
            fields={"item": "id", "answer": "outputs"},
            roles=SCORES,
        )
        ran(workspace, system("best_of_k", model=M, scorer=M, k=2), epochs=3)
        with sqlite3.connect(workspace.root / "results" / "trip" / "trials.db") as db:
            (count,) = db.execute("SELECT count(*) FROM trials WHERE error IS NULL").fetchone()
        assert count == 3

    def test_equal_texts_have_the_scores_of_their_samples(self, workspace: Workspace) -> None:
        """Of two right texts that are one, one has the highest score: it is found at k = 3."""
        workspace.sums(6)
        recorded(
            workspace,
            [
                {
                    "id": f"sums-{i}",
                    "outputs": [f"Answer: {8 * i}", "Answer: -1", f"Answer: {8 * i}"],
                    "scores": [1, 2, 3],
                }
                for i in range(6)
            ],
            fields={"item": "id", "answer": "outputs"},
            roles=SCORES,
        )
        found = ran(workspace, system("best_of_k", model=M, scorer=M, k=3))
        assert found.cell.accuracy is not None
        assert found.cell.accuracy.value == 1

    def test_by_the_text_of_the_candidate_from_a_file_of_another_set(
        self, workspace: Workspace
    ) -> None:
        workspace.sums(2)
        workspace.tape({f"sums-{i}": answers([False, True], i) for i in range(2)})
        recorded(
            workspace,
            [
                {"id": f"sums-{i}", "text": text, "reward": n}
                for i in range(2)
                for n, text in enumerate(answers([False, True], i))
            ],
            roles={"score": {"fields": {"item": "id", "about": "text", "answer": "reward"}}},
        )
        found = ran(workspace, system("best_of_k", model="recorded:tape/m", scorer=M, k=2))
        assert found.cell.accuracy is not None
        assert found.cell.accuracy.value == 1


class TestVerdicts:
    def test_truths_are_words_and_numbers_have_theirs(self, workspace: Workspace) -> None:
        workspace.sums(2)
        recorded(
            workspace,
            [
                {"id": f"sums-{i}", "outputs": answers([False, True], i), "ok": [False, True]}
                for i in range(2)
            ],
            fields={"item": "id", "answer": "outputs"},
            roles={"verify": {"fields": {"item": "id", "answer": "ok"}}},
        )
        parameters = {"model": M, "verifier": M, "k": 2}
        found = ran(workspace, system("verifier_judge", **parameters))
        assert found.cell.accuracy is not None
        assert found.cell.accuracy.value == 1
        workspace.edit("registry/models/set.json", "[false, true]", "[0, 1]")
        workspace.edit(
            "registry/models/set.yaml",
            "answer: ok",
            "answer: ok\n    texts: {'1': 'yes', '0': 'no'}",
        )
        found = ran(workspace, system("verifier_judge", **parameters))
        assert found.cell.accuracy is not None
        assert found.cell.accuracy.value == 1

    def test_by_candidates_and_their_order(self, workspace: Workspace) -> None:
        """A judge that always prefers what it sees first has no winner in both orders."""
        workspace.sums(1)
        texts = answers([True, False], 0)
        workspace.tape({"sums-0": texts})
        pairs = [(texts[0], texts[1]), (texts[1], texts[0])]
        recorded(
            workspace,
            [{"id": "sums-0", "a": a, "b": b, "said": "Ranking: 1 > 2"} for a, b in pairs],
            roles={"rank": {"fields": {"item": "id", "about": ["a", "b"], "answer": "said"}}},
        )
        workspace.write("registry/architectures/pairs.yaml", PAIRS)
        found = ran(
            workspace, {"name": "pairs", "parameters": {"model": "recorded:tape/m", "judge": M}}
        )
        assert found.cell.outcomes["unparsed"] == 1
        told = 'Answer: -2", "said": "Ranking: 1 > 2"'  # of the right one, shown first
        assert told in (workspace.root / "registry/models/set.json").read_text()
        workspace.edit("registry/models/set.json", told, told.replace("1 > 2", "2 > 1"))
        found = ran(
            workspace, {"name": "pairs", "parameters": {"model": "recorded:tape/m", "judge": M}}
        )
        assert found.cell.outcomes["wrong"] == 1

    def test_one_that_was_not_recorded_is_refused_before_the_run_or_left_out(
        self, workspace: Workspace
    ) -> None:
        workspace.sums(3)
        recorded(
            workspace,
            [
                {"id": f"sums-{i}", "outputs": answers([True] * 2, i), "ok": [True, i != 1 or None]}
                for i in range(3)
            ],
            fields={"item": "id", "answer": "outputs"},
            roles={"verify": {"fields": {"item": "id", "answer": "ok"}}},
        )
        asked = system("verifier_judge", model=M, verifier=M, k=2)
        assert problem(workspace, asked).startswith(
            "recorded:set/m has no answer in the role 'verify' about '(1) Answer: 8' of item"
            " 'sums-1' (in cell sums/verifier_judge"
        )
        found = ran(workspace, asked, too_few_samples="left_out")
        assert found.cell.items == 2


PAIRS = """\
name: pairs
purpose: Every two answers are compared, in both orders.
parameters:
  model: {type: model, purpose: Answers twice.}
  judge: {type: model, purpose: Compares.}
graph:
  ensemble:
    operator: EnsembleOperator
    lm_modules: [{model: $model, count: 2}]
  best:
    operator: PairwiseTournament
    inputs: [ensemble]
    lm_modules: [{model: $judge}]
    arguments: {ties: none}
"""


class TestTexts:
    def test_a_judge_says_what_it_said_of_the_item(self, workspace: Workspace) -> None:
        workspace.sums(3)
        recorded(
            workspace,
            [
                {"id": f"sums-{i}", "a": "Answer: -1", "b": "Answer: -2", "final": f"It is {8 * i}"}
                for i in range(3)
            ],
            fields={"item": "id", "answer": "{model}"},
            models=["a", "b"],
            roles={"judge": {"fields": {"item": "id", "answer": "final"}}},
        )
        both = ["recorded:set/a", "recorded:set/b"]
        found = ran(
            workspace,
            {
                "name": "ensemble_judge",
                "parameters": {"models": [both], "judge": both[0], "temperature": None},
            },
        )
        assert found.cell.accuracy is not None
        assert found.cell.accuracy.value == 1

    def test_a_router_takes_the_recorded_route(self, workspace: Workspace) -> None:
        workspace.sums(4)
        recorded(
            workspace,
            [
                {
                    "id": f"sums-{i}",
                    "small": f"Answer: {8 * i if i < 2 else -1}",
                    "large": f"Answer: {8 * i if i >= 2 else -1}",
                    "chosen": "gpt-large" if i >= 2 else "gpt-small",
                }
                for i in range(4)
            ],
            fields={"item": "id", "answer": "{model}"},
            models=["small", "large"],
            roles={
                "route": {
                    "fields": {"item": "id", "answer": "chosen"},
                    "texts": {"gpt-small": "easy", "gpt-large": "hard"},
                }
            },
        )
        small, large = "recorded:set/small", "recorded:set/large"
        found = ran(workspace, system("router", cheap=small, dear=large, router=small))
        assert found.cell.accuracy is not None
        assert found.cell.accuracy.value == 1

    def test_what_no_role_says_is_refused_with_what_there_is(self, workspace: Workspace) -> None:
        workspace.sums(1)
        recorded(
            workspace,
            [{"id": "sums-0", "out": ["1", "2"]}],
            fields={"item": "id", "answer": "out"},
        )
        told = problem(workspace, system("verifier_judge", model=M, verifier=M, k=2))
        assert told.startswith("recorded:set/m has answers to items; it cannot be asked to verify")

    def test_a_misspelt_role_is_found_in_the_card(self, workspace: Workspace) -> None:
        workspace.sums(1)
        recorded(
            workspace,
            [{"id": "sums-0", "out": ["1", "2"]}],
            fields={"item": "id", "answer": "out"},
            roles={"verfy": {}},
        )
        with pytest.raises(ConfigError, match=r"unknown role 'verfy'.*'verify'"):
            ran(workspace, system("single", model=M))


AGENTS, ROUNDS = 3, 3


def said(item: int, number: int, agent: int) -> str:
    """Return what an agent says in a round: the right answer from round 1 + its number on."""
    return f"[{item}.{number}.{agent}] Answer: {8 * item if number > agent else -1}"


def debate(rounds: int) -> dict[str, Any]:
    return {
        "name": "debate",
        "parameters": {
            "models": [[M]], "each": AGENTS, "rounds": rounds, "temperature": None,
        },
    }  # fmt: skip


RECORDS = [
    {"id": f"sums-{i}", "turn": number + 1, "who": f"agent {agent}", "text": said(i, number, agent)}
    for i in range(4)
    for number in range(ROUNDS)
    for agent in range(AGENTS)
]
BY_RECORD = {
    "fields": {"item": "id", "answer": "text", "agent": "who", "round": "turn"},
    "first_round": 1,
}
NESTED = [
    {"id": f"sums-{i}", "texts": [[said(i, r, a) for a in range(AGENTS)] for r in range(ROUNDS)]}
    for i in range(4)
]
BY_AXES = {"fields": {"item": "id", "answer": "texts"}, "axes": ["round", "agent"]}


EARLY = """\
name: early
purpose: A debate that ends as soon as all agree.
parameters:
  model: {type: model, purpose: The model of the three agents.}
graph:
  debate:
    operator: Debate
    lm_modules: [{model: $model, count: 3}]
    arguments: {rounds: 3, converge: true}
  vote:
    operator: MostCommonOperator
    inputs: [debate]
"""


class TestDebates:
    @pytest.mark.parametrize(
        ("records", "card"), [(RECORDS, BY_RECORD), (NESTED, BY_AXES)], ids=["records", "axes"]
    )
    def test_each_agent_says_in_each_round_what_it_said(
        self, workspace: Workspace, records: Any, card: dict[str, Any]
    ) -> None:
        """Two of three agents are right from the third round on."""
        workspace.sums(4)
        recorded(workspace, records, roles={"debate": {}}, **card)
        accuracies = []
        for rounds in (1, 2, 3):
            cell = ran(workspace, debate(rounds)).cell
            assert cell.accuracy is not None
            assert cell.calls == 4 * rounds * AGENTS
            accuracies.append(cell.accuracy.value)
        assert accuracies == [0, 0, 1]

    def test_a_debate_that_stopped_early_makes_the_recorded_calls_and_no_more(
        self, workspace: Workspace
    ) -> None:
        """As many rounds as the number of the item, and one; then all agree."""
        workspace.sums(3)
        wrong = ["Answer: -1", "Answer: -2", "Answer: -3"]
        records = [
            {
                "id": f"sums-{i}",
                "texts": [*[wrong[n:] + wrong[:n] for n in range(i)], [f"Answer: {8 * i}"] * 3],
            }
            for i in range(3)
        ]
        recorded(workspace, records, roles={"debate": {}}, **BY_AXES)
        workspace.write("registry/architectures/early.yaml", EARLY)
        cell = ran(workspace, {"name": "early", "parameters": {"model": M}}).cell
        assert cell.accuracy is not None
        assert cell.accuracy.value == 1
        assert cell.calls == AGENTS * (1 + 2 + 3)

    def test_a_round_that_was_not_recorded_is_refused(self, workspace: Workspace) -> None:
        workspace.sums(4)
        recorded(workspace, NESTED, roles={"debate": {}}, **BY_AXES)
        assert problem(workspace, debate(4)).startswith(
            "recorded:set/m has no answer in the role 'debate' of agent 0 in round 3 of item"
        )

    def test_a_revision_is_that_of_its_round(self, workspace: Workspace) -> None:
        """The critique accepts after the second revision, which is the right one."""
        workspace.sums(2)
        recorded(
            workspace,
            [
                {
                    "id": f"sums-{i}",
                    "draft": "Answer: -1",
                    "critiques": ["no", "no", "Verdict: yes"],
                    "revised": ["Answer: -2", f"Answer: {8 * i}"],
                }
                for i in range(2)
            ],
            fields={"item": "id", "answer": "draft"},
            roles={
                "critique": {
                    "fields": {"item": "id", "answer": "critiques"},
                    "axes": ["round"],
                    "first_round": -1,
                },
                "refine": {
                    "fields": {"item": "id", "answer": "revised"},
                    "axes": ["round"],
                    "first_round": -1,
                },
            },
        )
        cell = ran(workspace, system("self_refine", model=M, rounds=3)).cell
        assert cell.accuracy is not None
        assert cell.accuracy.value == 1
        assert cell.calls == 2 * 6


class TestSearches:
    def test_a_search_is_made_again_from_its_proposals_and_values(
        self, workspace: Workspace
    ) -> None:
        """Of two thoughts the better one is kept, whose next one states the answer."""
        workspace.sums(3)
        states = {"": "low\nhigh", "low\n": "Answer: -1"}
        recorded(
            workspace,
            [
                {
                    "id": f"sums-{i}",
                    "state": [*states, "high\n"],
                    "next": [*states.values(), f"Answer: {8 * i}"],
                    "worth": ["low\n", "high\n", f"high\nAnswer: {8 * i}\n", "low\nAnswer: -1\n"],
                    "values": [1, 2, 3, 0.5],
                }
                for i in range(3)
            ],
            fields={"item": "id", "about": "state", "answer": "next"},
            roles={"score": {"fields": {"item": "id", "about": "worth", "answer": "values"}}},
        )
        asked = system("tree_of_thoughts", model=M, judge=M, steps=2, beam=1, samples=1)
        found = ran(workspace, asked)
        assert found.cell.accuracy is not None
        assert found.cell.accuracy.value == 1
        # Two proposals and three values.
        assert found.cell.calls == 3 * 5

    def test_what_the_search_never_came_to_is_refused(self, workspace: Workspace) -> None:
        workspace.sums(1)
        recorded(
            workspace,
            [{"id": "sums-0", "state": "", "next": "a\nb", "worth": ["a\n", "b\n"], "v": [1, 2]}],
            fields={"item": "id", "about": "state", "answer": "next"},
            roles={"score": {"fields": {"item": "id", "about": "worth", "answer": "v"}}},
        )
        asked = system("tree_of_thoughts", model=M, judge=M, steps=2, beam=1, samples=1)
        assert problem(workspace, asked).startswith(
            "recorded:set/m has no answer about 'b\\n' of item 'sums-0'"
        )
