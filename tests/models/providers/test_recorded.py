from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ember_bench.errors import ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.providers.recorded import Recorded
from ember_bench.models.recorded.finding import content_digest
from ember_bench.models.recorded.replay import draw_number, sample_order
from ember_bench.models.strand import Draw, TrialContext
from ember_bench.models.types import Completion, Usage
from tests.models.providers.replay import Subject, ask, one

if TYPE_CHECKING:
    from pathlib import Path

    from ember_bench.models.info import ModelInfo


@pytest.fixture(autouse=True)
def _no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBER_BENCH_DATA", raising=False)


def texts(model: ModelInfo, item: str, count: int, epoch: int = 0) -> list[str]:
    return [ask(model, item, str(i), epoch=epoch).text for i in range(count)]


class TestAnswers:
    def test_by_item_whatever_the_prompt(self, tmp_path: Path) -> None:
        model = one(tmp_path, [{"id": "a", "output": "A"}, {"id": "b", "output": "B"}])
        assert ask(model, "b").text == "B"

    def test_what_was_not_recorded_is_not_made_up(self, tmp_path: Path) -> None:
        completion = ask(one(tmp_path, [{"id": "a", "output": "A"}]), "a")
        assert completion == Completion("A", Usage(), "stop", None, None)

    def test_what_was_recorded_comes_with_it(self, tmp_path: Path) -> None:
        fields = (
            "{item: id, answer: output, latency: s, cost: usd, input_tokens: i, output_tokens: o}"
        )
        record = {"id": "a", "output": "A", "s": 1.5, "usd": "0.25", "i": 10, "o": 3.0}
        assert ask(one(tmp_path, [record], fields), "a") == Completion(
            "A", Usage(10, 3), "stop", 0.25, 1.5
        )

    def test_an_empty_cost_is_unknown_not_zero(self, tmp_path: Path) -> None:
        fields = "{item: id, answer: output, latency: s, cost: usd}"
        records = [
            {"id": "a", "output": "A", "s": "", "usd": None},
            {"id": "b", "output": "", "s": 0, "usd": 0},
        ]
        model = one(tmp_path, records, fields)
        assert (ask(model, "a").cost_usd, ask(model, "a").latency_seconds) == (None, None)
        assert (ask(model, "b").cost_usd, ask(model, "b").latency_seconds) == (0, 0)
        assert ask(model, "b").text == ""

    def test_an_item_may_be_named_by_several_fields(self, tmp_path: Path) -> None:
        model = one(
            tmp_path, [{"set": "x", "id": 0, "output": "A"}], "{item: [set, id], answer: output}"
        )
        assert ask(model, "x/0").text == "A"

    def test_outside_a_trial_there_is_no_answer(self, tmp_path: Path) -> None:
        with pytest.raises(ProviderError, match="not about one") as caught:
            ask(one(tmp_path, [{"id": "a", "output": "A"}]), None)
        assert not caught.value.retryable

    def test_a_verdict_is_not_an_answer(self, tmp_path: Path) -> None:
        with pytest.raises(ProviderError, match="cannot be asked to verify"):
            ask(one(tmp_path, [{"id": "a", "output": "A"}]), "a", role="verify")

    def test_a_missing_item_is_an_error_that_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(ProviderError) as caught:
            ask(one(tmp_path, [{"id": "a", "output": "A"}]), "z")
        assert str(caught.value) == (
            "recorded:set/m has 0 recorded samples of item 'z'; draw 0 in epoch 0 of 1 needs 1"
        )
        assert not caught.value.retryable


class TestSamples:
    def test_replicas_and_draws_walk_the_same_order(self, tmp_path: Path) -> None:
        model = one(tmp_path, [{"id": "a", "output": ["s0", "s1", "s2"]}])
        order = texts(model, "a", 3)
        assert sorted(order) == ["s0", "s1", "s2"]
        assert [ask(model, "a", draw=d).text for d in [(), (1,), (2,)]] == order
        assert ask(model, "a", "node/made", (1,)).text == order[1]

    def test_one_that_is_not_there_is_an_error(self, tmp_path: Path) -> None:
        model = one(tmp_path, [{"id": "a", "output": ["s0", "s1"]}])
        with pytest.raises(ProviderError) as caught:
            ask(model, "a", "2")
        assert str(caught.value) == (
            "recorded:set/m has 2 recorded samples of item 'a'; draw 2 in epoch 0 of 1 needs 3"
        )

    @pytest.mark.parametrize(("replica", "draw"), [("2", (1,)), ("0", (1, 1)), ("0", (0, 1))])
    def test_no_number_for_the_draws_of_several_members(self, replica: str, draw: Draw) -> None:
        with pytest.raises(ValueError, match="one of the two only"):
            draw_number(replica, draw)

    @given(st.integers(0, 50), st.booleans())
    def test_a_place_has_one_number(self, n: int, loop: bool) -> None:
        draw = (n,) if n else ()
        assert (draw_number("0", draw) if loop else draw_number(str(n), ())) == n

    def test_records_of_their_own_are_those_of_a_list_in_the_order_of_their_numbers(
        self, tmp_path: Path
    ) -> None:
        records = [{"id": "a", "output": f"s{n}", "trial": n} for n in (7, 0, 3)]
        model = one(tmp_path, records, "{item: id, answer: output, sample: trial}")
        drawn = texts(model, "a", 3)
        assert drawn == texts(one(tmp_path, [{"id": "a", "output": ["s0", "s3", "s7"]}]), "a", 3)

    def test_lists_of_answers_have_lists_of_numbers(self, tmp_path: Path) -> None:
        record = {"id": "a", "output": ["1", "2"], "usd": [1, 2]}
        model = one(tmp_path, [record], "{item: id, answer: output, cost: usd}")
        found = [ask(model, "a", r) for r in "01"]
        assert [float(answer.text) for answer in found] == [answer.cost_usd for answer in found]


class TestOrder:
    @given(st.text(), st.text(), st.integers(0, 60))
    def test_it_is_a_permutation_fixed_by_model_and_item(
        self, model: str, item: str, samples: int
    ) -> None:
        order = sample_order(model, item, samples)
        assert sorted(order) == list(range(samples))
        assert order == sample_order(model, item, samples)

    def test_it_is_the_same_in_every_version(self) -> None:
        assert sample_order("recorded:set/m", "a", 8) == [6, 7, 0, 4, 3, 2, 5, 1]

    def test_models_and_items_have_orders_of_their_own(self) -> None:
        orders = {tuple(sample_order(m, i, 20)) for m in ("x", "y") for i in ("a", "b")}
        assert len(orders) == 4

    def test_each_sample_is_as_often_at_each_place(self) -> None:
        orders = np.array([sample_order("m", str(item), 5) for item in range(4_000)])
        counts = np.array([np.bincount(place, minlength=5) for place in orders.T])
        # 25 counts of Binomial(4000, 1/5), standard deviation 25.3: five of them either way.
        assert np.abs(counts - 800).max() < 5 * 25.3


class TestEpochs:
    @given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 3))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
    def test_draws_and_epochs_use_the_first_samples_each_once(
        self, tmp_path: Path, draws: int, epochs: int, more: int
    ) -> None:
        samples = [str(i) for i in range(draws * epochs + more)]
        model = one(tmp_path, [{"id": "a", "output": samples}])
        used = {
            ask(model, "a", str(draw), epoch=epoch, epochs=epochs).text
            for draw in range(draws)
            for epoch in range(epochs)
        }
        assert used == set(texts(model, "a", len(samples))[: draws * epochs])

    def test_no_sample_is_left_for_one_more(self, tmp_path: Path) -> None:
        model = one(tmp_path, [{"id": "a", "output": ["x", "y", "z"]}])
        assert {ask(model, "a", epoch=epoch, epochs=3).text for epoch in range(3)} == set("xyz")
        with pytest.raises(ProviderError, match="draw 1 in epoch 0 of 3 needs 4"):
            ask(model, "a", "1", epochs=3)

    def test_an_epoch_beyond_the_last_is_an_error(self, tmp_path: Path) -> None:
        model = one(tmp_path, [{"id": "a", "output": ["x", "y", "z"]}])
        with pytest.raises(ProviderError, match="epoch 2, counted from 0, is not among 2"):
            ask(model, "a", epoch=2, epochs=2)

    @given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 5))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
    def test_what_a_call_needs_is_what_it_can_be_answered_with(
        self, tmp_path: Path, samples: int, epochs: int, draw: int
    ) -> None:
        model = one(tmp_path, [{"id": "a", "output": [str(i) for i in range(samples)]}])
        trial = TrialContext(Subject("a"), epochs - 1, epochs=epochs)
        call, provider = Call(Request(model, ()), trial, str(draw), (), b""), Recorded(model)
        assert provider.samples_of("a") == samples
        if provider.samples_needed(call) <= samples:
            asyncio.run(provider.complete(call))
        else:
            with pytest.raises(ProviderError, match=f"needs {(draw + 1) * epochs}"):
                asyncio.run(provider.complete(call))

    def test_of_an_item_that_is_not_there_it_has_no_sample(self, tmp_path: Path) -> None:
        assert Recorded(one(tmp_path, [{"id": "a", "output": "A"}])).samples_of("z") == 0


class TestIdentity:
    def test_the_context_tells_items_apart(self, tmp_path: Path) -> None:
        model = one(tmp_path, [{"id": "a", "output": "A"}])
        a, b = (Recorded(model).context(TrialContext(Subject(i))) for i in "ab")
        assert a != b

    def test_another_number_of_epochs_is_other_draws(self, tmp_path: Path) -> None:
        provider = Recorded(one(tmp_path, [{"id": "a", "output": ["A", "B"]}]))
        contexts = {provider.context(TrialContext(Subject("a"), epochs=e)) for e in (1, 2)}
        contexts.add(provider.context(TrialContext(Subject("2 a"))))
        assert len(contexts) == 3

    def test_an_edited_recording_is_new_answers(self, tmp_path: Path) -> None:
        trial = TrialContext(Subject("a"))
        first = one(tmp_path, [{"id": "a", "output": "A"}])
        before = Recorded(first).context(trial)
        second = one(tmp_path, [{"id": "a", "output": "B"}])
        assert first.fingerprint == second.fingerprint
        assert Recorded(second).context(trial) != before
        assert ask(second, "a").text == "B"

    def test_the_same_content_elsewhere_is_the_same(self, tmp_path: Path) -> None:
        digests = []
        for name in ("x", "y"):
            (tmp_path / name).mkdir()
            model = one(tmp_path / name, [{"id": "a", "output": "A"}])
            digests.append((content_digest(model), model.fingerprint))
        assert digests[0] == digests[1]

    def test_a_recording_edited_under_a_run_is_refused(self, tmp_path: Path) -> None:
        model = one(tmp_path, [{"id": "a", "output": "A"}])
        provider, trial = Recorded(model), TrialContext(Subject("a"))
        provider.context(trial)
        one(tmp_path, [{"id": "a", "output": "edited"}])
        call = Call(Request(model, ()), trial, "0", (), b"")
        with pytest.raises(ProviderError, match="changed during the run"):
            asyncio.run(provider.complete(call))
