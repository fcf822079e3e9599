"""The table of cells: whole at every width, and every figure labelled."""

from __future__ import annotations

import msgspec
import pytest

from ember_bench.drawing.text import width
from ember_bench.experiment.results.summary import (
    OUTCOMES,
    ExperimentSummary,
    FailureReason,
    Quantity,
)
from ember_bench.report import markdown, table
from tests.tracking.summaries import cell, summary

LONG = "verifier_judge(model=openai:gpt-4o-mini, verifier=anthropic:claude-3-5-sonnet, k=9)"


def plain(found: ExperimentSummary, columns: int | None = None) -> str:
    return table(found, columns).plain


def row(found: ExperimentSummary, label: str) -> str:
    (line,) = [line for line in plain(found).splitlines() if line.startswith(f"{label} ")]
    return line


def outcomes(**counts: int) -> dict[str, int]:
    return dict.fromkeys(OUTCOMES, 0) | counts


@pytest.mark.parametrize("columns", [80, 100, 120, 160, 240, None])
@pytest.mark.parametrize("label", ["single", LONG, "投票" * 20])
def test_no_figure_is_lost_and_no_line_too_long(columns: int | None, label: str) -> None:
    found = summary(cell(0), cell(1, label=label), cell(2))
    text = plain(found, columns)
    for figure in ("$0.00100", "$0.00300", "$0.00500", "[0.00270, 0.00330]", "$0.00600",
                   "[0.00540, 0.00660]", "2.50", "0.034"):  # fmt: skip
        assert figure in text
    if columns is None:
        assert f"\n{label} " in text
    else:
        assert max(map(width, text.splitlines())) <= columns


def test_one_line_for_a_cell_where_there_is_room() -> None:
    found = summary()
    assert len([x for x in plain(found, 200).splitlines() if x.startswith("vote")]) == 2
    line = row(found, "vote(k=3)")
    assert line.split() == [
        "vote(k=3)", "simulated,", "shared", "draws", "59.0", "[56.0,", "62.0]",
        "$0.00300", "[0.00270,", "0.00330]",
        "$0.00600", "[0.00540,", "0.00660]",
        "1.50", "2.50", "$0.100", "100", "200", "+9.0", "[+6.0,", "+12.0]", "0.034",
    ]  # fmt: skip


def test_cells_stand_in_the_order_of_the_grid() -> None:
    text = plain(summary(cell(2), cell(0), cell(1)))
    assert text.index("vote(k=5)") < text.index("single ") < text.index("vote(k=3)")


def test_the_baseline_is_named_and_not_compared_with_itself() -> None:
    assert row(summary(), "single").endswith(" baseline")


def test_what_is_undefined_is_a_dash() -> None:
    nothing = cell(
        1, accuracy=None, cost_per_item=None, cost_per_correct=None, latency_seconds=None,
        latency_p95=None, comparison=None, items=0, outcomes=outcomes(skipped=100), spend_usd=None,
    )  # fmt: skip
    line = row(summary(cell(0), nothing), "vote(k=3)")
    assert line.split().count("\N{EN DASH}") == 7  # the spend of calls without a price is one
    assert "0 of 100 items" in line
    assert "nan" not in line.lower()
    assert "None" not in line


def test_failures_show_their_bounds() -> None:
    failing = cell(
        1, outcomes=outcomes(correct=60, wrong=30, error=10), accuracy_worst=0.6, accuracy_best=0.7
    )
    text = plain(summary(cell(0), failing))
    assert "10 errors: 60.0 to 70.0" in text
    assert "outcomes: 120 correct, 70 wrong, 10 error" in text
    assert "Failed trials count as wrong" in text


def test_the_first_lines_say_what_was_not_measured_and_why_trials_failed() -> None:
    broken = cell(
        1, outcomes=outcomes(error=100), accuracy=None, accuracy_worst=0.0, accuracy_best=1.0,
        measured=False, comparison=None,
    )  # fmt: skip
    reasons = [FailureReason("ProviderError: HTTP 401: no *such* key", 90),
               FailureReason("ProviderError: timed out", 10)]  # fmt: skip
    found = summary(cell(0), broken, failure_reasons=reasons)
    first, second = plain(found).splitlines()[:2]
    assert first == "Not measured, as all trials failed: vote(k=3)."
    assert second.startswith("100 trials failed and count as wrong: 90 x ProviderError: HTTP 401")
    assert row(found, "vote(k=3)").split("not measured")[0].split() == ["vote(k=3)"]
    lines = markdown(found).splitlines()
    assert lines[2] == "**Not measured, as all trials failed: vote(k=3).**"
    assert "90 x ProviderError: HTTP 401: no \\*such\\* key; 10 x" in lines[4]


def test_a_cell_with_the_baselines_own_calls_has_no_interval() -> None:
    pair = cell(1).comparison
    assert pair is not None
    same = msgspec.structs.replace(
        pair, same_calls=True, p_value=None, p_adjusted=None, sign=0,
        difference=Quantity(0.0, None, None, "same calls"),
    )  # fmt: skip
    found = summary(cell(0), cell(1, comparison=same), cell(2))
    line = row(found, "vote(k=3)")
    assert "same calls as single" in line
    assert line.endswith(" same calls")
    caption = " ".join(plain(found).split())
    assert "over 1 comparison (1 cell with the baseline's own calls left out)." in caption


def test_answers_that_were_all_guessed_at_are_said_first() -> None:
    found = summary(cell(0), cell(1, never_stated=True))
    assert plain(found).startswith("No answer was stated as its format wants")
    assert "no answer stated" in row(found, "vote(k=3)")


def test_a_quantile_without_an_interval_is_not_shown() -> None:
    few = cell(1, latency_p95=Quantity(2.5, None, None, "order statistics"))
    assert "2.50" not in row(summary(cell(0), few), "vote(k=3)")


def test_a_bound_and_an_unfinished_cell_are_marked() -> None:
    found = summary(
        cell(0, oracle=True), cell(1, items=40, outcomes=outcomes(correct=40, skipped=60)),
        status="partial",
    )  # fmt: skip
    assert "simulated, bound" in row(found, "single")
    assert "40 of 100 items" in row(found, "vote(k=3)")
    assert "demo (unfinished): 140 of 200 trials" in plain(found)
    assert "Bound: looks at the target" in plain(found)


def test_real_figures_are_not_called_simulated() -> None:
    found = summary(cell(0, simulated=False), simulated=False)
    assert "simulated" not in plain(found).lower()
    assert "simulated" not in markdown(found).lower()


def test_the_caption_says_what_the_figures_are() -> None:
    text = " ".join(plain(summary(), 100).split())
    for said in (
        "with its 95 % interval (wilson)", "The unit is the item", "Cost per item:", "Spend:",
        "critical path", "depends on the load of the run", "not its wall time",
        "max-T over 2 comparisons. Its intervals hold together.", "Simulated:",
    ):  # fmt: skip
        assert said in text


def test_the_caption_says_that_bounds_are_left_out_of_the_correction() -> None:
    pair = cell(1).comparison
    assert pair is not None
    bound = cell(1, oracle=True, comparison=msgspec.structs.replace(pair, p_adjusted=None))
    found = summary(cell(0), bound, cell(2))
    assert "max-T over 1 comparison (1 bound left out)." in plain(found)
    assert row(found, "vote(k=3)").endswith(" \N{EN DASH}")


def test_spend_without_prices_is_unknown() -> None:
    free = cell(0, cost_per_item=None, spend_usd=None)
    found = summary(free)
    run = msgspec.structs.replace(found.run, spend_usd=0.0)
    text = plain(msgspec.structs.replace(found, run=run))
    assert "spend unknown" in text


def test_a_name_cannot_draw_on_the_terminal() -> None:
    text = plain(summary(cell(0, label="\x1b[2J\x9b31m\u202ex\r\n\ty")))
    assert "\\x1b[2J\\x9b31m\\u202ex y" in text


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("a|b", "| a\\|b |"),
        ("<img src=x onerror=alert(1)>", "\\<img src=x onerror=alert(1)\\>"),
        ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
        ("*_`$&", "\\*\\_\\`\\$\\&"),
        ("a\nb", "| a b |"),
    ],
)
def test_markdown_is_escaped(label: str, shown: str) -> None:
    assert shown in markdown(summary(cell(0, label=label)))


def test_markdown_has_the_same_figures() -> None:
    found = markdown(summary())
    lines = [line for line in found.splitlines() if line.startswith("| vote(k=3)")]
    assert len(lines) == 1
    assert " 59.0 | \\[56.0, 62.0\\] | \\$0.00300 |" in lines[0]
    rows = [line for line in found.splitlines() if line.startswith("|")]
    assert len({row.count("|") - row.count("\\|") for row in rows}) == 1
