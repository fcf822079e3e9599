"""Who fails where: the order of items, agreement, and what is unknown."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ember_bench.experiment.results.cells import CellResults
from ember_bench.experiment.results.item_matrix import ItemMatrix, item_matrix
from ember_bench.stats._arrays import FloatArray

NAN = np.nan


class Cell:
    """A cell of these scores."""

    def __init__(self, scores: list[float] | FloatArray, *, oracle: bool = False) -> None:
        self.scores = np.asarray(scores, dtype=float)
        self.oracle = oracle


def matrix(*cells: Cell) -> ItemMatrix:
    found = item_matrix(cast("list[CellResults]", cells))
    assert found is not None
    return found


def test_the_hardest_item_and_the_most_accurate_system_come_first() -> None:
    weak, strong = Cell([1, 0, 0]), Cell([1, 0, 1])
    found = matrix(weak, strong)
    assert found.cells == [strong, weak]
    assert found.places.tolist() == [1, 2, 0]
    assert found.difficulty.tolist() == [0, 0.5, 1]
    assert found.scores.tolist() == [[0, 1, 1], [0, 0, 1]]
    assert (found.unsolved, found.solved) == (1, 1)


def test_equals_stay_in_their_order() -> None:
    assert matrix(Cell([1, 1, 1])).places.tolist() == [0, 1, 2]


def test_an_oracle_says_nothing_of_difficulty() -> None:
    found = matrix(Cell([0, 1]), Cell([1, 1], oracle=True))
    assert found.difficulty.tolist() == [0, 1]
    assert len(found.cells) == 2


def test_what_is_unknown_counts_neither_way() -> None:
    found = matrix(Cell([1, NAN, NAN]), Cell([0, 1, NAN]), Cell([NAN, NAN, NAN]))
    assert found.places.tolist() == [0, 1]
    assert found.difficulty.tolist() == [0.5, 1]
    assert len(found.cells) == 2
    assert np.isnan(found.scores).sum() == 1
    assert found.agreement[0, 1] == 0  # of the one item that both have
    assert np.isnan(matrix(Cell([1, NAN]), Cell([NAN, 1])).agreement[0, 1])


def test_without_a_score_there_is_none() -> None:
    assert item_matrix([]) is None
    assert item_matrix(cast("list[CellResults]", [Cell([NAN]), Cell([1.0], oracle=True)])) is None


@given(arrays.arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 8)),
                     elements=st.sampled_from([0.0, 0.5, 1.0])))  # fmt: skip
def test_agreement_is_a_share_of_items(scores: FloatArray) -> None:
    found = matrix(*map(Cell, scores))
    assert found.agreement.diagonal().tolist() == [1] * len(scores)
    assert np.array_equal(found.agreement, found.agreement.T)
    fails = (found.scores == 0).mean(axis=1)
    assert found.both_fail.diagonal() == pytest.approx(fails)
    assert (found.both_fail <= found.agreement).all()
    assert sorted(found.difficulty) == pytest.approx(sorted(scores.mean(axis=0)))
