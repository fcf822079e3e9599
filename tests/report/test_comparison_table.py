"""Comparisons in the terminal: whole at every width, and nothing that is not said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ember_bench.drawing.text import width
from ember_bench.errors import UnknownNameError
from ember_bench.experiment.results.compared import (
    Comparison,
    ComparisonTable,
    Flip,
    Side,
    Winner,
    WithinMargin,
)
from ember_bench.experiment.results.figures import Quantity
from ember_bench.report.columns import View
from ember_bench.report.comparison_table import comparison_table

BASELINE = Side("trip", "sums/single", "alone", "sums", False, False, 0.7, 300, 300, 0)


def pair(label: str = "vote of 3", **changes: Any) -> Comparison:
    side = msgspec.structs.replace(BASELINE, cell=f"sums/{label}", label=label, accuracy=0.8123)
    made = Comparison(
        cell=side,
        baseline=BASELINE,
        items=300,
        clusters=None,
        difference=Quantity(0.1123, 0.0512, 0.1734, "paired"),
        effect_items=33.69,
        wins=52,
        losses=18,
        mcnemar_p=0.00042,
        sign_flip_p=0.00042,
        p_value=0.00042,
        p_adjusted=0.0123,
        test="mcnemar",
        cost_ratio=Quantity(2.987, 2.871, 3.102, "ratio"),
        best_probability=0.97,
        differing=[],
        flips=[
            Flip("i1", "1 + 1 = ?", "2", 1.0, 0.0, ["2"], ["3"]),
            Flip("i2", "1 + 2 = ?", "3", 0.0, 1.0, [None], ["3"]),
        ],
    )
    return msgspec.structs.replace(made, **changes)


def plain(*pairs: Comparison, columns: int | None = None, **changes: Any) -> str:
    table = ComparisonTable("holm", 0.95, list(pairs), [0.03], [])
    found = msgspec.structs.replace(table, **changes)
    return comparison_table(found, columns, flips=5).plain


@pytest.mark.parametrize("columns", [80, 100, 120, 160, None])
@pytest.mark.parametrize("label", ["vote", "a very long label of a cell, " * 4, "投票" * 20])
def test_no_figure_is_lost_and_no_line_of_the_table_too_long(
    columns: int | None, label: str
) -> None:
    text = plain(pair(label), columns=columns)
    for figure in ("81.2", "70.0", "+11.2", "[+5.1, +17.3]", "52", "18", "0.012", "2.99x", "97 %"):
        assert figure in text
    if columns is not None:
        table = text.partition("\n\n")[0].splitlines()[1:]
        assert max(map(width, table)) <= columns


def test_a_margin_is_answered_in_words_with_the_price() -> None:
    def said(p_worse: float, p_value: float, margin: float = 0.01) -> str:
        return plain(pair(within=WithinMargin(margin, p_worse, p_value)))

    price = ", at 2.99x its cost.\n"
    assert (
        f"vote of 3 is no worse than alone by more than 1 point (one-sided p = 0.010){price}"
        in (said(0.01, 0.9))
    )
    assert f"vote of 3 is as good as alone within 2 points (one-sided p = 0.020){price}" in (
        said(0.01, 0.02, 0.02)
    )
    assert "vote of 3 is not shown to be no worse than alone by more than 1 point" in said(0.4, 0.9)
    assert "by more than" not in plain(pair())


def test_the_winner_stands_below_its_family() -> None:
    accuracy = Quantity(0.9, 0.8, 0.94, "wilson, corrected for selection")
    ranks = {"a": (1, 2), "b": (1, 2), "c": (3, 3)}
    winner = Winner("a", "vote\n[bold]", accuracy, 300, ["vote\n[bold]", "two"], ranks)
    text = plain(pair(), winners=[winner])
    assert (
        "Most accurate of 3: vote [bold], 90.0 % [80.0, 94.0], corrected for its selection."
        " May be better: two." in " ".join(text.split())
    )
    alone = msgspec.structs.replace(winner, may_be_best=["vote"])
    assert "No other may be.\n" in plain(pair(), winners=[alone])


def test_ranks_are_shown_if_asked_for() -> None:
    accuracy = Quantity(0.9, 0.8, 0.94, "wilson, corrected for selection")
    winner = Winner("a", "vote", accuracy, 300, ["vote"], {}, (2, 2))
    ranked = pair(rank=(1, 2), may_be_best=True)
    table = ComparisonTable("maxt", 0.95, [ranked, pair("low")], [0.03], [], [winner])
    text = comparison_table(table, None, flips=0, view=View(columns=("accuracy", "rank"))).plain
    _, heading, first, second, baseline, *_ = text.splitlines()
    assert heading.split() == ["system", "accuracy", "rank"]
    assert first.endswith("  1 to 2 +")
    assert second.endswith("  \N{EN DASH}")
    assert baseline.split()[-2:] == ["baseline", "2"]
    assert "Rank: between which ranks" in text
    assert "Rank: between which ranks" not in plain(pair())


def test_flips_have_both_answers_and_the_target() -> None:
    text = plain(pair())
    assert "vote of 3: +33.69 of 300 items; 52 won, 18 lost" in text
    assert "  won  i1: 2 against 3, target 2" in text
    assert "  lost i2: \N{EN DASH} against 3, target 3" in text


def test_what_is_not_comparable_stands_above_the_figures() -> None:
    text = plain(pair(differing=["the evaluator exact is of another version"]))
    assert text.splitlines()[1] == "not comparable: the evaluator exact is of another version"


def test_an_oracle_is_marked_and_has_no_adjusted_p() -> None:
    oracle = msgspec.structs.replace(pair().cell, oracle=True)
    text = plain(pair(), pair("other", cell=oracle, p_adjusted=None, best_probability=None))
    assert text.count(" oracle ") >= 2  # as a note, and as the result
    assert "over 1 comparison (1 oracle left out)" in " ".join(text.split())


def test_what_is_not_done_and_what_failed_is_noted() -> None:
    side = msgspec.structs.replace(pair().cell, items=120, failed=3)
    assert "120 of 300 items, 3 errors" in plain(pair(cell=side))


def test_an_unknown_price_is_a_dash() -> None:
    line = next(x for x in plain(pair(cost_ratio=None)).splitlines() if x.startswith("vote"))
    assert line.split()[-3:] == ["\N{EN DASH}", "97", "%"]


def test_simulated_figures_say_so() -> None:
    side = msgspec.structs.replace(pair().cell, simulated=True)
    text = plain(pair(cell=side))
    assert text.splitlines()[0] == "sums: against alone (simulated)"
    assert text.count("imulated") == 3  # and twice in the caption
    mixed = plain(pair(cell=side), pair("other"))
    assert "(simulated)" not in mixed.splitlines()[0]
    assert "simulated" in mixed.splitlines()[2]
    assert "Simulated: answers, prices and times were made up" in text


def test_pairs_without_an_item_in_common_are_named() -> None:
    text = plain(pair(), left_out=["a/x and b/x", "a/y and b/y"])
    assert "Left out, as no item is in both: a/x and b/x and 1 more pair." in text


def test_a_view_chooses_rows_and_columns() -> None:
    low = pair("low", difference=Quantity(0.01, -0.1, 0.1, "paired"))
    view = View(columns=("difference", "raw_p", "cost_interval"), sort="difference", top=1)
    table = ComparisonTable("holm", 0.95, [low, pair()], [0.03], [])
    lines = comparison_table(table, None, flips=0, view=view).plain.splitlines()
    assert lines[1].split() == ["system", "difference", "[95", "%]", "p", "[95", "%]"]
    assert lines[2].startswith("vote of 3")
    assert "low" not in lines[3]
    with pytest.raises(UnknownNameError, match="unknown column 'latency'"):
        comparison_table(table, None, flips=0, view=View(columns=("latency",)))
