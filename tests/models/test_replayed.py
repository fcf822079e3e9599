"""Answers of recordings, and stored ones: they are had at once, and kept without a wait."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ember_bench.errors import ProviderError, StoreError
from ember_bench.models import (
    MemoryStore,
    ModelInfo,
    ModelRegistry,
    ModelService,
    Response,
    ResponseStore,
)
from ember_bench.models import strand as strands
from ember_bench.models.call import Request
from ember_bench.models.store import writer
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.models.strand import CallRecord, Strand, TrialContext
from ember_bench.models.types import Message
from tests.models.providers.replay import Subject, one

RECORDS = [{"id": "a", "output": ["A", "B", "C"]}]
Outcome = tuple[list[Response | ProviderError], list[CallRecord]]


@pytest.fixture(autouse=True)
def _no_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBER_BENCH_DATA", raising=False)


@pytest.fixture
def model(tmp_path: Path) -> ModelInfo:
    return one(tmp_path, RECORDS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResponseStore]:
    store = ResponseStore(tmp_path / "responses.db")
    yield store
    store.close()


def service_of(model: ModelInfo, store: ResponseStore | MemoryStore | None) -> ModelService:
    registry = ModelRegistry()
    registry.register_model(model)
    return ModelService(registry, store=store, account="run")


def asked(service: ModelService, model: ModelInfo, draws: int, *, each: bool = False) -> Outcome:
    """Ask for so many draws at the same time, in a trial of its own; nothing may be waited for."""
    request = Request(model, (Message("user", "q"),))
    trial = TrialContext(Subject("a"))
    strand = Strand(trial, replicas={number: str(number) for number in range(draws)})
    members = list(range(draws))
    strand.replicas = {id(member): str(member) for member in members}

    async def main() -> list[Response | ProviderError]:
        strands.current.set(strand)
        ask = service.ask_each if each else service.ask_all
        asking = ask([(request, member) for member in members])
        with pytest.raises(StopIteration) as ended:
            asking.send(None)
        answers: list[Response | ProviderError] = ended.value.value
        return answers

    try:
        return asyncio.run(main()), trial.calls
    except ProviderError as error:
        return [error], trial.calls


def texts(outcome: Outcome) -> list[str]:
    return [answer.data if isinstance(answer, Response) else "-" for answer in outcome[0]]


class TestRecordedAnswers:
    def test_of_several_calls_are_had_without_a_turn_of_the_loop(
        self, model: ModelInfo, store: ResponseStore
    ) -> None:
        answers = asked(service_of(model, store), model, 3)
        assert sorted(texts(answers)) == ["A", "B", "C"]
        assert [call.stored for call in answers[1]] == [False] * 3

    def test_are_kept_with_their_prompt(self, model: ModelInfo, store: ResponseStore) -> None:
        _, calls = asked(service_of(model, store), model, 2)
        store.flush()
        with closing(StoredAnswers(store.path)) as stored:
            found = stored.calls([call.key for call in calls])
        assert {call.completion.text for call in found.values()} <= {"A", "B", "C"}
        assert {call.messages for call in found.values()} == {'[{"role":"user","content":"q"}]'}

    def test_are_counted_once_however_often_they_are_asked_for(
        self, model: ModelInfo, store: ResponseStore
    ) -> None:
        service = service_of(model, store)
        first = asked(service, model, 2)
        again = asked(service, model, 3)
        store.flush()
        after = asked(service, model, 3)
        assert [call.stored for call in again[1]] == [True, True, False]
        assert [call.stored for call in after[1]] == [True] * 3
        assert texts(first) == texts(again)[:2] == texts(after)[:2]
        store.flush()
        assert store.paid("run").requests == len(store) == 3

    def test_that_are_missing_end_the_step_where_they_are(
        self, model: ModelInfo, store: ResponseStore
    ) -> None:
        (error,), calls = asked(service_of(model, store), model, 5)
        assert "3 recorded samples" in str(error)
        assert len(calls) == 3

    def test_that_are_missing_may_be_left_out(self, model: ModelInfo, store: ResponseStore) -> None:
        answers, calls = asked(service_of(model, store), model, 5, each=True)
        assert [isinstance(answer, ProviderError) for answer in answers] == [False] * 3 + [True] * 2
        assert len(calls) == 3

    @pytest.mark.parametrize("kind", ["memory", "none"])
    def test_need_no_file(self, model: ModelInfo, kind: str) -> None:
        service = service_of(model, MemoryStore() if kind == "memory" else None)
        first, again = asked(service, model, 2), asked(service, model, 2)
        assert texts(first) == texts(again)
        assert [call.stored for call in again[1]] == [kind == "memory"] * 2
        assert service.paid("run").requests == (2 if kind == "memory" else 4)

    def test_of_before_this_are_known(self, model: ModelInfo, store: ResponseStore) -> None:
        _, calls = asked(service_of(model, store), model, 1)
        store.flush()
        with closing(ResponseStore(store.path)) as other:
            assert other.knows(calls[0].key)
            assert not other.knows(b"k" * 16)


class TestKeptCalls:
    def test_are_there_when_the_store_is_closed(self, model: ModelInfo, tmp_path: Path) -> None:
        store = ResponseStore(tmp_path / "responses.db")
        _, calls = asked(service_of(model, store), model, 3)
        store.close()
        with closing(StoredAnswers(store.path)) as stored:
            assert len(stored.calls([call.key for call in calls])) == 3

    def test_are_read_before_they_are_in_the_file(
        self, model: ModelInfo, store: ResponseStore
    ) -> None:
        _, calls = asked(service_of(model, store), model, 1)
        found = store.get(calls[0].key)
        assert found is not None
        assert found.text in "ABC"

    def test_that_cannot_be_written_are_an_error_of_the_flush(
        self, model: ModelInfo, store: ResponseStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> int:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(writer, "insert", full)
        service = service_of(model, store)
        asked(service, model, 2)
        with pytest.raises(StoreError, match="disk is full"):
            service.flush()
