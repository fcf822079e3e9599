from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ember_bench.errors import StoreError
from ember_bench.models import Completion, ResponseStore, TokenLogprob, ToolCall, Usage
from ember_bench.models.store import sqlite, writer
from ember_bench.models.store.payments import Paid, Payment, sums_of
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.store.salvage import open_response_store
from ember_bench.models.store.stored_answers import StoredAnswers

ANSWER = Completion("forty-two", Usage(10, 20, 3, 4), "length", 0.125, 1.5)


def call(key: bytes | int, completion: Completion = ANSWER, **changes: Any) -> StoredCall:
    key = key.to_bytes(16) if isinstance(key, int) else key
    fields: dict[str, Any] = {
        "messages": '[{"role":"user","content":"question"}]',
        "model": "p:m",
        "role": "generate",
        "parameters": '{"temperature":0.7}',
        "epoch": 2,
        "replica": "1",
        "draw": "3.1",
    }
    return StoredCall(key=key, completion=completion, **fields | changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "responses.db"


@pytest.fixture
def store(path: Path) -> Iterator[ResponseStore]:
    store = ResponseStore(path)
    yield store
    store.close()


def put(store: ResponseStore, *calls: StoredCall) -> list[Completion]:
    async def main() -> list[Completion]:
        async with asyncio.timeout(60):
            return await asyncio.gather(*(store.put(one) for one in calls))

    return asyncio.run(main())


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("SELECT count(*) FROM responses").fetchone()[0]
        return found


class TestAnswers:
    def test_come_back_as_they_were(self, store: ResponseStore) -> None:
        assert put(store, call(1)) == [ANSWER]
        assert store.get(call(1).key) == ANSWER

    def test_what_is_unknown_stays_unknown(self, store: ResponseStore) -> None:
        bare = Completion("x", cost_usd=None, latency_seconds=None)
        put(store, call(1, bare))
        assert store.get(call(1).key) == bare

    def test_that_are_not_there_are_none(self, store: ResponseStore) -> None:
        assert store.get(b"nothing") is None

    @settings(
        max_examples=30,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=9), st.floats(0, 9))
    def test_of_any_text_come_back_exactly(
        self, store: ResponseStore, texts: list[str], cost: float
    ) -> None:
        first = len(store)
        answers = [Completion(text, cost_usd=cost) for text in texts]
        put(store, *(call(first + n, answer) for n, answer in enumerate(answers)))
        assert [store.get(call(first + n).key) for n in range(len(texts))] == answers

    def test_outlive_the_store(self, path: Path) -> None:
        first = ResponseStore(path)
        put(first, call(1))
        first.close()
        second = ResponseStore(path)
        assert second.get(call(1).key) == ANSWER
        second.close()

    def test_are_durable_before_they_are_used(self, store: ResponseStore, path: Path) -> None:
        async def main() -> None:
            for number in range(20):
                await store.put(call(number))
                assert count(path) == number + 1  # on a connection of its own

        asyncio.run(main())

    def test_thousands_are_counted(self, store: ResponseStore) -> None:
        put(store, *(call(n) for n in range(3_000)))
        assert len(store) == 3_000

    def test_with_thoughts_come_back(self, store: ResponseStore) -> None:
        answer = Completion("4", Usage(3, 1), thoughts="2 and 2.")
        put(store, call(1, answer))
        assert store.get(call(1).key) == answer

    def test_with_the_time_of_their_first_token_come_back(self, store: ResponseStore) -> None:
        answer = Completion("4", Usage(3, 1), latency_seconds=2.0, first_token_seconds=0.5)
        put(store, call(1, answer))
        assert store.get(call(1).key) == answer

    @pytest.mark.parametrize(
        "usage",
        [Usage(), Usage(3, None), Usage(None, 1), Usage(0, 0), Usage(9, 1, 3, 0, 6, 0, 0, 2)],
    )
    def test_keep_unknown_tokens_apart_from_none(self, store: ResponseStore, usage: Usage) -> None:
        put(store, call(1, Completion("4", usage)))
        assert store.get(call(1).key) == Completion("4", usage)

    def test_of_before_are_read_with_their_cost(self, store: ResponseStore, path: Path) -> None:
        put(store, call(1, Completion("4", Usage(3, 1), cost_usd=0.5)))
        with closing(sqlite3.connect(path)) as base, base:
            tools = '[[{"id":"a","name":"f","arguments":"{}"}],[]]'
            base.execute("UPDATE responses SET usage = ?, more = ?", ('{"input_tokens":3}', tools))
        found = store.get(call(1).key)
        assert found is not None
        assert (found.usage, found.cost_usd, found.thoughts) == (Usage(3, None), 0.5, "")
        assert found.first_token_seconds is None
        assert found.tool_calls == (ToolCall("a", "f", "{}"),)

    def test_with_tool_calls_and_log_probabilities_come_back(self, store: ResponseStore) -> None:
        asked = (ToolCall("1", "add", '{"a": 1}'),)
        tokens = (TokenLogprob("yes", -0.25, (("yes", -0.25), ("no", -1.5))), TokenLogprob("!", 0))
        answer = Completion("", tool_calls=asked, logprobs=tokens)
        put(store, call(1, answer))
        assert store.get(call(1).key) == answer


def digest(number: int) -> bytes:
    return blake2b(number.to_bytes(8), digest_size=16).digest()


class TestManyMisses:
    """From some hundred misses on, SQLite is no longer asked for what cannot be there."""

    @pytest.fixture
    def missed(self, store: ResponseStore) -> ResponseStore:
        put(store, *(call(digest(n)) for n in range(50)))
        for number in range(1_000, 2_000):
            assert store.get(digest(number)) is None
        return store

    def test_hide_no_answer_of_before(self, missed: ResponseStore) -> None:
        assert all(missed.get(digest(n)) == ANSWER for n in range(50))

    def test_hide_no_answer_of_after(self, missed: ResponseStore) -> None:
        put(missed, *(call(digest(n)) for n in range(100, 400)))
        assert all(missed.get(digest(n)) == ANSWER for n in range(100, 400))

    def test_hide_no_answer_of_another_process_for_longer_than_a_moment(
        self, missed: ResponseStore, path: Path
    ) -> None:
        other = ResponseStore(path)
        for number in range(100, 120):  # in turns, so that rows of both lie between each other
            put(other, call(digest(number)))
            put(missed, call(digest(number + 100)))
        other.close()
        time.sleep(0.1)
        assert all(missed.get(digest(n)) == ANSWER for n in range(100, 120))
        assert missed.get(digest(5_000)) is None

    def test_ask_the_file_no_more(self, missed: ResponseStore) -> None:
        seen: list[str] = []
        missed._reader.set_trace_callback(seen.append)
        for number in range(3_000, 4_000):
            missed.get(digest(number))
        assert len(seen) < 100


def pay(store: ResponseStore, *payments: tuple[int, str, float]) -> None:
    async def main() -> None:
        await asyncio.gather(
            *(store.put(call(n), account=account, spend_usd=usd) for n, account, usd in payments)
        )

    asyncio.run(main())


class TestPayments:
    def test_are_added_up_by_account(self, store: ResponseStore) -> None:
        pay(store, (1, "a", 0.1), (2, "b", 5.0), (3, "a", 0.2))
        pay(store, (4, "a", 0.0))
        assert store.paid("a") == Paid(3, 0.3)  # to the last digit, in any order
        assert store.paid("b") == Paid(1, 5.0)
        assert store.paid("nobody") == Paid(0, 0.0)

    def test_count_an_answer_that_came_second(self, store: ResponseStore) -> None:
        pay(store, (1, "a", 1.0))
        pay(store, (1, "b", 1.0))
        assert (store.paid("a"), store.paid("b")) == (Paid(1, 1.0), Paid(1, 1.0))

    def test_can_be_read_when_the_store_is_closed(self, store: ResponseStore) -> None:
        pay(store, (1, "a", 0.000000000001))
        store.close()
        assert store.paid("a") == Paid(1, 1e-12)

    @given(st.lists(st.floats(0, 1000), max_size=20), st.randoms())
    def test_have_the_same_sum_in_any_order(self, costs: list[float], random: Random) -> None:
        payments = [Payment("a", usd) for usd in costs]
        before = sums_of(payments)
        random.shuffle(payments)
        assert sums_of(payments) == before


class TestFirstAnswer:
    def test_stays_and_the_second_is_given_it(self, store: ResponseStore) -> None:
        other = msgspec.structs.replace(ANSWER, text="late")
        assert put(store, call(1)) == [ANSWER]
        assert put(store, call(1, other)) == [ANSWER]
        assert store.get(call(1).key) == ANSWER

    def test_stays_within_one_batch_too(self, store: ResponseStore) -> None:
        answers = [Completion(str(n)) for n in range(50)]
        got = put(store, *(call(1, answer) for answer in answers), call(2))
        assert set(got[:50]) == {store.get(call(1).key)}
        assert got[50] == ANSWER

    def test_stays_between_two_stores_on_one_file(self, store: ResponseStore, path: Path) -> None:
        other = ResponseStore(path)
        put(store, call(1))
        assert put(other, call(1, Completion("late"))) == [ANSWER]
        assert other.get(call(1).key) == ANSWER
        other.close()


MAKE_CALL = """
import asyncio, json, os, signal, sys
from pathlib import Path
from ember_bench.errors import StoreError
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.store.response_store import ResponseStore
from ember_bench.models.types import Completion
path = Path(sys.argv[1])
def call(n, text="answer"):
    return StoredCall(
        key=n.to_bytes(16, "big"), messages=f"[{n % 7}]", model="p:m", role="r",
        parameters="{}", epoch=0, replica="0", draw="0", completion=Completion(text),
    )
"""

HAMMER = (
    MAKE_CALL
    + """
name = sys.argv[2]
print("ready", flush=True)
input()
store = ResponseStore(path)
async def put(first):
    puts = [store.put(call(n, f"{name} {n}")) for n in range(first, first + 20)]
    return [done.text for done in await asyncio.gather(*puts)]
async def main():
    return [text for first in range(0, 400, 20) for text in await put(first)]
print(json.dumps(asyncio.run(main())))
store.close()
"""
)

KILLED = (
    MAKE_CALL
    + """
async def main():
    store = ResponseStore(path)
    await asyncio.gather(*(store.put(call(n)) for n in range(500)))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
)

FORKED = (
    MAKE_CALL
    + """
async def put(n):
    await store.put(call(n))
store = ResponseStore(path)
asyncio.run(put(1))
child = os.fork()
if child == 0:
    signal.alarm(20)
    try:
        asyncio.run(put(2))
    except StoreError as error:
        os._exit(0 if "fork" in str(error) else 4)
    os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
asyncio.run(put(3))
store.close()
"""
)


class TestSeveralProcesses:
    def test_on_one_file_from_its_making_on_agree_on_every_answer(self, path: Path) -> None:
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", HAMMER, path, name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in "abc"
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        with ThreadPoolExecutor() as pool:
            answers = [
                json.loads(out)
                for out, _ in pool.map(lambda p: p.communicate(timeout=90), processes)
            ]
        assert [process.returncode for process in processes] == [0, 0, 0]
        assert answers[0] == answers[1] == answers[2]
        reader = ResponseStore(path)
        assert [reader.get(call(n).key).text for n in range(400)] == answers[0]  # type: ignore[union-attr]
        assert len(reader) == 400
        reader.close()

    def test_a_forked_child_is_refused_not_hung(self, path: Path) -> None:
        command = [sys.executable, "-W", "ignore", "-c", FORKED, path]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert count(path) == 2

    def test_killed_right_after_an_answer_leave_it_behind(self, path: Path) -> None:
        done = subprocess.run([sys.executable, "-c", KILLED, path], timeout=60, check=False)
        assert done.returncode == -9
        assert count(path) == 500


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is executed on every connection that is made from here on."""
    seen: list[str] = []
    connect: Callable[[Path], sqlite3.Connection] = sqlite.connect

    def traced(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(seen.append)
        return connection

    for module in (sqlite, writer):
        monkeypatch.setattr(module, "connect", traced)
    return seen


class TestGroupCommit:
    def test_many_calls_take_few_transactions(self, statements: list[str], path: Path) -> None:
        store = ResponseStore(path)
        statements.clear()
        put(store, *(call(n) for n in range(1_000)))
        store.close()
        assert 1 <= statements.count("COMMIT") <= 10

    def test_a_commit_is_flushed_to_the_disk(self, statements: list[str], path: Path) -> None:
        ResponseStore(path).close()
        assert "PRAGMA synchronous = FULL" in statements
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_a_prompt_is_kept_once(self, store: ResponseStore, path: Path) -> None:
        put(store, *(call(n) for n in range(9)))
        put(store, *(call(n) for n in range(9, 20)))
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM prompts").fetchone() == (1,)

    def test_several_loops_may_wait_at_once(self, store: ResponseStore) -> None:
        threads = [
            threading.Thread(target=put, args=(store, *(call(100 * t + n) for n in range(100))))
            for t in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(store) == 400

    def test_one_answer_that_cannot_be_written_fails_alone(self, store: ResponseStore) -> None:
        async def main() -> list[Any]:
            calls = [call(1), call(2, epoch=2**70), call(3)]
            async with asyncio.timeout(30):
                return await asyncio.gather(
                    *(store.put(one) for one in calls), return_exceptions=True
                )

        first, second, third = asyncio.run(main())
        assert (first, third) == (ANSWER, ANSWER)
        assert isinstance(second, StoreError)
        assert put(store, call(4)) == [ANSWER]  # and the writer lives on

    @pytest.mark.parametrize(
        ("calls", "other_work", "patient", "most"),
        [
            (1, 1.0, True, 0),  # one at a time waits for nobody
            (32, 0.1, False, 0),  # models are waited for, and not longer than need be
            (32, 0.1, True, 0),
            (2, 0.9, False, 2),
            (2, 0.9, True, 10),
        ],
    )
    def test_calls_are_gathered_where_the_processor_is_busy(
        self, calls: int, other_work: float, patient: bool, most: int
    ) -> None:
        assert writer.moments(calls, other_work, patient=patient) == most

    def test_what_the_writer_does_itself_is_no_other_work(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = {"monotonic": 100.0, "process_time": 50.0, "thread_time": 5.0}
        clocks = SimpleNamespace(**{name: lambda name=name: now[name] for name in now})
        monkeypatch.setattr(writer, "time", clocks)
        work = writer.OtherWork()

        def spend(seconds: float, own: float, other: float) -> float:
            now["monotonic"] += seconds
            now["process_time"] += own + other
            now["thread_time"] += own
            return work.share()

        assert spend(0.1, own=0.0, other=0.0) == 1.0  # nothing is known yet
        assert spend(0.9, own=0.5, other=0.4) == pytest.approx(0.4)
        assert spend(0.5, own=0.0, other=0.5) == pytest.approx(0.4)  # a burst tells nothing
        assert spend(1.5, own=0.0, other=1.5) == pytest.approx(1.0)

    def test_gathering_ends_when_nothing_comes(
        self, store: ResponseStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        writer, waited = store._writer, 0
        store.close()  # its thread is not to take what gathers

        def wait(_: float) -> None:
            nonlocal waited
            waited += 1
            if waited < 4:
                writer._waiting += [cast("Any", None)] * 3

        monkeypatch.setattr(writer._closed, "wait", wait)
        writer._gather(10)
        assert waited == 4
        writer._waiting = [cast("Any", None)] * 600
        writer._gather(10)
        assert waited == 4  # that are enough
        writer._gather(0)
        assert waited == 4

    def test_a_loop_that_is_gone_does_not_stop_the_others(self, store: ResponseStore) -> None:
        async def leave() -> None:
            for number in range(100):
                store._writer.submit(call(number), Payment("", 0.0))

        asyncio.run(leave())  # its loop is closed while the writer is at work
        assert put(store, call(1000)) == [ANSWER]
        assert len(store) == 101

    def test_a_full_disk_is_an_error_of_every_call_that_waits(
        self, store: ResponseStore, path: Path
    ) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE prompts")
        with pytest.raises(StoreError, match=r"responses\.db: an answer could not be stored"):
            put(store, call(1))


class TestClosing:
    def test_writes_what_is_waiting(self, path: Path) -> None:
        store = ResponseStore(path)

        async def main() -> None:
            waiting = [asyncio.ensure_future(store.put(call(n))) for n in range(200)]
            await asyncio.sleep(0)  # all have submitted, none is waited for
            assert not any(put.done() for put in waiting)
            store.close()

        asyncio.run(main())
        assert count(path) == 200

    def test_twice_is_once(self, path: Path) -> None:
        store = ResponseStore(path)
        store.close()
        store.close()

    def test_a_closed_store_takes_nothing(self, path: Path) -> None:
        store = ResponseStore(path)
        store.close()
        with pytest.raises(StoreError, match=r"responses\.db: the response store is closed"):
            put(store, call(1))


class TestForeignFiles:
    def refused(self, path: Path, message: str) -> None:
        for opener in (ResponseStore, StoredAnswers):
            with pytest.raises(StoreError, match=message) as caught:
                opener(path)
            assert str(path) in str(caught.value)

    def test_no_database_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("not a database\n" * 100)
        self.refused(path, "not a database")
        assert path.read_text() == "not a database\n" * 100

    def test_what_cannot_be_written_to_is_refused_before_anything_is_paid(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ResponseStore(path).close()
        # Of a disk that is mounted read-only; the permissions of a file do not hold for root.
        monkeypatch.setattr(os, "access", lambda file, mode: (file, mode) != (path, os.W_OK))
        with pytest.raises(StoreError, match="cannot be opened: it is read-only"):
            ResponseStore(path)
        StoredAnswers(path).close()

    def test_another_programs_database_is_refused_and_left_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "other.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE theirs (x)")
        before = path.read_bytes()
        self.refused(path, "a SQLite file, but not one of this kind")
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["other.db"]

    def test_a_store_of_another_version_is_refused(self, path: Path) -> None:
        ResponseStore(path).close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
        self.refused(path, "has schema version 99")

    @pytest.mark.parametrize("kept", [50, 5_000, 20_000])
    def test_a_truncated_store_is_said_to_be_broken(self, path: Path, kept: int) -> None:
        store = ResponseStore(path)
        put(store, *(call(n) for n in range(500)))
        store.close()
        path.write_bytes(path.read_bytes()[:kept])

        def read_all() -> None:
            with closing(ResponseStore(path)) as broken:
                for number in range(500):
                    broken.get(call(number).key)

        with pytest.raises(StoreError, match=r"responses\.db: "):
            read_all()

    def test_a_folder_is_refused(self, tmp_path: Path) -> None:
        self.refused(tmp_path, "cannot be opened")
        with pytest.raises(StoreError, match="cannot be opened"):
            open_response_store(tmp_path)

    def test_a_folder_that_cannot_be_made_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="cannot be opened"):
            ResponseStore(tmp_path / "file" / "responses.db")

    def test_a_store_that_breaks_while_it_is_read_is_a_store_error(
        self, store: ResponseStore, path: Path
    ) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DROP TABLE responses")
        with pytest.raises(StoreError, match=r"responses\.db: cannot be read"):
            store.get(b"key")


class TestReports:
    def test_read_calls_with_their_prompts(self, store: ResponseStore) -> None:
        prompt = '[{"role":"user","content":"question %d"}]'
        calls = [call(n, Completion(str(n)), messages=prompt % n) for n in (1, 2)]
        put(store, *calls)
        wanted = [calls[1].key, b"missing", calls[0].key]
        assert store.calls(wanted) == {c.key: c for c in calls}

    @pytest.mark.parametrize("prompt", ["[", '{"role": 1}', '[{"role":"nobody","content":""}]'])
    def test_have_the_answer_without_a_prompt_that_is_damaged(
        self, store: ResponseStore, prompt: str
    ) -> None:
        asked = call(1, messages=prompt)
        put(store, asked)
        assert store.calls([asked.key]) == {
            asked.key: msgspec.structs.replace(asked, messages="[]")
        }


class TestStoredAnswers:
    def test_reads_without_touching(self, store: ResponseStore, path: Path) -> None:
        put(store, call(1))
        store.close()
        os.chmod(path, 0o444)
        before = sorted(path.parent.iterdir()), path.read_bytes()
        answers = StoredAnswers(path)
        assert answers.get(call(1).key) == ANSWER
        assert answers.get(b"missing") is None
        answers.close()
        assert (sorted(path.parent.iterdir()), path.read_bytes()) == before

    def test_sees_what_a_running_process_has_written(
        self, store: ResponseStore, path: Path
    ) -> None:
        put(store, call(1))
        answers = StoredAnswers(path)
        assert answers.get(call(1).key) == ANSWER
        answers.close()

    def test_a_file_that_is_not_there_is_not_made(self, path: Path) -> None:
        with pytest.raises(StoreError, match="cannot be opened"):
            StoredAnswers(path)
        assert not path.exists()
