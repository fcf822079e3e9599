"""What the built-in architectures ask, and of whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ember_bench.datasets import load_dataset
from ember_bench.evaluators import load_evaluator
from ember_bench.experiment.item_subject import ItemSubject
from ember_bench.experiment.trial import graph_inputs, score_output
from ember_bench.graph.architecture import load_architecture
from ember_bench.graph.data import PreparedGraph
from ember_bench.models import ModelInfo
from ember_bench.operators.cards import Builder, card_of
from ember_bench.registry import Cards, builtin_root
from tests.support.models import Subject, in_trial, scripted, serve, simulated

CARDS = Cards([builtin_root()])


def calls(name: str, **parameters: Any) -> Mapping[str, int]:
    """Return how many calls each role makes on one item, answered by simulated models."""
    architecture = load_architecture(name, CARDS)
    models = {
        model: simulated(model.partition(":")[2], accuracy=0.5, true_positive=0, false_positive=0)
        for value in parameters.values()
        for model in (value if isinstance(value, list) else [value])
        if isinstance(model, str) and model.startswith("simulated:")
    }
    service = serve(*models.values())
    prepared = PreparedGraph(architecture.build(architecture.check(parameters), service))
    _, strand = in_trial(lambda: prepared.run({"query": "?"}), subject=Subject())
    return Counter(call.role for call in strand.trial.calls)


A, B, C = "simulated:a", "simulated:b", "simulated:c"


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("single", {"model": A}, {"generate": 1}),
        ("vote", {"model": A, "k": 9}, {"generate": 9}),
        ("filter_vote", {"model": A, "verifier": B, "k": 5}, {"generate": 5, "verify": 5}),
        ("verifier_judge", {"model": A, "verifier": B, "k": 5}, {"generate": 5, "verify": 5}),
        ("ensemble_judge", {"models": [A, B], "judge": C}, {"generate": 2, "judge": 1}),
        ("best_of_k", {"model": A, "scorer": B, "k": 4}, {"generate": 4, "score": 4}),
        # The critic, who accepts nothing, is heard before each of the rewritings.
        ("self_refine", {"model": A, "rounds": 3}, {"generate": 1, "critique": 3, "refine": 3}),
        ("debate", {"models": [A, B], "each": 2, "rounds": 3}, {"generate": 4, "debate": 8}),
        (
            "mixture_of_agents",
            {"models": [A, B], "aggregator": C, "refinements": 2},
            {"generate": 2, "fuse": 5},
        ),
        ("router", {"router": A, "cheap": B, "dear": C}, {"route": 1, "generate": 1}),
        (
            "archon",
            {"models": [A, B], "samples": 2, "top_k": 3, "fusions": 2}
            | {"critic": A, "ranker": B, "fuser": C, "verifier": A},
            {"generate": 4, "critique": 4, "rank": 1, "fuse": 2, "verify": 2},
        ),
        ("caravan", {"model": A, "k": 3}, {"generate": 3}),
    ],
)
def test_how_often_each_role_is_asked(
    name: str, parameters: dict[str, Any], expected: dict[str, int]
) -> None:
    assert calls(name, **parameters) == expected


class TestStorm:
    """Perspectives, interviews, outline, article, by a model that says what a test knows."""

    def play(self, **parameters: Any) -> tuple[list[str], Any]:
        """Return the prompts in order of arrival, and the outputs of every node."""
        prompts: list[str] = []

        async def author(call: Any) -> str:
            prompt = call.request.messages[-1].content
            prompts.append(prompt)
            return _author(prompt)

        model = scripted(author)
        storm = load_architecture("storm", CARDS)
        given = {"model": model.model_id, "researcher": model.model_id, **parameters}
        prepared = PreparedGraph(storm.build(storm.check(given), serve(model)))
        return prompts, prepared.run({"query": "Who wrote the notes?", "answer_format": "text"})

    def test_every_perspective_has_its_interview(self) -> None:
        _, outputs = self.play(perspectives=2, rounds=1)
        assert [text.split("\n")[0] for text in outputs["interviews"]["conversations"]] == [
            "Perspective: Basic fact writer: covers the basic facts of the topic broadly.",
            "Perspective: Historian: when?",
            "Perspective: Lawyer: who owns it?",
        ]

    def test_an_interview_goes_on_until_the_writer_says_thank_you(self) -> None:
        _, outputs = self.play(perspectives=0, rounds=5)
        (interview,) = outputs["interviews"]["conversations"]
        assert interview.count("Writer: ") == 2

    def test_the_expert_is_given_what_the_corpus_has_to_the_question(self, tmp_path: Path) -> None:
        corpus = tmp_path / "notes.txt"
        corpus.write_text("Ada wrote the notes in 1843.\n\nThe engine was never built.")
        prompts, _ = self.play(perspectives=0, rounds=1, corpus=str(corpus), documents=1)
        (expert,) = [prompt for prompt in prompts if "You are an expert" in prompt]
        assert "[1] Ada wrote the notes in 1843." in expert
        assert "engine" not in expert

    def test_without_a_corpus_it_is_given_nothing(self) -> None:
        prompts, _ = self.play(perspectives=0, rounds=1)
        (expert,) = [prompt for prompt in prompts if "You are an expert" in prompt]
        assert "Found:\n(nothing)" in expert

    def test_each_section_of_the_outline_is_written_and_a_lead_put_before_them(self) -> None:
        _, outputs = self.play(perspectives=0, rounds=1)
        assert outputs["outline"]["outline"].startswith("# Life")
        assert outputs["article"]["responses"] == [
            "The notes are by Ada.\nAnswer: Ada\n\n# Life\n\nShe lived.\n\n# Work\n\nShe wrote."
        ]

    def test_a_topic_that_is_a_question_is_answered_in_the_lead(self) -> None:
        _, outputs = self.play(perspectives=0, rounds=1)
        assert outputs["article"]["final_answer"] == "Ada"

    def test_the_path_of_the_corpus_is_no_part_of_its_identity(self, tmp_path: Path) -> None:
        storm = load_architecture("storm", CARDS)
        service = serve(simulated("a"))

        def described(name: str, text: str) -> Any:
            (tmp_path / name).write_text(text)
            given = {"model": A, "researcher": A, "corpus": str(tmp_path / name)}
            return storm.build(storm.check(given), service).describe()["attributes"]["nodes"]

        assert described("one.jsonl", '{"id": "1", "text": "a"}') == described(
            "two.jsonl", '{"id": "1", "text": "a"}'
        )
        assert described("one.jsonl", '{"id": "1", "text": "a"}') != described(
            "two.jsonl", '{"id": "1", "text": "b"}'
        )

    def test_its_operators_can_be_saved_and_rebuilt(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("Ada wrote the notes.")
        storm = load_architecture("storm", CARDS)
        service = serve(simulated("a"), simulated("b"))
        given = {"model": A, "researcher": B, "rounds": 2, "corpus": str(tmp_path / "notes.txt")}
        for node in storm.build(storm.check(given), service):
            twin = Builder(service=service).operator(card_of(node.operator))
            assert twin.describe() == node.operator.describe()


def _author(prompt: str) -> str:
    answers = {
        "Name up to": "- Historian: when?\n- Lawyer: who owns it?",
        "Ask your next question": "Who wrote the notes?",
        "You are an expert": "Ada did [1].",
        "Improve the outline": "# Life\n## Childhood\n# Work",
        "Write the outline": "# Draft",
        'Write the section "Life"': "She lived.",
        'Write the section "Work"': "She wrote.",
        "Write the lead": "The notes are by Ada.\nAnswer: Ada",
    }
    if "Ask your next question" in prompt and prompt.count("Expert: ") == 2:
        return "Thank you so much for your help!"
    return next(answer for words, answer in answers.items() if words in prompt)


class TestCaravan:
    def run(self, model: ModelInfo) -> tuple[float, str]:
        """Return the score on the first item of `network_flows`, and the item's question."""
        item = load_dataset("network_flows", CARDS).items[0]
        evaluator = load_evaluator("quasi_exact_match", CARDS)
        caravan = load_architecture("caravan", CARDS)
        service = serve(model)
        graph = caravan.build(caravan.check({"model": model.model_id}), service)
        outputs, _ = in_trial(
            lambda: graph(graph_inputs(item)), subject=ItemSubject(item, evaluator)
        )
        return score_output(evaluator, item, outputs).value, item.question

    def test_the_labels_that_most_agents_give_are_scored(self) -> None:
        assert self.run(simulated("a", accuracy=1.0))[0] == 1.0
        assert self.run(simulated("a", accuracy=0.0))[0] == 0.0

    def test_agents_are_told_who_they_are_and_see_every_flow(self) -> None:
        prompts: list[str] = []

        async def label(call: Any) -> str:
            prompts.append(call.request.messages[-1].content)
            return "0 0 0 1"

        score, question = self.run(scripted(label))
        assert score == 1.0
        assert len(prompts) == 3
        assert prompts[0].startswith("You are a network security expert.")
        assert question in prompts[0]
