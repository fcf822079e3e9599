"""Calls in batches: what is gathered, written down, waited for, and asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import BatchesOpenError, ConfigError, ProviderError, StoreError
from ember_bench.models import Budget, Completion, ModelCost, ModelInfo, RetryPolicy, Usage
from ember_bench.models.batch.api import (
    BatchFailedError,
    BatchRequest,
    OpenBatch,
    Outcome,
    UndecidedError,
)
from ember_bench.models.batch.journal import BatchJournal
from ember_bench.models.batch.queue import BatchQueue
from ember_bench.models.call import Call, Request
from ember_bench.models.endpoint import Endpoint
from ember_bench.models.strand import Purse, Strand, TrialContext
from ember_bench.models.types import Message, SamplingParameters
from tests.support import virtual
from tests.support.models import scripted, serve

HOUR = 3600.0
ANSWER = Completion("answer", Usage(1000, 1000))


async def never(call: Call) -> str:
    raise AssertionError("asked directly")


class FakeApi:
    """A provider whose batches take an hour.

    Attributes:
        submitted: The keys of each batch, in order.
        fates: What becomes of the next batches' requests; `ANSWER` after that.
        seen_from: When batches can be found.
        submitting: Seconds before a batch is taken, and before its id is told.
        on_submit: Raised after the batch was taken (`taken`) or in place of that.
    """

    most_requests = 1000
    most_bytes = 1_000_000

    def __init__(self) -> None:
        self.submitted: list[list[str]] = []
        self.tokens: list[str] = []
        self.ends: list[float] = []
        self.polls: list[float] = []
        self.fates: list[Callable[[str], Outcome | None] | Exception] = []
        self.on_submit: list[tuple[bool, Exception]] = []
        self.on_poll: list[Exception] = []
        self.on_find: list[Exception] = []
        self.seen_from = 0.0
        self.submitting = 1.0, 0.0

    def request(self, call: Call) -> BatchRequest:
        return BatchRequest.of(call, {}, 100)

    async def submit(self, requests: Sequence[BatchRequest], token: str) -> str:
        await asyncio.sleep(self.submitting[0])
        taken, error = self.on_submit.pop(0) if self.on_submit else (True, None)
        if taken:
            self.submitted.append([request.key for request in requests])
            self.tokens.append(token)
            self.ends.append(virtual.virtual_time() + HOUR)
        batch_id = f"b{len(self.submitted) - 1}"
        await asyncio.sleep(self.submitting[1])
        if error is not None:
            raise error
        return batch_id

    async def find(self, batch: OpenBatch, others: Collection[str]) -> str | None:
        if self.on_find:
            raise self.on_find.pop(0)
        if batch.token not in self.tokens or virtual.virtual_time() < self.seen_from:
            return None
        return f"b{self.tokens.index(batch.token)}"

    async def results(
        self, batch: OpenBatch, batch_id: str, places: Mapping[int, str]
    ) -> Mapping[str, Outcome] | None:
        self.polls.append(virtual.virtual_time())
        if self.on_poll:
            raise self.on_poll.pop(0)
        number = int(batch_id[1:])
        if virtual.virtual_time() < self.ends[number]:
            return None
        fate = self.fates[number] if number < len(self.fates) else lambda key: ANSWER
        if isinstance(fate, Exception):
            raise fate
        found = ((key, fate(key)) for key in self.submitted[number])
        return {key: outcome for key, outcome in found if outcome is not None}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[BatchJournal]:
    opened = BatchJournal(tmp_path / "batches.db")
    yield opened
    opened.close()


def retry(**fields: Any) -> RetryPolicy:
    return RetryPolicy(sleep=asyncio.sleep, clock=virtual.virtual_time, **fields)


def queue(api: FakeApi, journal: BatchJournal, **fields: Any) -> BatchQueue:
    return BatchQueue(api, journal, retry(**fields), now=virtual.virtual_time)


def calls(count: int, model: ModelInfo | None = None, **context: Any) -> list[Call]:
    model = model or ModelInfo(model_id="openai:m")
    strand = Strand(TrialContext(**context))
    asked = SamplingParameters(max_tokens=1000)
    return [
        Call.place(Request(model, (Message("user", str(n)),), asked), strand, "0", "")
        for n in range(count)
    ]


async def answers(asked: BatchQueue, made: Sequence[Call]) -> list[Any]:
    """Answer calls at the same time, and forget them as if they were stored."""
    found = await asyncio.gather(*map(asked.complete, made), return_exceptions=True)
    for call, answer in zip(made, found, strict=True):
        if isinstance(answer, Completion):
            asked.stored(call.key)
    return found


class TestGathering:
    def test_calls_that_come_together_are_one_batch(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        made = calls(50)

        async def main() -> list[Any]:
            asked = queue(api, journal)
            found = await answers(asked, made)
            await asked.close()
            return found

        assert virtual.run(main()) == [ANSWER] * 50
        assert api.submitted == [[call.key.hex() for call in made]]
        assert journal.open_calls() == 0

    def test_waits_for_a_quiet_second(self, api: FakeApi, journal: BatchJournal) -> None:
        async def main() -> None:
            asked = queue(api, journal)

            async def later(call: Call, seconds: float) -> None:
                await asyncio.sleep(seconds)
                await asked.complete(call)

            seconds = (0.0, 0.9, 1.8, 5.0)
            await asyncio.gather(*map(later, calls(4), seconds))

        virtual.run(main())
        assert [len(batch) for batch in api.submitted] == [3, 1]

    @pytest.mark.parametrize("limit", [{"most_requests": 20}, {"most_bytes": 20 * 102}])
    def test_no_batch_is_larger_than_the_provider_takes(
        self, api: FakeApi, journal: BatchJournal, limit: dict[str, int]
    ) -> None:
        for name, value in limit.items():
            setattr(api, name, value)
        virtual.run(answers(queue(api, journal), calls(50)))
        assert [len(batch) for batch in api.submitted] == [20, 20, 10]

    def test_is_polled_ever_more_seldom(self, api: FakeApi, journal: BatchJournal) -> None:
        virtual.run(answers(queue(api, journal), calls(1)))
        pauses = [after - before for before, after in zip(api.polls, api.polls[1:], strict=False)]
        assert pauses == sorted(pauses)
        assert pauses[0] == 1
        assert pauses[-1] == 300
        assert len(api.polls) < 30


class TestFailures:
    def test_that_may_pass_are_asked_again_in_the_next_batch(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        made = calls(3)
        first = made[0].key.hex()
        busy = ProviderError("busy", retryable=True, status=529)
        api.fates = [lambda key: busy if key == first else ANSWER]
        assert virtual.run(answers(queue(api, journal), made)) == [ANSWER] * 3
        assert api.submitted[1:] == [[first]]

    def test_calls_without_an_answer_are_asked_again(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        made = calls(3)
        last = made[2].key.hex()
        api.fates = [lambda key: None if key == last else ANSWER]
        assert virtual.run(answers(queue(api, journal), made)) == [ANSWER] * 3
        assert api.submitted[1:] == [[last]]

    def test_that_cannot_pass_are_not(self, api: FakeApi, journal: BatchJournal) -> None:
        api.fates = [lambda key: ProviderError("no", status=400)]
        (found,) = virtual.run(answers(queue(api, journal), calls(1)))
        assert isinstance(found, ProviderError)
        assert len(api.submitted) == 1
        assert journal.open_calls() == 0

    def test_end_after_so_many(self, api: FakeApi, journal: BatchJournal) -> None:
        api.fates = [lambda key: None] * 9
        (found,) = virtual.run(answers(queue(api, journal, attempts=3), calls(1)))
        assert isinstance(found, ProviderError)
        assert len(api.submitted) == 3

    def test_of_a_whole_batch_fail_its_calls(self, api: FakeApi, journal: BatchJournal) -> None:
        api.fates = [BatchFailedError("not a file")]
        found = virtual.run(answers(queue(api, journal), calls(2)))
        assert [str(error) for error in found] == ["not a file"] * 2
        assert journal.open_calls() == 0

    def test_for_there_is_too_much_make_smaller_batches(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        full = BatchFailedError("too much waits", retryable=True, status=429)
        api.fates = [full, full, full]
        assert virtual.run(answers(queue(api, journal), calls(80))) == [ANSWER] * 80
        assert len(api.submitted[0]) == 80
        assert max(map(len, api.submitted[1:3])) <= 40

    def test_of_polling_are_outlived(self, api: FakeApi, journal: BatchJournal) -> None:
        api.on_poll = [ProviderError("down", retryable=True)] * 5
        assert virtual.run(answers(queue(api, journal), calls(2))) == [ANSWER] * 2
        assert len(api.submitted) == 1

    def test_of_polling_for_good_leave_the_batch_open(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        made = calls(2)
        api.on_poll = [ProviderError("HTTP 404: no such batch", status=404)]

        async def main() -> list[Any]:
            first = await answers(queue(api, journal), made)
            return [*first, *await answers(queue(api, journal), made)]

        *failed, one, two = virtual.run(main())
        assert all("b0" in str(error) and "batches.db" in str(error) for error in failed)
        assert [one, two] == [ANSWER] * 2
        assert len(api.submitted) == 1

    def test_of_the_journal_reach_whoever_waits(
        self, api: FakeApi, journal: BatchJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*arguments: Any) -> list[bytes]:
            raise StoreError("disk full")

        monkeypatch.setattr(journal, "begin", full)
        found = virtual.run(answers(queue(api, journal), calls(2)))
        assert [str(error) for error in found] == ["disk full"] * 2
        assert not api.submitted


class TestRestarts:
    def die_after(self, api: FakeApi, journal: BatchJournal, seconds: float, made: Any) -> None:
        """Ask for `made`, and end the loop some time later without a word to anybody."""

        async def main() -> None:
            asked = queue(api, journal)
            tasks = [asyncio.create_task(asked.complete(call)) for call in made]
            await asyncio.sleep(seconds)
            del tasks

        virtual.run(main())

    def test_wait_for_the_batch_that_is_open(self, api: FakeApi, journal: BatchJournal) -> None:
        made = calls(5)
        self.die_after(api, journal, 100, made)
        assert journal.open_calls() == 5
        assert virtual.run(answers(queue(api, journal), [*made, *calls(7)[5:]])) == [ANSWER] * 7
        assert [len(batch) for batch in api.submitted] == [5, 2]

    def test_that_come_while_a_batch_is_submitted_look_for_it(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        made = calls(5)
        api.on_submit = [(True, asyncio.CancelledError())]  # ends before its id is known
        self.die_after(api, journal, 2.5, made)
        assert journal.ids() == set()
        assert virtual.run(answers(queue(api, journal), made)) == [ANSWER] * 5
        assert len(api.submitted) == 1

    def test_ask_anew_for_what_was_never_submitted(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        made = calls(5)
        self.die_after(api, journal, 1.5, made)  # written down, and on its way
        assert journal.open_calls() == 5
        assert not api.submitted
        assert virtual.run(answers(queue(api, journal), made)) == [ANSWER] * 5
        assert len(api.submitted) == 1

    def test_wait_while_it_cannot_be_told(self, api: FakeApi, journal: BatchJournal) -> None:
        made = calls(5)
        api.on_submit = [(True, asyncio.CancelledError())]
        self.die_after(api, journal, 2.5, made)
        api.on_find = [UndecidedError("others go on")] * 20
        assert virtual.run(answers(queue(api, journal), made)) == [ANSWER] * 5
        assert len(api.submitted) == 1

    def test_are_given_answers_that_were_there_before_they_asked(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        first, second = made = calls(2)
        self.die_after(api, journal, 100, made)

        async def main() -> list[Completion]:
            asked = queue(api, journal)
            before = await asked.complete(first)
            polls = len(api.polls)
            after = await asked.complete(second)
            assert len(api.polls) == polls
            return [before, after]

        assert virtual.run(main()) == [ANSWER] * 2
        assert len(api.submitted) == 1


class TestSubmissions:
    @pytest.mark.parametrize("taken", [True, False])
    @pytest.mark.parametrize("status", [None, 408, 500])
    def test_of_which_nobody_knows_are_looked_for(
        self, api: FakeApi, journal: BatchJournal, taken: bool, status: int | None
    ) -> None:
        api.on_submit = [(taken, ProviderError("broken", retryable=True, status=status))]
        assert virtual.run(answers(queue(api, journal), calls(3))) == [ANSWER] * 3
        assert len(api.submitted) == 1

    def test_that_arrive_late_are_found(self, api: FakeApi, journal: BatchJournal) -> None:
        api.on_submit = [(True, ProviderError("broken", retryable=True))]
        api.seen_from = 50.0
        assert virtual.run(answers(queue(api, journal), calls(3))) == [ANSWER] * 3
        assert len(api.submitted) == 1

    def test_that_are_refused_are_made_again_if_that_helps(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        api.on_submit = [(False, ProviderError("too many", retryable=True, status=429))]
        assert virtual.run(answers(queue(api, journal), calls(3))) == [ANSWER] * 3

    def test_that_are_refused_for_good_fail_their_calls(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        api.on_submit = [(False, ProviderError("no such key", status=401))]
        found = virtual.run(answers(queue(api, journal), calls(2)))
        assert [str(error) for error in found] == ["no such key"] * 2
        assert journal.open_calls() == 0

    def test_without_a_key_leave_nothing_behind(self, api: FakeApi, journal: BatchJournal) -> None:
        api.on_submit = [(False, ConfigError("no key for openai:m"))]
        (found,) = virtual.run(answers(queue(api, journal), calls(1)))
        assert isinstance(found, ConfigError)
        assert journal.open_calls() == 0


class TestLeaving:
    def test_ends_the_wait_and_leaves_the_batch_open(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        made = calls(3)

        async def main() -> list[Any]:
            asked = queue(api, journal)
            waiting = asyncio.create_task(answers(asked, made))
            await asyncio.sleep(100)
            asked.leave()
            found = await waiting
            assert virtual.virtual_time() == 100
            await asked.close()
            return found

        assert {type(error) for error in virtual.run(main())} == {BatchesOpenError}
        assert journal.open_calls() == 3

    def test_writes_down_a_batch_that_is_being_submitted(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        async def main() -> None:
            asked = queue(api, journal)
            waiting = asyncio.create_task(answers(asked, calls(3)))
            await asyncio.sleep(1.5)
            asked.leave()
            await waiting
            await asked.close()

        virtual.run(main())
        assert journal.ids() == {"b0"}

    @pytest.mark.parametrize("submitting", [(60.0, 0.0), (1.0, 60.0)])
    def test_gives_up_a_submission_that_takes_long_and_the_next_run_makes_it_once(
        self, api: FakeApi, journal: BatchJournal, submitting: tuple[float, float]
    ) -> None:
        api.submitting = submitting
        made = calls(3)

        async def main() -> tuple[float, list[Any]]:
            asked = queue(api, journal)
            waiting = asyncio.create_task(answers(asked, made))
            await asyncio.sleep(3)
            asked.leave()
            await waiting
            await asked.close()
            closed = virtual.virtual_time()
            api.submitting = 1.0, 0.0
            again = queue(api, journal)
            found = await answers(again, made)
            await again.close()
            return closed, found

        closed, found = virtual.run(main())
        assert closed < 20
        assert found == [ANSWER] * 3
        assert len(api.submitted) == 1
        assert journal.open_calls() == 0

    def test_submits_nothing_more(self, api: FakeApi, journal: BatchJournal) -> None:
        async def main() -> list[Any]:
            asked = queue(api, journal)
            waiting = asyncio.create_task(answers(asked, calls(3)))
            await asyncio.sleep(0.5)
            asked.leave()
            found = [*await waiting, *await answers(asked, calls(4)[3:])]
            await asked.close()
            return found

        assert {type(error) for error in virtual.run(main())} == {BatchesOpenError}
        assert not api.submitted
        assert journal.open_calls() == 0

    def test_tells_the_trial_that_it_has_no_result(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        purse = Purse("cell")

        async def main() -> None:
            model = scripted(never, mode="batch")
            endpoint = endpoint_of(model, api, journal)
            (call,) = calls(1, model, purse=purse)
            waiting = asyncio.create_task(endpoint.complete(call))
            await asyncio.sleep(100)
            endpoint.wind_down()
            with pytest.raises(BatchesOpenError):
                await waiting
            await endpoint.close()

        virtual.run(main())
        assert purse.exhausted


def endpoint_of(
    model: ModelInfo, api: FakeApi, journal: BatchJournal, budget: Budget | None = None
) -> Endpoint:
    from ember_bench.models.providers.base import provider_class

    provider = provider_class(model.provider_name)(model)
    return Endpoint(provider, retry(), budget, queue(api, journal))


class TestMoney:
    PRICE = ModelCost(input_cost_per_thousand=1.0, output_cost_per_thousand=3.0)

    def test_half_of_the_price_is_charged_and_no_latency_known(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        async def main() -> Completion:
            model = scripted(never, cost=self.PRICE, mode="batch")
            return await endpoint_of(model, api, journal).complete(calls(1, model)[0])

        answer = virtual.run(main())
        assert answer.cost_usd == pytest.approx(2.0)
        assert answer.latency_seconds is None

    def test_the_discount_is_the_cards(self, api: FakeApi, journal: BatchJournal) -> None:
        async def main() -> Completion:
            model = scripted(never, cost=self.PRICE, mode="batch", batch_discount=0.25)
            return await endpoint_of(model, api, journal).complete(calls(1, model)[0])

        assert virtual.run(main()).cost_usd == pytest.approx(3.0)

    def test_a_budget_holds_whatever_a_batch_could_cost(
        self, api: FakeApi, journal: BatchJournal
    ) -> None:
        """Each call may cost 1.5 for the answer and a little for the prompt; each costs 2."""
        budget = Budget(run_usd=5.0)

        async def main() -> list[Any]:
            model = scripted(never, cost=self.PRICE, mode="batch")
            endpoint = endpoint_of(model, api, journal, budget)
            made = (endpoint.complete(call) for call in calls(20, model))
            return await asyncio.gather(*made, return_exceptions=True)

        found = virtual.run(main())
        answered = [answer for answer in found if isinstance(answer, Completion)]
        assert sum(len(batch) for batch in api.submitted) == len(answered)
        assert 0 < len(answered) <= 3
        assert budget.exhausted


class TestJournal:
    def batch(self, token: str = "t", begun: float = 0.0) -> OpenBatch:
        return OpenBatch(token, None, "openai:m", 2, begun, 1)

    def test_a_call_is_in_one_batch_only(self, journal: BatchJournal, tmp_path: Path) -> None:
        other = BatchJournal(tmp_path / "batches.db")  # as another process has it
        assert journal.begin(self.batch("one"), [b"a", b"b"]) == [b"a", b"b"]
        assert other.begin(self.batch("two"), [b"b", b"c"]) == [b"c"]
        found = journal.batch_of(b"b")
        assert found is not None
        assert found.token == "one"
        other.close()

    def test_a_batch_goes_with_its_last_call(self, journal: BatchJournal) -> None:
        journal.begin(self.batch(), [b"a", b"b"])
        journal.done([b"a"])
        assert journal.places("t") == {1: b"b".hex()}
        journal.done([b"b"])
        assert journal.batch("t") is None

    def test_what_is_stored_or_too_old_is_tidied_away(self, journal: BatchJournal) -> None:
        journal.begin(self.batch("old", begun=1.0), [b"a"])
        journal.begin(self.batch("new", begun=9.0), [b"b", b"c"])
        journal.tidy(lambda key: key == b"b", oldest=5.0)
        assert journal.batch("old") is None
        assert journal.places("new") == {1: b"c".hex()}

    def test_another_kind_of_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "batches.db").write_bytes(b"no database, but long enough to be looked at" * 9)
        with pytest.raises(StoreError, match=r"batches\.db"):
            BatchJournal(tmp_path / "batches.db")


class TestService:
    def test_needs_a_response_store(self) -> None:
        model = ModelInfo(model_id="openai:m", mode="batch", api_key="k" * 9)
        with pytest.raises(ConfigError, match="response store"):
            serve(model)(model.model_id, "hello")

    def test_the_mode_makes_no_other_call_of_it(self) -> None:
        standard = ModelInfo(model_id="openai:m")
        batched = ModelInfo(model_id="openai:m", mode="batch")
        assert standard.fingerprint == batched.fingerprint
        assert standard.connection != batched.connection
