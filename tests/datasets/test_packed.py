"""Items that are packed: equal to what they were, and small."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets import Dataset, Item, SplitMix, load_dataset, packed
from ember_bench.datasets.packed import PackedItems, content_digest, hashed_order, pick
from ember_bench.datasets.repeats import SeenTexts, repeated
from ember_bench.errors import StoreError
from ember_bench.registry import Cards, builtin_root

pytestmark = pytest.mark.slow

# What JSON can hold, and tuples, which a round trip through it would make lists of.
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5)
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
some_items = st.lists(
    st.builds(
        Item, id=texts, question=texts, target=texts,
        alternatives=st.tuples(texts) | st.just(()), choices=st.just(()) | st.tuples(texts, texts),
        category=st.none() | texts, difficulty=st.none() | st.floats(0, 1),
        metadata=st.dictionaries(texts, values, max_size=2),
    ),
    max_size=8,
)  # fmt: skip


def same(one: Item, other: Item) -> bool:
    """Equal, to the types inside; NaN is NaN."""
    return repr(one) == repr(other) and one.digest == other.digest


@given(some_items, st.randoms())
def test_what_is_unpacked_is_what_was_packed(items: list[Item], random: Any) -> None:
    made = PackedItems(items)
    assert len(made) == len(items)
    assert all(map(same, made, items))
    assert all(same(made[i], item) for i, item in enumerate(items))
    assert list(made.values("id")) == [item.id for item in items]
    assert list(made.digests()) == [item.digest for item in items]
    order = random.sample(range(len(items)), len(items))
    picked = pick(made, order)
    assert all(map(same, picked, [items[i] for i in order]))
    again = pick(picked, range(len(items))[::-1])
    assert all(map(same, again, [items[i] for i in reversed(order)]))


def test_an_item_of_another_class_or_with_what_is_no_plain_data_stays_itself() -> None:
    class Special(Item):
        pass

    items = [Special("a", "?", "1"), Item("b", "?", "2", metadata={"day": date(2026, 1, 2)})]
    made = PackedItems(items)
    assert made[0] is items[0]
    assert made[1] is items[1]


def test_many_items_go_through_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_CHUNK", 1000)
    monkeypatch.setattr(packed, "_READ", 150)
    items = [Item(str(i), "q" * (i * 7 % 300), str(i)) for i in range(200)]
    made = PackedItems(items)
    assert made._records._file is not None
    assert list(made) == items
    assert [made[i] for i in range(199, -1, -1)] == items[::-1]
    assert made[-1] == items[-1]
    assert made[3:9:2] == tuple(items[3:9:2])
    with pytest.raises(IndexError):
        made[200]


def test_no_room_for_the_file_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packed, "_CHUNK", 10)
    monkeypatch.setattr(packed.os, "write", full)
    with pytest.raises(StoreError, match="No space left on device; the variable TMPDIR"):
        PackedItems([Item("a", "?", "1")])


@given(st.lists(texts, min_size=1, unique=True))
def test_the_order_is_that_of_the_texts_digests(ids: list[str]) -> None:
    expected = sorted(range(len(ids)), key=lambda i: sha256(ids[i].encode()).digest())
    assert list(hashed_order(ids)) == expected


@given(some_items.filter(bool))
def test_the_content_digest_is_over_the_sorted_digests(items: list[Item]) -> None:
    expected = sha256("".join(sorted(i.digest for i in items)).encode()).hexdigest()[:32]
    assert content_digest(items) == content_digest(PackedItems(items)) == expected


@given(st.lists(st.sampled_from(["a", "b", "c", "d"])))
def test_texts_that_come_again_are_found(found: list[str]) -> None:
    expected = [text for text, count in Counter(found).items() if count > 1]
    assert repeated(lambda: found) == expected


class Colliding(str):
    """A text whose hash many have."""

    __slots__ = ()

    def __hash__(self) -> int:
        return len(self) % 2

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True


@given(st.lists(st.text("ab", max_size=6).map(Colliding), max_size=30))
def test_texts_are_told_apart_whatever_their_hashes(found: list[str]) -> None:
    kept: list[str] = []
    seen = SeenTexts(max(1, len(found)), lambda number: kept[number])
    for text in found:
        new = seen.note(text)
        assert new == (str(text) not in [str(one) for one in kept])
        if new:
            kept.append(text)
    assert repeated(lambda: found) == [t for t in dict.fromkeys(found) if found.count(t) > 1]


@given(st.integers(0, 10**6), st.text(max_size=3), st.integers())
def test_a_stream_is_the_generator_of_its_number(number: int, name: str, seed: int) -> None:
    stream = SplitMix.streams(name, [("digits", 3)], seed)
    one, other = stream(number), SplitMix(name, [("digits", 3)], seed, number)
    assert [one.next64() for _ in range(3)] == [other.next64() for _ in range(3)]


@given(st.integers(0, 2**63), st.integers(1, 2**64 - 1), st.integers())
def test_a_number_between_two_is_drawn_without_bias(low: int, span: int, seed: int) -> None:
    fast, plain = SplitMix(seed), SplitMix(seed)
    limit = 2**64 - 2**64 % span  # the definition: draws from here on would favour small numbers
    while (bits := plain.next64()) >= limit:
        pass
    assert fast.between(low, low + span - 1) == low + bits % span


def loaded(count: int) -> Dataset:
    # Of 100 numbers, 9 signs and 100 numbers there are so few that many are drawn anew.
    parameters = {"count": count, "terms": 2, "digits": 2}
    return load_dataset("arithmetic", Cards([builtin_root()]), parameters=parameters)


def held(count: int) -> int:
    tracemalloc.start()
    try:
        dataset = loaded(count)
        assert len(dataset.digest) == 32
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_generated_item_holds_less_than_fifty_bytes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packed, "_CHUNK", 1 << 16)  # so that both sizes go through the file
    loaded(10)  # what is imported and cached
    assert (held(20_000) - held(2_000)) / 18_000 < 50
