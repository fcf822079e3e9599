"""The union of response stores."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ember_bench.errors import ConfigError, DamagedStoreError
from ember_bench.models import Completion, ResponseStore, TokenLogprob, Usage
from ember_bench.models.store.merging import merge_responses
from ember_bench.models.store.payments import Payment
from ember_bench.models.store.stored_answers import StoredAnswers, paid_on
from tests.models.store.test_response_store import ANSWER, call


def filled(path: Path, answers: dict[int, Completion], account: str = "a") -> Path:
    async def fill() -> None:
        for key, answer in answers.items():
            text = f'[{{"role":"user","content":"question {key}"}}]'
            await store.put(call(key, answer, messages=text), account=account, spend_usd=0.125)

    with closing(ResponseStore(path)) as store:
        asyncio.run(fill())
    return path


def answers_in(path: Path, keys: Any = range(100)) -> dict[int, tuple[str, Completion]]:
    with closing(StoredAnswers(path)) as stored:
        found = stored.calls([key.to_bytes(16) for key in keys])
    return {int.from_bytes(key): (c.messages, c.completion) for key, c in found.items()}


def saying(text: str) -> Completion:
    return msgspec.structs.replace(ANSWER, text=text)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sets(st.integers(0, 99), max_size=20), min_size=1, max_size=4))
def test_a_merge_is_the_union_with_the_prompts(
    tmp_path_factory: pytest.TempPathFactory, parts: list[set[int]]
) -> None:
    folder = tmp_path_factory.mktemp("union")
    for number, keys in enumerate(parts):
        part = filled(folder / f"{number}.db", {key: saying(str(key)) for key in keys})
        merge_responses(folder / "all.db", part)
    assert answers_in(folder / "all.db") == {
        key: (f'[{{"role":"user","content":"question {key}"}}]', saying(str(key)))
        for key in set().union(*parts)
    }


def test_merging_a_part_again_changes_nothing(tmp_path: Path) -> None:
    part, into = filled(tmp_path / "part.db", {1: ANSWER, 2: ANSWER}), tmp_path / "all.db"
    assert merge_responses(into, part) == 2
    assert merge_responses(into, part) == 0
    assert paid_on(into, "a") == paid_on(part, "a")
    assert paid_on(into, "a").spend_usd == 0.25


def test_payments_of_all_accounts_are_there_with_what_is_not_known_of_them(tmp_path: Path) -> None:
    into = tmp_path / "all.db"
    for name in ("a", "b"):
        part = filled(tmp_path / f"{name}.db", {1: ANSWER}, account=name)
        with closing(ResponseStore(part)) as store:
            asyncio.run(store.pay(Payment(name, None)))
            asyncio.run(store.pay(Payment(name, None, 0.5, answered=False)))
        merge_responses(into, part)
    for name in ("a", "b"):
        assert paid_on(into, name) == paid_on(tmp_path / f"{name}.db", name)
        assert paid_on(into, name).unpriced == 1
        assert paid_on(into, name).unanswered_usd == 0.5


@pytest.mark.parametrize(
    "changed",
    [
        {"text": "forty-three"},
        {"finish_reason": "stop"},
        {"usage": Usage(10, 21, 3, 4)},
        {"cost_usd": None},
        {"logprobs": (TokenLogprob("forty", -0.5),)},
        {"thoughts": "hm"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_answer_of_a_call_is_refused_and_named(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    into = filled(tmp_path / "all.db", {1: ANSWER, 3: ANSWER})
    other = msgspec.structs.replace(ANSWER, **changed)
    part = filled(tmp_path / "part.db", {1: other, 2: ANSWER, 3: ANSWER}, account="b")
    with pytest.raises(ConfigError, match=r"part.db: 1 call has another answer here") as caught:
        merge_responses(into, part)
    assert f"{(1).to_bytes(16).hex()[:12]} (p:m)" in str(caught.value)
    assert answers_in(into).keys() == {1, 3}
    assert paid_on(into, "b").requests == 0


def test_times_may_differ(tmp_path: Path) -> None:
    slower = msgspec.structs.replace(ANSWER, latency_seconds=9.0, first_token_seconds=2.0)
    into = filled(tmp_path / "all.db", {1: ANSWER})
    assert merge_responses(into, filled(tmp_path / "part.db", {1: slower})) == 0
    assert answers_in(into)[1][1] == ANSWER


def test_a_part_is_not_changed(tmp_path: Path) -> None:
    part = filled(tmp_path / "part.db", {1: ANSWER})
    before = part.read_bytes()
    merge_responses(tmp_path / "all.db", part)
    assert part.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"part.db", "all.db"}


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    (part := tmp_path / "part.db").write_bytes(b"no database" * 100)
    with pytest.raises(DamagedStoreError, match=r"part\.db"):
        merge_responses(tmp_path / "all.db", part)


def test_an_answer_that_was_put_aside_as_damaged_stays_behind(tmp_path: Path) -> None:
    part = filled(tmp_path / "part.db", {1: ANSWER, 2: ANSWER})
    with closing(ResponseStore(part)) as store:
        store._reader.execute("UPDATE responses SET usage = 'x' WHERE key = ?", ((1).to_bytes(16),))
        assert store.get((1).to_bytes(16)) is None
    merge_responses(tmp_path / "all.db", part)
    assert answers_in(tmp_path / "all.db").keys() == {2}
