"""Architectures with a closed form meet it, within the error of the simulation.

Each is run as a grid runs it, on items that a simulated model answers rightly with probability p
(one wrong answer only, so that answers are right or wrong), from fixed seeds. The number of right
items is binomial; it must lie in the central interval that leaves out one case in ten thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from scipy import stats as distributions

from ember_bench import bridge
from ember_bench.datasets import Item, load_dataset
from ember_bench.evaluators import load_evaluator
from ember_bench.experiment.item_subject import ItemSubject
from ember_bench.experiment.trial import graph_inputs, score_output
from ember_bench.graph.architecture import load_architecture
from ember_bench.graph.data import PreparedGraph
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.registry import Cards, builtin_root
from ember_bench.stats import filter_vote_accuracy, verifier_judge_accuracy, vote_accuracy
from tests.support.models import serve, simulated

pytestmark = pytest.mark.slow

ITEMS = 1_500
P, ACCEPT_RIGHT, ACCEPT_WRONG = 0.62, 0.8, 0.3
# Of the checker, in its other roles.
PICK, RANK, FUSE = 0.9, 0.85, 0.75
FIX, BREAK = 0.4, 0.15
P_EXPERT = 0.9


VERIFIES = {"true_positive": ACCEPT_RIGHT, "false_positive": ACCEPT_WRONG}
MODELS = (
    simulated("writer", accuracy=P, refine_fix=FIX, refine_break=BREAK, **VERIFIES, seed=1),
    simulated("checker", pick_rate=PICK, rank_accuracy=RANK, fuse_rate=FUSE, **VERIFIES, seed=2),
    simulated("expert", accuracy=P_EXPERT, seed=3),
)
CARDS = Cards([builtin_root()])
EVALUATOR = load_evaluator("numeric_match", CARDS)


@cache
def items() -> Sequence[Item]:
    return load_dataset("arithmetic", CARDS, parameters={"count": ITEMS}).items


def right_items(name: str, **parameters: Any) -> int:
    """Run an architecture over `ITEMS` items and return how many it answers rightly."""
    architecture = load_architecture(name, CARDS)
    graph = architecture.build(architecture.check(parameters), serve(*MODELS))
    prepared = PreparedGraph(graph)

    def score(item: Item) -> float:
        strands.current.set(Strand(TrialContext(ItemSubject(item, EVALUATOR))))
        outputs = prepared.run(graph_inputs(item))
        return score_output(EVALUATOR, item, outputs[graph.output]).value

    return bridge.wait(bridge.run(lambda: sum(score(item) == 1.0 for item in items())))


def assert_meets(right: int, expected: float) -> None:
    low, high = distributions.binom.interval(1 - 1e-4, ITEMS, expected)
    assert low <= right <= high, f"{right / ITEMS} instead of {expected:.4f}"


@pytest.mark.parametrize("k", [1, 3, 9])
def test_vote(k: int) -> None:
    right = right_items("vote", model="simulated:writer", k=k)
    assert_meets(right, vote_accuracy(P, k))


def test_a_vote_of_an_even_number_breaks_ties_by_lot() -> None:
    right = right_items("vote", model="simulated:writer", k=4, ties="random")
    assert_meets(right, vote_accuracy(P, 4))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_filter_vote(k: int) -> None:
    right = right_items(
        "filter_vote",
        model="simulated:writer",
        verifier="simulated:checker",
        k=k,
        ties="random",
    )
    assert_meets(right, filter_vote_accuracy(P, ACCEPT_RIGHT, ACCEPT_WRONG, k))


@pytest.mark.parametrize("k", [1, 3, 6])
def test_verifier_judge(k: int) -> None:
    right = right_items(
        "verifier_judge", model="simulated:writer", verifier="simulated:checker", k=k
    )
    assert_meets(right, verifier_judge_accuracy(P, ACCEPT_RIGHT, ACCEPT_WRONG, k))


WRITER, CHECKER, EXPERT = "simulated:writer", "simulated:checker", "simulated:expert"
# Of two answers one is right, one wrong.
SPLIT = 2 * P * (1 - P)
FOUND_WRONG_AND_FIXED = (1 - P) * (1 - ACCEPT_WRONG) * FIX
FOUND_WRONG_AND_BROKEN = P * (1 - ACCEPT_RIGHT) * BREAK


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("single", {"model": WRITER}, P),
        ("ensemble_vote", {"models": [WRITER] * 5}, vote_accuracy(P, 5)),
        ("oracle", {"models": [WRITER] * 3}, 1 - (1 - P) ** 3),
        ("ensemble_judge", {"models": [WRITER] * 2, "judge": CHECKER}, P**2 + SPLIT * PICK),
        ("best_of_k", {"model": WRITER, "scorer": CHECKER, "k": 2}, P**2 + SPLIT * RANK),
        (
            "mixture_of_agents",
            {"models": [WRITER] * 2, "aggregator": CHECKER, "refinements": 0},
            P**2 + SPLIT * FUSE,
        ),
        (
            "archon",
            {"models": [WRITER], "samples": 2, "top_k": 1, "fusions": 1}
            | dict.fromkeys(("critic", "ranker", "fuser", "verifier"), CHECKER),
            P**2 + SPLIT * RANK,
        ),
        ("cascade", {"cheap": [WRITER] * 2, "dear": [EXPERT]}, P**2 + SPLIT * P_EXPERT),
        (
            "router",
            {"router": CHECKER, "cheap": WRITER, "dear": EXPERT},
            (P + P_EXPERT) / 2,
        ),
        ("self_refine", {"model": WRITER, "rounds": 0}, P),
        (
            "self_refine",
            {"model": WRITER, "rounds": 1},
            P + FOUND_WRONG_AND_FIXED - FOUND_WRONG_AND_BROKEN,
        ),
        # Whoever is in the minority may go over; the majority of three stays what it was.
        ("debate", {"models": [WRITER], "each": 3, "rounds": 2}, vote_accuracy(P, 3)),
    ],
)  # fmt: skip
def test_the_other_architectures_do_what_their_models_chances_say(
    name: str, parameters: dict[str, Any], expected: float
) -> None:
    assert_meets(right_items(name, **parameters), expected)


def test_the_check_can_fail() -> None:
    """A vote of nine is told apart from one of three."""
    right = right_items("vote", model="simulated:writer", k=9)
    with pytest.raises(AssertionError):
        assert_meets(right, vote_accuracy(P, 3))
