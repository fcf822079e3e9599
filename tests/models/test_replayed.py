"""Answers of recordings, and stored ones: they are had at once, and kept without a wait."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ember_bench.errors import ConfigError, DataMissingError, ProviderError, StoreError
from ember_bench.models import (
    MemoryStore,
    ModelInfo,
    ModelRegistry,
    ModelService,
    Response,
    ResponseStore,
)
from ember_bench.models import strand as strands
from ember_bench.models.call import Call, Request
from ember_bench.models.providers.recorded import Recorded
from ember_bench.models.recorded.places import RecordedAnswers
from ember_bench.models.store import salvage, writer
from ember_bench.models.store.merging import Share, merge_responses, write_out
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


class TestPlaces:
    """Of an answer in a recording its place is kept, and not its text."""

    def test_are_all_that_the_file_has(self, tmp_path: Path, store: ResponseStore) -> None:
        model = one(tmp_path, [{"id": "a", "output": ["the very text"] * 2}])
        asked(service_of(model, store), model, 2)
        store.flush()
        with closing(sqlite3.connect(store.path)) as base:
            dumped = "\n".join(base.iterdump())
        assert "the very text" not in dumped
        assert dumped.count('INSERT INTO "places"') == 2
        assert (
            dumped.count('INSERT INTO "recordings"') == dumped.count('INSERT INTO "prompts"') == 1
        )

    def test_lead_to_the_answer(self, model: ModelInfo, store: ResponseStore) -> None:
        answers, calls = asked(service_of(model, store), model, 3)
        store.flush()
        with closing(StoredAnswers(store.path)) as stored:
            found = [stored.get(call.key) for call in calls]
            latest = [call.completion.text for call in stored.latest(2)]
        assert [answer.text for answer in found if answer] == texts((answers, calls))
        assert latest == texts((answers, calls))[:0:-1]

    @pytest.mark.parametrize("fields", ["agent: who, round: r", "about: shown"])
    def test_by_agent_round_and_candidate_lead_to_it(self, tmp_path: Path, fields: str) -> None:
        records = [
            {"id": "a", "output": f"{who}{r}", "who": who, "r": r, "shown": f"{who}{r}"}
            for r in range(2)
            for who in "xy"
        ]
        model = one(tmp_path, records, f"{{item: id, answer: output, {fields}}}")
        provider, trial = Recorded(model), TrialContext(Subject("a"))
        about = ("y0",) if "about" in fields else ()
        request = Request(model, (Message("user", "q"),), about=about)
        answer, place = provider.replay(Call(request, trial, "1", (), b""))
        assert answer.text == "y0"
        assert place is not None
        assert RecordedAnswers().at(place, "generate") == answer

    def test_say_so_when_the_recording_has_changed(
        self, model: ModelInfo, store: ResponseStore, tmp_path: Path
    ) -> None:
        _, calls = asked(service_of(model, store), model, 1)
        store.flush()
        (tmp_path / "answers.json").write_text('[{"id": "a", "output": "D"}]')
        with closing(StoredAnswers(store.path)) as stored:
            with pytest.raises(ConfigError, match=r"answers\.json has changed since"):
                stored.get(calls[0].key)
            found = stored.calls([calls[0].key])[calls[0].key]
        assert "has changed since" in found.completion.text

    def test_say_so_when_the_recording_is_gone(
        self, model: ModelInfo, store: ResponseStore, tmp_path: Path
    ) -> None:
        _, calls = asked(service_of(model, store), model, 1)
        store.flush()
        (tmp_path / "answers.json").unlink()
        with (
            closing(StoredAnswers(store.path)) as stored,
            pytest.raises(DataMissingError, match=r"the recording answers\.json is not there"),
        ):
            stored.get(calls[0].key)

    def test_lead_to_a_data_folder_that_is_not_named_any_more(
        self, tmp_path: Path, store: ResponseStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMBER_BENCH_DATA", str(tmp_path))
        model = one(tmp_path, RECORDS).model_copy(update={"folder": tmp_path / "registry"})
        _, calls = asked(service_of(model, store), model, 1)
        store.flush()
        monkeypatch.delenv("EMBER_BENCH_DATA")
        with closing(StoredAnswers(store.path)) as stored:
            assert stored.get(calls[0].key) is not None

    def test_are_merged_with_their_prompts(
        self, model: ModelInfo, store: ResponseStore, tmp_path: Path
    ) -> None:
        _, calls = asked(service_of(model, store), model, 3)
        store.flush()
        into, keys = tmp_path / "merged.db", [call.key for call in calls]
        share = Share(frozenset(keys[:1]), frozenset())
        assert [merge_responses(into, store.path, s) for s in (share, None, None)] == [1, 2, 0]
        with closing(StoredAnswers(into)) as merged, closing(StoredAnswers(store.path)) as stored:
            assert merged.calls(keys) == stored.calls(keys)

    def test_written_out_need_no_recording(
        self, model: ModelInfo, store: ResponseStore, tmp_path: Path
    ) -> None:
        answers = asked(service_of(model, store), model, 3)
        store.flush()
        copied = tmp_path / "copied.db"
        merge_responses(copied, store.path)
        write_out(copied)
        (tmp_path / "answers.json").unlink()
        with closing(StoredAnswers(copied)) as stored:
            found = stored.calls([call.key for call in answers[1]])
        assert [call.completion.text for call in found.values()] == texts(answers)
        assert {call.model for call in found.values()} == {model.model_id}

    def test_are_recovered_from_a_damaged_file(
        self, model: ModelInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = ResponseStore(tmp_path / "responses.db")
        answers = asked(service_of(model, store), model, 3)
        store.close()
        monkeypatch.setattr(salvage, "needs_mending", lambda _: True)
        mended, said = salvage.open_response_store(store.path)
        with closing(mended):
            found = mended.calls([call.key for call in answers[1]])
        assert "3 of its answers were recovered" in str(said)
        assert [call.completion.text for call in found.values()] == texts(answers)
        assert {call.messages for call in found.values()} == {'[{"role":"user","content":"q"}]'}


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
