"""Comparing cells: what is paired, what is refused, and the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from ember_bench import stats
from ember_bench.errors import ConfigError
from ember_bench.experiment.results.cells import CellData, CellResults
from ember_bench.experiment.results.comparison import Group, Pair, compare, pair_up
from ember_bench.experiment.results.items import AskedItem, AskedItems
from ember_bench.experiment.results.summary import OUTCOMES, DatasetSummary

DATASET = DatasetSummary("sums", "sums.jsonl", "r1", "d1", 8, "exact", "exact@1")


def cell(
    scores: str | Sequence[float | None],
    *,
    name: str = "sums/single",
    source: str = "trip",
    ids: Sequence[int] | None = None,
    asks: Sequence[str] | None = None,
    asked: DatasetSummary = DATASET,
    digests: str = "x",
    clusters: Sequence[str] | None = None,
    epochs: int = 1,
    cost: Sequence[float] | float = 1.0,
    **changes: Any,
) -> CellResults:
    """Return a cell with these scores, item by item; None is a trial that failed.

    `ids` are the items that have trials, `asks` all that are asked, if there are more.
    """
    values = [float(bit) for bit in scores] if isinstance(scores, str) else list(scores)
    n_items = len(values) // epochs
    numbers = list(ids if ids is not None else range(n_items))
    names = [f"i{number}" for number in numbers]
    known = [
        AskedItem(item, digests, None, clusters[i] if clusters else None, f"{item}?", f"t{item}")
        for i, item in enumerate(asks or names)
    ]
    outcomes = ["error" if v is None else "correct" if v else "wrong" for v in values]
    places = [(asks or names).index(item) for item in names]
    data = CellData(
        n_items=len(known),
        item=np.repeat(np.asarray(places, dtype=np.int32), epochs),
        outcome=np.asarray([OUTCOMES.index(name) for name in outcomes], dtype=np.int8),
        score=np.asarray([0.0 if v is None else v for v in values]),
        cost=np.broadcast_to(np.asarray(cost, dtype=float), len(values)).copy(),
        latency=np.ones(len(values)),
    )
    given = {
        "source": source,
        "name": name,
        "label": name.partition("/")[2],
        "asked": asked,
        "simulated": False,
        "oracle": False,
        "failures": "wrong",
        "level": 0.95,
        "seed": 0,
        "items": AskedItems.of(known),
        "data": data,
        "read_answers": lambda: [None if v is None else f"a{v:g}" for v in values],
    }
    return CellResults(**given | changes)


def dataset(**changes: Any) -> DatasetSummary:
    return msgspec.structs.replace(DATASET, **changes)


class TestNumbers:
    def test_they_are_those_of_the_statistics(self) -> None:
        a, b = cell("11101110", name="sums/vote"), cell("10100010")
        (found,) = compare([Pair(a, b)]).pairs
        expected = stats.paired_difference([1, 1, 1, 0, 1, 1, 1, 0], [1, 0, 1, 0, 0, 0, 1, 0])
        assert expected is not None
        assert expected.interval is not None
        assert (found.difference.value, found.wins, found.losses) == (3 / 8, 3, 0)
        assert (found.difference.low, found.difference.high) == (
            expected.interval.low, expected.interval.high,
        )  # fmt: skip
        assert found.mcnemar_p == found.p_value == pytest.approx(0.25)
        assert found.sign_flip_p == pytest.approx(0.25)
        assert found.effect_items == 3
        assert (found.cell.accuracy, found.baseline.accuracy) == (0.75, 0.375)

    def test_partial_credit_is_tested_by_sign_flips(self) -> None:
        (found,) = compare([Pair(cell([1, 0.5, 1, 1]), cell([0, 0, 0.25, 0]))]).pairs
        assert found.test == "sign-flip"
        assert found.mcnemar_p is None
        assert found.p_value == found.sign_flip_p == pytest.approx(2 / 16)

    def test_epochs_are_averaged_first(self) -> None:
        (found,) = compare([Pair(cell("11110000", epochs=4), cell("01"))]).pairs
        assert found.items == 2
        assert (found.wins, found.losses) == (1, 1)

    def test_clusters_are_respected(self) -> None:
        clusters = ["p", "p", "p", "p", "q", "q", "q", "q"]
        a, b = cell("11111111", clusters=clusters), cell("00000000", clusters=clusters)
        (found,) = compare([Pair(a, b)]).pairs
        assert (found.clusters, found.test, found.p_value) == (2, "sign-flip", 0.5)

    def test_failed_trials_count_as_wrong_or_not_at_all_as_the_grid_says(self) -> None:
        scores = [1, None, 1, 0]
        (wrong,) = compare([Pair(cell(scores), cell("0110"))]).pairs
        excluded = {"failures": "excluded"}
        (left_out,) = compare([Pair(cell(scores, **excluded), cell("0110", **excluded))]).pairs
        assert (wrong.items, wrong.losses) == (4, 1)
        assert (left_out.items, left_out.losses) == (3, 0)
        assert wrong.cell.failed == 1

    def test_max_t_is_the_default_and_others_are_to_be_asked_for(self) -> None:
        base = cell("0" * 16)
        cells = [cell("1" * n + "0" * (16 - n), name=f"sums/{n}") for n in (16, 9, 4)]
        pairs = [Pair(each, base) for each in cells]
        raw = [pair.p_value for pair in compare(pairs).pairs]
        test = stats.max_t(np.column_stack([each.scores - base.scores for each in cells]))
        found = compare(pairs).pairs
        assert [p.p_adjusted for p in found] == pytest.approx(test.p_values)
        assert [p.difference.low for p in found] == [i.low for i in test.intervals if i]
        for correction, adjust in (("holm", stats.holm), ("bh", stats.benjamini_hochberg)):
            p = [p.p_adjusted for p in compare(pairs, correction=correction).pairs]
            assert p == pytest.approx(adjust(raw))

    def test_failures_may_not_speak_for_the_difference(self) -> None:
        base = cell("0" * 16)
        cells = [cell([1.0] * n + [None] * (16 - n), name=f"sums/{n}") for n in (13, 9)]
        found = compare([Pair(each, base) for each in cells]).pairs
        worst = stats.max_t(np.column_stack([each.score_range[0] for each in cells]))
        best = cells[1].score_range[1]
        assert [p.p_adjusted for p in found] == pytest.approx(worst.p_values)
        assert [p.difference.low for p in found] == [i.low for i in worst.intervals if i]
        wide = stats.simultaneous_interval(best, worst.p_values[1], worst.level_each)
        assert wide is not None
        assert found[1].difference.high == wide.high

    def test_the_same_items_in_other_places_are_flipped_together(self) -> None:
        base, order = cell("0" * 16), [*range(8, 16), *range(8)]
        straight = cell("1" * 9 + "0" * 7, name="sums/a")
        turned = cell(
            "1" * 8 + "0" * 7 + "1", name="sums/b", ids=order, asks=[f"i{n}" for n in order]
        )
        found = compare([Pair(straight, base), Pair(turned, base)]).pairs
        columns = np.zeros((16, 2))
        columns[:9, 0] = columns[8:, 1] = columns[7, 1] = 1
        assert [p.p_adjusted for p in found] == pytest.approx(stats.max_t(columns).p_values)

    def test_the_best_of_a_family_and_its_baseline_sum_to_one(self) -> None:
        base = cell("1010101010101010")
        cells = [cell("1110101010101011", name="sums/a"), cell("1010111010101010", name="sums/b")]
        table = compare([Pair(each, base) for each in cells])
        (baseline,) = table.baseline_best
        assert baseline is not None
        shares = [pair.best_probability or 0.0 for pair in table.pairs]
        assert sum(shares) + baseline == pytest.approx(1)
        assert shares[0] > shares[1] > baseline

    def test_a_margin_is_held_against_the_least_favourable_case_of_failures(self) -> None:
        base, same = cell("10" * 40), cell("10" * 40, name="sums/same")
        broken = cell([None, None, *[1.0, 0.0] * 39], name="sums/broken")
        pairs = compare([Pair(same, base), Pair(broken, base)], margin=0.05).pairs
        first, second = (pair.within for pair in pairs)
        clear = stats.equivalence(np.zeros(80), 0.05)
        worst = stats.equivalence(broken.score_range[0] - base.scores, 0.05)
        assert first is not None
        assert second is not None
        assert clear is not None
        assert worst is not None
        assert (first.p_worse, first.p_value) == pytest.approx((clear.p_worse, clear.p_value))
        assert second.p_worse == pytest.approx(worst.p_worse)
        assert second.p_worse > first.p_worse
        assert compare([Pair(same, base)]).pairs[0].within is None

    def test_the_winner_of_a_family_is_named_with_those_that_may_be_better(self) -> None:
        base = cell("0" * 24 + "1" * 16)
        cells = [cell("1" * n + "0" * (40 - n), name=f"sums/{n}") for n in (39, 38, 10)]
        cells.append(cell("1" * 40, name="sums/oracle", oracle=True))
        (winner,) = compare([Pair(each, base) for each in cells]).winners
        scores = np.column_stack([each.scores for each in (base, *cells[:3])])
        ranking = stats.rank_cells(scores)
        assert winner is not None
        assert ranking is not None
        assert (winner.cell, winner.items) == ("sums/39", 40)
        assert winner.may_be_best == [cells[0].label, cells[1].label]
        assert winner.ranks == {
            "sums/single": (3, 4), "sums/39": (1, 2), "sums/38": (1, 2), "sums/10": (3, 4),
        }  # fmt: skip
        assert winner.accuracy.low == ranking.winner.interval.low  # type: ignore[union-attr]

    def test_every_cell_has_ranks_and_an_oracle_has_none(self) -> None:
        base = cell("0" * 24 + "1" * 16)
        cells = [cell("1" * n + "0" * (40 - n), name=f"sums/{n}") for n in (39, 38, 10)]
        cells.append(cell("1" * 40, name="sums/oracle", oracle=True))
        found = compare([Pair(each, base) for each in cells])
        assert [pair.rank for pair in found.pairs] == [(1, 2), (1, 2), (3, 4), None]
        assert [pair.may_be_best for pair in found.pairs] == [True, True, False, None]
        (winner,) = found.winners
        assert winner is not None
        assert (winner.baseline_rank, winner.baseline_may_be_best) == ((3, 4), False)

    def test_ranks_of_two_sources_do_not_mix(self) -> None:
        before, after = cell("0" * 40, source="before"), cell("1" * 40, source="after")
        (winner,) = compare([Pair(after, before)]).winners
        assert winner is not None
        assert winner.ranks == {"before/sums/single": (2, 2), "after/sums/single": (1, 1)}

    def test_a_family_of_few_items_has_no_winner(self) -> None:
        assert compare([Pair(cell("11"), cell("10"))]).winners == [None]
        assert compare([Pair(cell("11"), cell("10"))]).pairs[0].rank is None

    def test_an_oracle_is_a_bound_and_no_part_of_the_family(self) -> None:
        base = cell("0" * 16)
        system = cell("1" * 9 + "0" * 7, name="sums/a")
        bound = cell("1" * 16, name="sums/oracle", oracle=True)
        table = compare([Pair(system, base), Pair(bound, base)])
        first, second = table.pairs
        assert first.p_adjusted == first.p_value
        assert (second.p_adjusted, second.best_probability) == (None, None)
        assert first.best_probability == pytest.approx(1.0, abs=0.01)

    def test_clusters_widen_the_cost_ratio(self) -> None:
        costs = [1.0, 1.0, 3.0, 3.0, 2.0, 2.0, 5.0, 5.0]
        widths = []
        for clusters in (None, list("aabbccdd")):
            a = cell("10101010", name="sums/a", cost=costs, clusters=clusters)
            (found,) = compare([Pair(a, cell("10101010", clusters=clusters))]).pairs
            assert found.cost_ratio is not None
            assert found.cost_ratio.low is not None
            assert found.cost_ratio.high is not None
            widths.append(found.cost_ratio.high - found.cost_ratio.low)
        assert widths[1] > widths[0]

    def test_a_cell_is_not_better_for_the_failures_of_the_other(self) -> None:
        (found,) = compare([Pair(cell("1" * 20), cell([1.0] * 8 + [None] * 12))]).pairs
        assert found.difference.value == pytest.approx(0.6)
        assert (found.sign, found.p_value, found.is_clear(0.95)) == (0, 1.0, False)
        assert found.difference.low is not None
        assert found.difference.low < 0

    def test_a_large_family_draws_more_sign_patterns(self) -> None:
        a, base = cell("1111", name="sums/a"), cell("0101")
        pairs = pair_up([Group("x", [base], {}), Group("y", [a], {})])
        assert pairs[0].n_draws == 10_000
        assert Pair(a, base, family=1_000).n_draws == stats.draws_for_family(1_000) > 10_000

    def test_the_cost_ratio_is_of_the_items_that_both_finished(self) -> None:
        a = cell("1111", cost=[4.0, 4.4, 3.6, 4.0])
        b = cell("0000", cost=[1.0, 1.0, 1.2, 0.8])
        assert compare([Pair(a, b)]).pairs[0].cost_ratio.value == pytest.approx(4.0)  # type: ignore[union-attr]
        unpriced = cell("1111", cost=[4.0, float("nan"), 3.6, 4.0])
        assert compare([Pair(unpriced, b)]).pairs[0].cost_ratio is None


class TestFlips:
    def test_they_are_the_items_that_one_got_and_the_other_did_not(self) -> None:
        (found,) = compare([Pair(cell("1101"), cell("0111"))]).pairs
        won, lost = found.flips
        assert (won.item, won.question, won.target) == ("i0", "i0?", "ti0")
        assert (won.answers, won.baseline_answers) == (["a1"], ["a0"])
        assert (lost.item, lost.score, lost.baseline_score) == ("i2", 0.0, 1.0)


class TestWhatIsComparable:
    @pytest.mark.parametrize(
        ("other", "reason"),
        [
            ({"asked": dataset(evaluator_identity="exact@2")}, "evaluator exact is of another"),
            (
                {"asked": dataset(evaluator="loose", evaluator_identity="loose@1")},
                "scored by exact and by loose",
            ),
            ({"asked": dataset(revision="r2")}, "revisions differ: r1 and r2"),
            ({"asked": dataset(digest="d2"), "ids": [0, 1, 2, 9]}, "1 items are asked only in new"),
            ({"failures": "excluded"}, "count as wrong in one and as excluded in the other"),
        ],
    )
    def test_what_is_not_is_refused_unless_told(self, other: Any, reason: str) -> None:
        pairs = [Pair(cell("1010"), cell("1100", source="new", **other))]
        with pytest.raises(ConfigError, match=f"not comparable.*{reason}.*--anyway"):
            compare(pairs)
        (found,) = compare(pairs, anyway=True).pairs
        assert any(reason in said for said in found.differing)

    def test_only_items_that_coincide_are_paired(self) -> None:
        a = cell("1111", ids=[0, 1, 2, 3])
        b = cell("0000", ids=[2, 3, 4, 5], asked=dataset(digest="d2"))
        (found,) = compare([Pair(a, b)], anyway=True).pairs
        assert (found.items, found.wins) == (2, 2)

    def test_an_edited_item_is_another_item(self) -> None:
        a, b = cell("1111"), cell("0000", digests="y", asked=dataset(digest="d2"))
        with pytest.raises(ConfigError, match="no item in common: 4 items have the same id"):
            compare([Pair(a, b)], anyway=True)

    def test_a_run_that_is_not_done_is_paired_on_what_it_has(self) -> None:
        a, b = cell("111", ids=[0, 2, 3], asks=[f"i{i}" for i in range(6)]), cell("000000")
        (found,) = compare([Pair(a, b)]).pairs
        assert (found.items, found.cell.items, found.cell.scheduled) == (3, 3, 6)

    def test_a_cell_that_has_nothing_yet_is_left_out_and_named(self) -> None:
        base = cell("0101")
        table = compare(
            [Pair(cell("1111", name="sums/a"), base), Pair(cell("", name="sums/b"), base)]
        )
        assert [pair.cell.cell for pair in table.pairs] == ["sums/a"]
        assert table.left_out == ["trip/sums/b and trip/sums/single"]

    def test_a_cell_whose_trials_all_failed_is_left_out_as_not_measured(self) -> None:
        base, broken = cell("0101"), cell([None] * 4, name="sums/b")
        table = compare([Pair(cell("1111", name="sums/a"), base), Pair(broken, base)])
        (left_out,) = table.left_out
        assert left_out.startswith("trip/sums/b and trip/sums/single (")
        assert "trip/sums/b was not measured, as all of its trials failed" in left_out
        with pytest.raises(ConfigError, match="was not measured, as all of its trials failed"):
            compare([Pair(broken, base)])

    def test_the_same_reason_is_given_once(self) -> None:
        other = dataset(evaluator_identity="exact@2")
        pairs = [
            Pair(cell("10", name=f"sums/{k}"), cell("01", name=f"sums/{k}", asked=other))
            for k in range(5)
        ]
        with pytest.raises(ConfigError) as caught:
            compare(pairs)
        (problem,) = caught.value.problems
        assert "(and 4 other pairs)" in str(problem)


class TestWhatIsPaired:
    def test_one_experiment_with_its_own_baseline(self) -> None:
        base, other = cell("01"), cell("11", name="sums/vote")
        (pair,) = pair_up([Group("trip", [base, other], {"sums": base})])
        assert (pair.cell, pair.baseline) == (other, base)

    def test_a_baseline_alone_has_nothing_to_be_compared_with(self) -> None:
        base = cell("01")
        with pytest.raises(ConfigError, match="nothing to compare"):
            pair_up([Group("trip", [base], {"sums": base})])

    def test_cells_of_the_same_name(self) -> None:
        old = [cell("01", name="sums/a"), cell("01", name="sums/b")]
        new = [cell("11", name="sums/b", source="new"), cell("11", name="sums/c", source="new")]
        (pair,) = pair_up([Group("trip", old, {}), Group("new", new, {})])
        assert (pair.cell.name, pair.baseline) == ("sums/b", old[1])

    def test_every_cell_on_a_dataset_with_the_one_cell_named_first(self) -> None:
        first = cell("01", name="sums/a")
        many = [
            cell("11", name="sums/b"),
            cell("11", name="sums/c"),
            cell("11", name="primes/b", asked=dataset(name="primes")),
        ]
        pairs = pair_up([Group("trip/a", [first], {}), Group("new", many, {})])
        assert [pair.cell.name for pair in pairs] == ["sums/b", "sums/c"]
        assert all(pair.baseline is first for pair in pairs)

    def test_names_that_do_not_meet_are_an_error(self) -> None:
        old = [cell("01", name="sums/a"), cell("01", name="sums/b")]
        new = [cell("11", name="sums/c"), cell("11", name="sums/d")]
        with pytest.raises(ConfigError, match="no cell of new has the name"):
            pair_up([Group("trip", old, {}), Group("new", new, {})])
