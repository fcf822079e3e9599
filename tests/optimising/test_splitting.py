"""Items to train on, to choose by and to test on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.datasets import Item
from ember_bench.errors import ConfigError
from ember_bench.optimising.splitting import split


def items(clusters: list[str | None]) -> list[Item]:
    return [Item(f"i{n}", "q", "t", cluster=cluster) for n, cluster in enumerate(clusters)]


@given(st.lists(st.none() | st.sampled_from("abcdefgh"), min_size=40, max_size=80))
def test_no_item_and_no_cluster_is_in_two_parts(clusters: list[str | None]) -> None:
    try:
        parts = split(items(clusters), 6, 7)
    except ConfigError:  # large clusters leave too few
        return
    three = (parts.train, parts.validation, parts.test)
    assert sorted(i.id for part in three for i in part) == sorted(i.id for i in items(clusters))
    assert len(parts.train) >= 6
    assert len(parts.validation) >= 7
    names = [{i.cluster for i in part if i.cluster} for part in three]
    assert not names[0] & names[1]
    assert not (names[0] | names[1]) & names[2]


def test_a_quarter_each_is_usual_and_at_most_a_hundred() -> None:
    for total, each in ((40, 10), (1000, 100)):
        parts = split(items([None] * total), None, None)
        sizes = (len(parts.train), len(parts.validation), len(parts.test))
        assert sizes == (each, each, total - 2 * each)


def test_too_few_items_are_refused() -> None:
    with pytest.raises(ConfigError, match="12 items: train has 3 of them, and needs 5"):
        split(items([None] * 12), None, None)
    with pytest.raises(ConfigError, match="test has 2 of them"):
        split(items([None] * 22), 10, 10)
