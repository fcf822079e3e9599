"""Ranks of the cells of a dataset."""

from __future__ import annotations

import numpy as np
import pytest

from ember_bench import stats
from ember_bench.experiment.results.standings import Ranks
from tests.experiment.results.test_comparison import cell, dataset

SCORES = ["1" * n + "0" * (40 - n) for n in (39, 38, 10)]


def ranked(*cells):
    ranks = Ranks(0.95, 0)
    for each in cells:
        ranks.add(each)
    return ranks.found()


def test_they_are_those_of_the_statistics_without_oracles_and_what_was_not_measured() -> None:
    cells = [cell(scores, name=f"sums/{n}") for n, scores in enumerate(SCORES)]
    more = [cell("1" * 40, name="sums/o", oracle=True), cell([None] * 40, name="sums/f")]
    expected = stats.rank_cells(np.column_stack([each.scores for each in cells]))
    found = ranked(*cells, *more)
    assert set(found) == {"sums/0", "sums/1", "sums/2"}
    for place, name in enumerate(found):
        rank = found[name]
        assert (rank.best, rank.worst, rank.may_be_best) == (
            expected.best_rank[place], expected.worst_rank[place], expected.may_be_best[place]
        )  # fmt: skip


def test_each_dataset_has_its_own() -> None:
    other = dataset(name="other")
    cells = [cell(s, name=f"sums/{n}") for n, s in enumerate(SCORES)]
    cells += [cell(s, name=f"other/{n}", asked=other) for n, s in enumerate(reversed(SCORES))]
    found = ranked(*cells)
    assert found["sums/0"].may_be_best
    assert found["other/2"].may_be_best
    assert found["sums/2"].best == found["other/0"].best == 3


@pytest.mark.parametrize("scores", [["1111", "1100"], ["1" * 40]])
def test_few_items_and_a_cell_alone_have_none(scores: list[str]) -> None:
    assert ranked(*(cell(s, name=f"sums/{n}") for n, s in enumerate(scores))) == {}


def test_more_systems_than_can_be_ranked_have_none() -> None:
    assert ranked(*(cell("1" * 9, name=f"sums/{n}") for n in range(202))) == {}
