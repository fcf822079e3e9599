"""Answers kept in memory; what `ModelService` makes of them is in `test_service`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.errors import ConfigError
from ember_bench.models import Completion, MemoryStore, ModelInfo, ResponseStore
from ember_bench.models.store.payments import Paid
from ember_bench.models.store.response_store import CallStore
from ember_bench.models.store.rows import StoredCall
from tests.support.models import serve


def call(key: bytes, text: str) -> StoredCall:
    return StoredCall(key, "[]", "p:m", "generate", "{}", 0, "0", "", Completion(text))


PUTS = st.lists(
    st.tuples(
        st.sampled_from([b"1", b"2", b"3"]),
        st.text(max_size=3),
        st.sampled_from(["", "mine", "yours"]),
        st.floats(0, 100),
    ),
    max_size=20,
)


@given(PUTS)
def test_it_answers_and_counts_as_a_store_on_disk_does(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[bytes, str, str, float]]
) -> None:
    def seen(store: CallStore) -> object:
        async def put_all() -> list[str]:
            return [
                (await store.put(call(key, text), account=account, spend_usd=usd)).text
                for key, text, account, usd in puts
            ]

        told = asyncio.run(put_all())
        paid = [store.paid(account) for account in ("", "mine", "yours", "nobody's")]
        return told, paid, [store.get(key) for key in (b"1", b"2", b"3", b"4")]

    disk = ResponseStore(tmp_path_factory.mktemp("store") / "responses.db")
    try:
        assert seen(MemoryStore()) == seen(disk)
    finally:
        disk.close()


def test_it_gives_whole_calls_for_reports() -> None:
    store, kept = MemoryStore(), call(b"1", "four")
    asyncio.run(store.put(kept))
    assert store.calls([b"1", b"2"]) == {b"1": kept}
    assert len(store) == 1


def test_what_is_paid_does_not_depend_on_the_order() -> None:
    usd = [10.0**-n for n in range(10)] * 3
    sums = set()
    for seed in range(5):
        store = MemoryStore()
        for number, one in enumerate(Random(seed).sample(usd, len(usd))):
            asyncio.run(store.put(call(b"%d" % number, ""), spend_usd=one))
        sums.add(store.paid(""))
    (paid,) = sums
    assert paid == Paid(30, pytest.approx(3.333333333, abs=1e-12))


def test_it_keeps_everything_when_a_service_is_closed(tmp_path: Path) -> None:
    store = MemoryStore()
    asyncio.run(store.put(call(b"1", "four")))
    store.close()
    assert store.get(b"1") == Completion("four")


def test_batches_are_refused_as_their_answers_come_a_day_later() -> None:
    model = ModelInfo(model_id="openai:m", mode="batch")
    service = serve(model, store=MemoryStore())
    with pytest.raises(ConfigError, match="no response store on disk to keep them"):
        service("openai:m", "question")
