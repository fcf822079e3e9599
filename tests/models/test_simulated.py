"""Monte Carlo figures are functions of the call keys: they are the same in every run."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError
from scipy import special, stats

from ember_bench import bridge
from ember_bench.graph import NoNGraphData, execute
from ember_bench.models import Completion, Message, ModelInfo, Request, SamplingParameters
from ember_bench.models import strand as strands
from ember_bench.models.call import Call
from ember_bench.models.providers import simulated as simulated_module
from ember_bench.models.providers.simulated import Simulated, SimulatedOptions, Skill
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators import (
    EnsembleOperator,
    MostCommonOperator,
    Operator,
    VerifierOperator,
    parse_answer,
)
from tests.support.models import Subject, module, modules, serve, simulated

pytestmark = pytest.mark.slow

N = 4_000
ITEMS = 1_000


def agrees(successes: int, n: int, p: float) -> bool:
    """Whether a count is likely under Binomial(n, p), by the exact test."""
    return bool(stats.binomtest(successes, n, p).pvalue > 1e-3)


def ask(
    model: ModelInfo, subject: Subject | None, *, draws: int = 1, epoch: int = 0, **request: Any
) -> list[Completion]:
    provider = Simulated(model)
    strand = Strand(TrialContext(subject, epoch))
    asked = Request(model, (Message("user", "q" * 40),), SamplingParameters(), None, **request)
    context = provider.context(strand.trial)
    calls = [Call.place(asked, strand, "0", context) for _ in range(draws)]

    async def main() -> list[Completion]:
        return [await provider.complete(call) for call in calls]

    return bridge.wait(main())


def right(completions: list[Completion], subject: Subject) -> int:
    return sum(subject.accepts(completion.text) for completion in completions)


class TestSkill:
    @pytest.mark.parametrize("p", [0.05, 0.5, 0.83])
    def test_it_is_right_as_often_as_it_says(self, p: float) -> None:
        item = Subject()
        assert agrees(right(ask(simulated(accuracy=p), item, draws=N), item), N, p)

    @pytest.mark.parametrize(("p", "expected"), [(0.0, 0), (1.0, 200)])
    def test_never_and_always_are_exact(self, p: float, expected: int) -> None:
        assert right(ask(simulated(accuracy=p), Subject(), draws=200), Subject()) == expected

    @pytest.mark.parametrize(
        ("difficulty", "p"), [(0.0, 0.9), (0.25, 0.8), (1.0, 0.5), (None, 0.7), (7.0, 0.5)]
    )
    def test_it_falls_linearly_with_difficulty(self, difficulty: float | None, p: float) -> None:
        assert Skill(easy=0.9, hard=0.5).at(difficulty) == pytest.approx(p)
        model, item = simulated(accuracy={"easy": 0.9, "hard": 0.5}), Subject(difficulty=difficulty)
        assert agrees(right(ask(model, item, draws=N), item), N, p)

    def test_wrong_answers_are_spread_over_the_distractors(self) -> None:
        model = simulated(accuracy=0.0, distractors=4)
        texts = Counter(c.text for c in ask(model, Subject(), draws=N))
        assert len(texts) == 4
        assert stats.chisquare(list(texts.values())).pvalue > 1e-3

    def test_where_there_is_no_wrong_option_it_gives_none(self) -> None:
        item = Subject(target="A", answer_format="choice", choices=("only",))
        completion = ask(simulated(accuracy=0.0), item)[0]
        assert parse_answer(completion.text, "choice", item.choices) is None

    def test_it_answers_whoever_asks_for_no_item(self) -> None:
        texts = {c.text for c in ask(simulated(), None, draws=10)}
        assert len(texts) == 10


class TestChance:
    def test_is_a_function_of_the_call(self) -> None:
        once, again = (ask(simulated(), Subject(), draws=50) for _ in range(2))
        assert once == again

    def test_differs_between_draws_items_epochs_seeds_and_prompts(self) -> None:
        base = ask(simulated(), Subject(), draws=50)
        others = [
            ask(simulated(), Subject(id="another"), draws=50),
            ask(simulated(), Subject(), draws=50, epoch=1),
            ask(simulated(seed=1), Subject(), draws=50),
            ask(simulated("twin"), Subject(), draws=50),
        ]
        assert len({c.latency_seconds for run in [base, *others] for c in run}) == 250


def together(a: ModelInfo, b: ModelInfo, p: float) -> tuple[int, list[int]]:
    """Return how often both models are right on an item, and each of them."""
    both, each = 0, [0, 0]
    for number in range(ITEMS):
        item = Subject(id=str(number))
        one, two = (right(ask(m, item), item) for m in (a, b))
        both += one * two
        each[0] += one
        each[1] += two
    return both, each


class TestCorrelation:
    """A draw follows the item's common luck with probability c; two do so with c squared."""

    @pytest.mark.parametrize(("c", "same_seed"), [(0.0, True), (0.8, True), (0.8, False)])
    def test_makes_models_of_one_seed_err_together(self, c: float, same_seed: bool) -> None:
        p = 0.6
        a = simulated("a", accuracy=p, correlation=c, seed=1)
        b = simulated("b", accuracy=p, correlation=c, seed=1 if same_seed else 2)
        both, each = together(a, b, p)
        shared = c**2 if same_seed else 0.0
        assert agrees(both, ITEMS, shared * p + (1 - shared) * p**2)
        assert all(agrees(count, ITEMS, p) for count in each)

    def test_full_correlation_makes_all_draws_one(self) -> None:
        model = simulated(correlation=1.0, distractors=5, accuracy=0.5)
        for number in range(20):
            texts = {c.text for c in ask(model, Subject(id=str(number)), draws=20)}
            assert len(texts) == 1

    def test_the_common_luck_is_another_one_in_each_epoch(self) -> None:
        model, item = simulated(correlation=1.0, accuracy=0.5), Subject()
        count = sum(right(ask(model, item, epoch=epoch), item) for epoch in range(400))
        assert agrees(count, 400, 0.5)


class TestVerifier:
    @pytest.mark.parametrize(("candidate", "p"), [("Answer: 7", 0.9), ("Answer: 8", 0.25)])
    def test_accepts_right_and_wrong_candidates_at_its_rates(
        self, candidate: str, p: float
    ) -> None:
        model = simulated(true_positive=0.9, false_positive=0.25)
        done = ask(model, Subject(), draws=N, role="verify", about=(candidate,))
        assert {c.text for c in done} == {"Verdict: yes", "Verdict: no"}
        assert agrees(sum(c.text == "Verdict: yes" for c in done), N, p)


class TestJudge:
    def test_picks_a_right_candidate_at_its_rate(self) -> None:
        model = simulated(pick_rate=0.85)
        about = ("7", "8", "9", "10")
        done = ask(model, Subject(), draws=N, role="judge", about=about)
        assert agrees(right(done, Subject()), N, 0.85)
        wrong = Counter(c.text for c in done if not Subject().accepts(c.text))
        assert set(wrong) == {"Answer: 8", "Answer: 9", "Answer: 10"}
        assert stats.chisquare(list(wrong.values())).pvalue > 1e-3

    @pytest.mark.parametrize(("about", "expected"), [(("7", "7"), 100), (("8", "9"), 0)])
    def test_cannot_do_better_or_worse_than_its_candidates(
        self, about: tuple[str, ...], expected: int
    ) -> None:
        done = ask(simulated(pick_rate=0.5), Subject(), draws=100, role="judge", about=about)
        assert right(done, Subject()) == expected

    def test_answers_itself_where_there_are_no_candidates(self) -> None:
        done = ask(simulated(accuracy=0.3), Subject(), draws=N, role="judge")
        assert agrees(right(done, Subject()), N, 0.3)


class TestTimeAndLength:
    def test_latency_is_lognormal_around_its_median(self) -> None:
        done = ask(simulated(latency_seconds=2.0, spread=0.5), Subject(), draws=N)
        logs = [math.log((c.latency_seconds or 0) / 2.0) / 0.5 for c in done]
        assert stats.kstest(logs, "norm").pvalue > 1e-3

    def test_without_spread_it_is_exact(self) -> None:
        model = simulated(latency_seconds=2.0, output_tokens=33, spread=0.0)
        done = ask(model, Subject())[0]
        assert (done.latency_seconds, done.usage.output_tokens) == (2.0, 33)

    def test_input_tokens_are_those_of_the_prompt(self) -> None:
        assert ask(simulated(), Subject())[0].usage.input_tokens == 11

    def test_latency_is_reported_not_waited_for(self) -> None:
        model = simulated(latency_seconds=1e6)
        assert ask(model, Subject())[0].latency_seconds is not None
        assert Simulated(model).instant

    def test_unless_it_is_told_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waited: list[float] = []

        async def sleep(seconds: float) -> None:
            waited.append(seconds)

        monkeypatch.setattr(simulated_module.asyncio, "sleep", sleep)
        model = simulated(latency_seconds=5.0, sleep=True)
        assert not Simulated(model).instant
        done = ask(model, Subject(), draws=3)
        assert waited == [c.latency_seconds for c in done]


class TestOptions:
    @pytest.mark.parametrize(
        "options",
        [
            {"accuracy": 1.1},
            {"accuracy": -0.1},
            {"accuracy": {"easy": 2, "hard": 0}},
            {"acuracy": 0.5},
            {"distractors": 0},
            {"correlation": 2},
            {"latency_seconds": -1},
        ],
    )
    def test_that_make_no_sense_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            SimulatedOptions.model_validate(options)


def accuracy(operator: Operator, n: int) -> int:
    """Return how many of `n` items an operator answers rightly, each as a trial of its own."""

    def one(number: int) -> bool:
        item = Subject(id=str(number))
        strands.current.set(Strand(TrialContext(item)))
        return bool(operator(query="what is it?")["final_answer"] == item.target)

    return sum(bridge.wait(bridge.gather([bridge.run(one, i) for i in range(n)])))


class TestClosedForms:
    @pytest.mark.parametrize(("p", "k"), [(0.65, 5), (0.4, 3)])
    def test_a_vote_meets_the_binomial_tail(self, p: float, k: int) -> None:
        """V(p, K) = I_p((K + 1) / 2, (K + 1) / 2), Chen et al. 2024."""
        model = simulated(accuracy=p)
        graph = NoNGraphData()
        ensemble = EnsembleOperator(lm_modules=modules(serve(model), model, k, temperature=0.7))
        graph.add_node(name="ensemble", operator=ensemble)
        graph.add_node(name="vote", operator=MostCommonOperator(), inputs=["ensemble"])
        half = (k + 1) / 2
        assert agrees(accuracy(graph, 1_000), 1_000, float(special.betainc(half, half, p)))

    @pytest.mark.parametrize("k", [1, 4])
    def test_best_of_k_by_a_verifier_meets_its_closed_form(self, k: int) -> None:
        p, s, f = 0.4, 0.8, 0.3
        r = 1 - p * s - (1 - p) * f
        expected = (1 - r**k) * p * s / (p * s + (1 - p) * f) + r ** (k - 1) * p * (1 - s)
        model = simulated(accuracy=p, true_positive=s, false_positive=f)
        service = serve(model)
        graph = NoNGraphData()
        ensemble = EnsembleOperator(lm_modules=modules(service, model, k, temperature=0.7))
        graph.add_node(name="ensemble", operator=ensemble)
        verifier = VerifierOperator(lm_modules=[module(service, model, temperature=0.0)])
        graph.add_node(name="verify", operator=verifier, inputs=["ensemble"])
        assert agrees(accuracy(graph, 1_000), 1_000, expected)

    def test_a_perfect_verifier_finds_a_right_answer_if_there_is_one(self) -> None:
        p, k = 0.3, 4
        model = simulated(accuracy=p, true_positive=1.0, false_positive=0.0)
        service = serve(model)
        graph = NoNGraphData()
        ensemble = EnsembleOperator(lm_modules=modules(service, model, k))
        graph.add_node(name="ensemble", operator=ensemble)
        verifier = VerifierOperator(lm_modules=[module(service, model)])
        graph.add_node(name="verify", operator=verifier, inputs=["ensemble"])
        assert agrees(accuracy(graph, 1_000), 1_000, 1 - (1 - p) ** k)


def test_a_graph_is_executed_on_the_item_of_its_trial() -> None:
    model = simulated(accuracy=1.0)
    graph = NoNGraphData()
    graph.add_node(name="one", operator=EnsembleOperator(lm_modules=[module(serve(model), model)]))

    def one() -> Any:
        strands.current.set(Strand(TrialContext(Subject(target="blue"))))
        return execute(graph, {"query": "which?"})

    assert bridge.wait(bridge.run(one)) == {"one": {"responses": ["Answer: blue"]}}
