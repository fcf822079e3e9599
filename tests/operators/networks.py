"""Operators of every kind, and items for them to be run on."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from scipy.stats import binom

from ember_bench import bridge
from ember_bench.graph import NoNGraphData, execute, jit
from ember_bench.models import ModelInfo, ModelService
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators import (
    Attempts,
    BestOf,
    Branch,
    CascadeOperator,
    Critic,
    Debate,
    EnsembleOperator,
    FilterVote,
    Function,
    Fuser,
    GetAnswerOperator,
    JudgeBasedOperator,
    JudgeExplainerOperator,
    LMModule,
    Map,
    MostCommonOperator,
    Operator,
    OracleOperator,
    PairwiseTournament,
    Predict,
    PromptMixin,
    RankFilter,
    Reflect,
    Retrieve,
    Router,
    SelfRefine,
    Sequential,
    Tool,
    ToolUser,
    TreeSearch,
    UnitTestEvaluator,
    UnitTestGenerator,
    VerifierOperator,
    WeightedVote,
)
from ember_bench.operators.storm import FindPerspectives, Interview, Outline, WriteArticle
from tests.support.models import Subject, module, scripted

if TYPE_CHECKING:
    from ember_bench.models.call import Call

RIGHT = "7"
QUESTION = {"query": "How many?", "answer_format": "number"}


def many_words(response: str, inputs: Mapping[str, Any]) -> float:
    """A score that cards can name."""
    return len(response.split())


def is_short(inputs: Mapping[str, Any]) -> bool:
    return len(inputs["query"]) < 20


def route_by_length(inputs: Mapping[str, Any]) -> str:
    return "short" if is_short(inputs) else "long"


def shout(query: str, *, mark: str = "!") -> dict[str, str]:
    """Say it louder."""
    return {"query": query.upper() + mark}


def length(state: str) -> dict[str, float]:
    return {"score": float(len(state))}


def is_fine(critique: str) -> bool:
    return "fine" in critique


def graph_in_graph(new: Callable[[], LMModule]) -> NoNGraphData:
    """Return a graph with a graph for a node, and one LM module in both."""
    shared = new()
    inner = NoNGraphData()
    inner.add_node(name="drafts", operator=EnsembleOperator(lm_modules=[new(), shared]))
    inner.add_node(name="vote", operator=MostCommonOperator(), inputs=["drafts"])
    graph = NoNGraphData()
    graph.add_node(name="one", operator=EnsembleOperator(lm_modules=[shared]))
    graph.add_node(name="many", operator=inner)
    graph.add_node(
        name="judge", operator=JudgeBasedOperator(lm_modules=[new()]), inputs=["one", "many"]
    )
    return graph


def every_operator(new: Callable[[], LMModule]) -> dict[str, Operator]:
    """Return a network for each built-in operator, by its name; `new` makes LM modules."""

    def ensemble(count: int = 3) -> EnsembleOperator:
        return EnsembleOperator(lm_modules=[new() for _ in range(count)])

    return {
        "EnsembleOperator": ensemble(),
        "PromptMixin": PromptMixin(prefixes=["", "Think. "], templates=["{query}", "$5? {query}"])
        >> Map(operator=ensemble(1))
        >> MostCommonOperator(),
        "Predict": Predict(None, new()),
        "Attempts": Attempts(operator=ensemble(), retries=1, fallback=ensemble(1))
        >> MostCommonOperator(),
        "Map": Map(operator=ensemble(2), field="items", entry="query"),
        "MostCommonOperator": ensemble() >> MostCommonOperator(ties="random"),
        "WeightedVote": ensemble() >> WeightedVote(weights=[1.0, 2, 0.5], ties="share"),
        "GetAnswerOperator": ensemble() >> GetAnswerOperator(lm_modules=[new()]),
        "JudgeBasedOperator": ensemble() >> JudgeBasedOperator(lm_modules=[new()]),
        "JudgeExplainerOperator": ensemble() >> JudgeExplainerOperator(lm_modules=[new()]),
        "VerifierOperator": ensemble() >> VerifierOperator(lm_modules=[new()], pick="random"),
        "OracleOperator": ensemble() >> OracleOperator(),
        "FilterVote": ensemble(5) >> FilterVote(lm_modules=[new()], ties="random"),
        "RankFilter": ensemble() >> RankFilter(lm_modules=[new()], k=2) >> MostCommonOperator(),
        "PairwiseTournament": ensemble() >> PairwiseTournament(lm_modules=[new()]),
        "Fuser": ensemble() >> Fuser(lm_modules=[new(), new()]) >> Fuser(lm_modules=[new()]),
        "Critic": ensemble()
        >> Critic(lm_modules=[new()])
        >> RankFilter(lm_modules=[new()], k=2)
        >> Fuser(lm_modules=[new()]),
        "BestOf": ensemble() >> BestOf(score=many_words),
        "BestOf by a model": ensemble() >> BestOf(lm_modules=[new()], ties="share"),
        **_every_other_operator(new, ensemble),
    }


def items_of(name: str) -> dict[str, Any]:
    """Return the inputs for `every_operator()[name]`."""
    maps = name in ("Map", "JittedOperator of a graph")
    return {**QUESTION, "items": ["a", "b", "a"]} if maps else QUESTION


def run_items(
    operator: Operator, count: int, inputs: Mapping[str, Any] = QUESTION, **subject: Any
) -> list[tuple[Any, Strand]]:
    """Run `operator` on `count` items, each a trial; return outputs and strands."""
    graph = NoNGraphData()
    graph.add_node(name="network", operator=operator)
    results = []

    def body() -> None:
        for number in range(count):
            item = Subject(str(number), RIGHT, "number", **subject)
            strand = Strand(TrialContext(item, 0))
            strands.current.set(strand)
            # Every item has a question of its own: ties are broken by content.
            asked = {**inputs, "query": f"{inputs['query']} ({number})"}
            results.append((execute(graph, asked)["network"], strand))

    bridge.wait(bridge.run(body))
    return results


def is_right(output: Mapping[str, Any]) -> bool:
    if "final_answer" in output:
        return output["final_answer"] == RIGHT
    (response,) = output["responses"]
    return response == f"Answer: {RIGHT}"


def assert_accuracy(operator: Operator, expected: float, count: int = 1500, **subject: Any) -> None:
    """See that the share of right answers fits the closed form.

    The answers are a function of the seed, so the test gives the same in every run; the exact
    binomial bounds leave out one run in ten thousand, had they not been.
    """
    right = sum(is_right(output) for output, _ in run_items(operator, count, **subject))
    low, high = binom.interval(1 - 1e-4, count, expected)
    assert low <= right <= high, f"{right / count:.4f} is not {expected:.4f}"


def majority(p: float, k: int) -> float:
    """P(most of k are right), k odd."""
    return math.fsum(binom.pmf(r, k, p) for r in range(k // 2 + 1, k + 1))


def jittering(seed: int) -> ModelInfo:
    """Return a model whose answers are functions of the call and take random time."""
    waits = random.Random(seed)
    texts = {
        "verify": ["Verdict: yes", "Verdict: no"],
        "critique": ["Verdict: yes", "Verdict: no"],
        "rank": ["Ranking: 2 > 1", "Ranking: 1 > 2 > 3"],
        "score": ["Score: 3", "Score: 8"],
        "route": ["Route: short", "Route: long"],
    }

    async def answer(call: Call) -> str:
        await asyncio.sleep(waits.random() * 0.004 if seed else 0)
        options = texts.get(call.request.role, ["Answer: 7", "Answer: 8", "Answer: 9", "?"])
        return options[call.key[0] % len(options)]

    return scripted(answer).model_copy(update={"max_concurrency": 100})


def maker(service: ModelService, model: ModelInfo) -> Callable[[], LMModule]:
    return lambda: module(service, model)


def _every_other_operator(
    new: Callable[[], LMModule], ensemble: Callable[..., EnsembleOperator]
) -> dict[str, Operator]:
    """Return those that go in rounds, and those that decide what is run."""
    return {
        "SelfRefine": SelfRefine(lm_modules=[new(), new()], rounds=2),
        "SelfRefine with a test": SelfRefine(lm_modules=[new()], stop=is_fine),
        "SelfRefine of several": ensemble() >> SelfRefine(lm_modules=[new()], rounds=2),
        "Debate": Debate(lm_modules=[new(), new(), new()], rounds=3) >> MostCommonOperator(),
        "Debate until it settles": Debate(lm_modules=[new(), new()], rounds=4, converge=True),
        "SelfRefine until it settles": SelfRefine(lm_modules=[new()], converge=True),
        "TreeSearch": TreeSearch(lm_modules=[new(), new()], steps=2, beam=2, samples=2),
        "TreeSearch by operators": TreeSearch(
            propose=ensemble(2), value=Function(length), steps=2, beam=3
        ),
        "UnitTestGenerator and UnitTestEvaluator": ensemble()
        >> UnitTestGenerator(lm_modules=[new()], count=3)
        >> UnitTestEvaluator(lm_modules=[new()], k=2),
        "Reflect": Reflect(lm_modules=[new()], rounds=2),
        "Sequential": Sequential(operators=[ensemble(), MostCommonOperator()]),
        "CascadeOperator": CascadeOperator(stages=[ensemble(2), ensemble(1)], agreement=0.7),
        "CascadeOperator with a verifier": CascadeOperator(
            stages=[ensemble(1), ensemble(2)], confidence=VerifierOperator(lm_modules=[new()])
        ),
        "CascadeOperator with a score": CascadeOperator(
            stages=[ensemble(1), ensemble(1)], confidence=many_words, threshold=3
        ),
        "Router": Router(
            routes={"short": ensemble(1), "long": ensemble(2) >> MostCommonOperator()},
            lm_modules=[new()],
            purposes={"short": "easy ones"},
        ),
        "Router by a function": Router(
            routes={"operator": ensemble(1), "short": ensemble(2)}, by=route_by_length
        ),
        "Branch": Branch(predicate=is_short, then=ensemble(1), otherwise=ensemble(2)),
        "Function": Function(shout) >> ensemble(1),
        "Tool": Tool(shout, name="louder"),
        "ToolUser": ToolUser(lm_modules=[new()], tools=[Tool(shout)], rounds=2),
        "NoNGraphData": graph_in_graph(new),
        "JittedOperator": jit(ensemble() >> MostCommonOperator()),
        "JittedOperator of a graph": Map(operator=jit(graph_in_graph(new)), field="items"),
        "Outline and the rest of STORM": NoNGraphData(
            {
                "perspectives": FindPerspectives(lm_modules=[new()], count=2),
                "interview": Interview(lm_modules=[new(), new()], rounds=1, corpus=["A fact."]),
                "outline": Outline(lm_modules=[new()]),
                "article": WriteArticle(lm_modules=[new()], documents=1),
            },
            {
                "interview": ["perspectives"],
                "outline": ["interview"],
                "article": ["interview", "outline"],
            },
        ),
        "Retrieve": Retrieve(corpus=["How many legs?", "No idea."], k=1) >> ensemble(1),
    }
