"""PromptMixin, Map and vmap: many prompts of one, an operator over many entries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ember_bench import vmap
from ember_bench.errors import SignatureError
from ember_bench.operators import (
    EnsembleOperator,
    Function,
    Map,
    MostCommonOperator,
    PromptMixin,
)
from tests.graph.programs import Models, Rephrase, delays
from tests.operators.networks import assert_accuracy, majority, run_items
from tests.support.models import in_trial, keys, module, serve, simulated

texts = st.lists(st.text(max_size=5), min_size=1, max_size=4)


@given(texts, texts, st.text(max_size=10))
def test_every_prefix_meets_every_suffix(
    prefixes: list[str], suffixes: list[str], query: str
) -> None:
    queries = PromptMixin(prefixes=prefixes, suffixes=suffixes)(query=query)["queries"]
    assert queries == [f"{p}{query}{s}" for p in prefixes for s in suffixes]


def test_templates_are_paraphrases_that_may_name_any_input() -> None:
    mixin = PromptMixin(templates=["{query}", "As a {who}: {query} {{sic}}"], prefixes=["> "])
    queries = mixin(query="Why?", who="judge")["queries"]
    assert queries == ["> Why?", "> As a judge: Why? {sic}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prefixes": "Think."}, "prefixes: expected a list of at least one text"),
        ({"suffixes": []}, "suffixes: expected a list of at least one text"),
        ({"templates": ["What?"]}, "does not name {query}"),
        ({"templates": ["{query} {"]}, "lone '{' at character 9"),
    ],
)
def test_a_mixin_that_makes_no_sense_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("{", r"\{")):
        PromptMixin(**arguments)


def test_a_vote_over_prompt_variants_is_a_vote() -> None:
    model = simulated(accuracy=0.6)
    asks = EnsembleOperator(lm_modules=[module(serve(model), model)])
    variants = PromptMixin(prefixes=["", "Think. ", "Look closely. "]) >> Map(operator=asks)
    assert_accuracy(variants >> MostCommonOperator(), majority(0.6, 3))


def test_equal_variants_are_different_draws() -> None:
    model = simulated()
    asks = EnsembleOperator(lm_modules=[module(serve(model), model)])
    twice = PromptMixin(prefixes=["", ""]) >> Map(operator=asks)
    ((_, strand),) = run_items(twice, 1)
    assert len({call.key for call in strand.trial.calls}) == 2


@given(st.lists(st.integers(), max_size=5))
def test_map_keeps_the_order_and_gives_what_each_gave(numbers: list[int]) -> None:
    double = Function(lambda number: {"double": 2 * number})
    mapped = Map(operator=double, field="numbers", entry="number")
    outputs = {"outputs": [{"double": 2 * n} for n in numbers], "responses": []}
    assert mapped(numbers=numbers) == outputs


def test_the_texts_among_the_outputs_are_responses() -> None:
    gives = {
        "r": {"responses": ["a", "b"]},
        "f": {"final_answer": "c"},
        "n": {"final_answer": None},
    }
    mapped = Map(operator=Function(lambda query: gives[query]))
    assert mapped(queries=["r", "f", "n"])["responses"] == ["a", "b", "c", ""]


def test_map_gives_the_operator_the_other_inputs_too() -> None:
    add = Map(operator=Function(lambda query, more: query + more))
    assert add(queries=[1, 2], more=10)["outputs"] == [{"output": 11}, {"output": 12}]


@pytest.mark.parametrize("inputs", [{}, {"queries": "one"}, {"queries": 3}])
def test_map_names_the_list_it_misses(inputs: dict[str, Any]) -> None:
    with pytest.raises(SignatureError, match="queries"):
        Map(operator=Function(lambda query: query))(inputs)


def test_a_failure_within_a_map_is_raised_as_it_is() -> None:
    def fail(query: int) -> float:
        return 1 / query

    with pytest.raises(ZeroDivisionError):
        Map(operator=Function(fail))(queries=[1, 0])


def test_a_map_may_return_failures_in_the_place_of_outputs() -> None:
    divide = Function(lambda query: str(1 // query), output="final_answer")
    inverse = Map(operator=divide, on_error="return")
    found = inverse(queries=[1, 0, 1])
    assert found["responses"] == ["1", "1"]
    assert isinstance(found["outputs"][1], ZeroDivisionError)


def test_what_becomes_of_failures_is_part_of_a_description_where_it_is_given() -> None:
    vote = MostCommonOperator()
    for make in (lambda **given: Map(operator=vote, **given), lambda **given: vmap(vote, **given)):
        plain = make().describe()
        assert "on_error" not in plain["attributes"]
        assert make(on_error="raise").describe() == plain
        assert make(on_error="return").describe()["attributes"]["on_error"] == "return"
    assert vmap(vote, progress=True).describe() == vmap(vote).describe()


class TestVmap:
    def test_outputs_are_in_the_order_of_the_inputs(self) -> None:
        models = Models([5, 0, 2])
        mapped = vmap(Rephrase(lm_modules=models.lms[:1]))
        outputs = mapped([{"text": text} for text in "abcd"])
        assert len(outputs) == 4
        assert models.most_in_flight == 4

    def test_no_more_than_max_concurrency_are_under_way(self) -> None:
        models = Models([5, 0, 2])
        vmap(models.lms[0], max_concurrency=2)(list("abcdef"))
        assert models.most_in_flight == 2
        with pytest.raises(ValueError, match="at least 1"):
            vmap(models.lms[0], max_concurrency=0)

    @settings(max_examples=50, deadline=None)
    @given(times=delays, limit=st.none() | st.integers(1, 4))
    def test_identities_do_not_depend_on_timing(self, times: list[int], limit: int | None) -> None:
        models = Models()
        operator = Rephrase(lm_modules=models.lms[:1])
        batch = [{"text": text} for text in ("a", "a", "b", "a")]
        expected, strand = in_trial(lambda: vmap(operator, max_concurrency=1)(batch))
        models._delays = times
        found, other = in_trial(lambda: vmap(operator, max_concurrency=limit)(batch))
        assert (found, sorted(keys(other))) == (expected, sorted(keys(strand)))

    def test_after_a_failure_no_further_entry_is_started(self) -> None:
        started: list[int] = []

        def fail(entry: int) -> None:
            started.append(entry)
            raise ValueError(f"entry {entry}")

        with pytest.raises(ValueError, match="entry 0"):
            vmap(fail, max_concurrency=1)([0, 1, 2])
        assert started == [0]

    def test_the_entry_that_failed_is_named(self) -> None:
        with pytest.raises(ZeroDivisionError) as caught:
            vmap(lambda n: 1 // n)([1, 0])
        assert caught.value.__notes__ == ["in entry 1 of the batch"]

    def test_an_empty_batch(self) -> None:
        assert vmap(Rephrase())([]) == []

    def test_what_cannot_be_called_is_refused(self) -> None:
        with pytest.raises(TypeError, match="vmap takes an operator"):
            vmap(3)  # type: ignore[arg-type]

    def test_returns_what_was_answered_and_what_failed(self) -> None:
        found = vmap(lambda n: 1 // n, max_concurrency=1, on_error="return")([1, 0, 1])
        assert found[0] == found[2] == 1
        assert isinstance(found[1], ZeroDivisionError)
        assert found[1].__notes__ == ["in entry 1 of the batch"]

    def test_entries_that_are_answered_keep_their_identity_beside_one_that_fails(self) -> None:
        models = Models()

        def ask(text: str) -> str:
            if text == "fail":
                raise ValueError(text)
            return models.lms[0](text)

        expected, _ = in_trial(lambda: vmap(ask)(["a", "b", "a"]))
        batch = ["a", "b", "a", "fail"]
        found, _ = in_trial(lambda: vmap(ask, on_error="return")(batch))
        assert found[:3] == expected

    def test_an_unknown_way_with_errors_is_refused(self) -> None:
        with pytest.raises(ValueError, match="expected 'raise' or 'return', found 'ignore'"):
            vmap(str, on_error="ignore")  # type: ignore[arg-type]

    def test_progress_is_shown_on_the_error_output(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert vmap(str, progress=True)([1, 2, 3]) == ["1", "2", "3"]
        shown = capfd.readouterr()
        assert "3/3" in shown.err
        assert not shown.out
