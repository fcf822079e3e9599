"""The table of systems: whole at every width, and every figure labelled."""

from __future__ import annotations

import msgspec
import pytest

from ember_bench.drawing.text import width
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.summary import (
    OUTCOMES,
    ExperimentSummary,
    FailureReason,
)
from ember_bench.report import markdown, table
from ember_bench.report.columns import View
from tests.tracking.summaries import cell, summary

LONG = "verifier_judge(model=openai:gpt-4o-mini, verifier=anthropic:claude-3-5-sonnet, k=9)"


ALL = View(
    columns=(
        "accuracy", "items", "cost", "cost_interval", "correct", "correct_interval", "latency",
        "p95", "new", "reused", "paid", "difference", "p", "result",
    )
)  # fmt: skip


def plain(found: ExperimentSummary, columns: int | None = None, view: View | None = None) -> str:
    return table(found, columns, view or View()).plain


def row(found: ExperimentSummary, label: str, view: View | None = None) -> str:
    lines = plain(found, None, view).splitlines()
    (line,) = [line for line in lines if line.startswith(f"{label} ")]
    return line


def outcomes(**counts: int) -> dict[str, int]:
    return dict.fromkeys(OUTCOMES, 0) | counts


@pytest.mark.parametrize("columns", [80, 100, 120, 160, 240, None])
@pytest.mark.parametrize("label", ["single", LONG, "投票" * 20])
def test_no_figure_is_lost_and_no_line_too_long(columns: int | None, label: str) -> None:
    found = summary(cell(0), cell(1, label=label), cell(2))
    text = plain(found, columns, ALL)
    for figure in ("1.00", "3.00", "5.00", "[2.70, 3.30]", "6.00", "[5.40, 6.60]", "2.50",
                   "$0.100", "[+6.0, +12.0]", "0.034", "better"):  # fmt: skip
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
        "vote(k=3)", "shared", "draws", "59.0", "[56.0,", "62.0]", "3.00", "6.00", "+9.0",
        "[+6.0,", "+12.0]", "0.034", "better",
    ]  # fmt: skip
    assert row(found, "vote(k=3)", ALL).split() == [
        "vote(k=3)", "shared", "draws", "59.0", "[56.0,", "62.0]", "100",
        "3.00", "[2.70,", "3.30]", "6.00", "[5.40,", "6.60]",
        "1.50", "2.50", "100", "200", "$0.100", "+9.0", "[+6.0,", "+12.0]", "0.034", "better",
    ]  # fmt: skip


@pytest.mark.parametrize("cells", [3, 12])
def test_80_columns_are_enough_for_the_usual_columns(cells: int) -> None:
    lines = plain(summary(*map(cell, range(cells))), 80).splitlines()
    heading = next(line for line in lines if line.startswith("system"))
    assert heading.split() == ["system", "accuracy", "$/1,000", "difference", "result"]
    assert max(map(width, lines)) <= 80


def test_what_all_have_in_common_is_said_once() -> None:
    text = plain(summary(cell(0), cell(1)))
    assert "latency" not in text.partition("\nAll systems")[0]
    assert "All systems: latency 1.50." in text
    assert text.count("(simulated)") == 2  # in the title, and in the last line
    others = summary(cell(0), cell(1, latency_seconds=Quantity(2.0, 1.9, 2.1, "t")))
    assert "latency" in plain(others).partition("\nsingle")[0]


@pytest.mark.parametrize(
    ("cost", "heading", "shown"),
    [
        (7.7e-7, "$/1,000,000", "0.77"),
        (0.0000768, "$/1,000", "0.077"),
        (0.00077, "$/1,000", "0.77"),
        (0.0138, "$/1,000", "13.80"),
        (0.4, "$/item", "0.40"),
        (1234.5, "$/item", "1,234.50"),
    ],
)
def test_costs_have_one_unit_that_suits_the_least(cost: float, heading: str, shown: str) -> None:
    costs = {
        name: Quantity(cost, cost, cost, "t") for name in ("cost_per_item", "cost_per_correct")
    }
    expensive = Quantity(20 * cost, cost, cost, "t")
    found = summary(cell(0, **costs), cell(1, cost_per_item=expensive, cost_per_correct=expensive))
    view = View(columns=("cost",))
    assert plain(found, None, view).splitlines()[1].split()[-1] == heading
    assert row(found, "single", view).endswith(f" {shown}")


def test_costs_of_nothing_are_zero_and_have_no_unit() -> None:
    free = {name: Quantity(0.0, 0.0, 0.0, "t") for name in ("cost_per_item", "cost_per_correct")}
    view = View(columns=("cost", "correct"))
    text = plain(summary(cell(0, **free), cell(1, **free)), None, view)
    assert text.splitlines()[1].split() == ["system", "$/item", "$/correct"]
    assert row(summary(cell(0, **free), cell(1, **free)), "single", view).split()[-2:] == ["0", "0"]


def test_a_view_chooses_rows_and_columns() -> None:
    found = summary(cell(0), cell(1), cell(2))
    view = View(columns=("cost", "result"), sort="cost", top=2)
    text = plain(found, None, view)
    assert text.splitlines()[1].split() == ["system", "$/1,000", "result"]
    assert "1 more system" in text
    assert text.index("single") < text.index("vote(k=3)")
    assert "vote(k=5)" not in text
    best = plain(found, None, View(sort="accuracy", top=1))
    assert "vote(k=5)" in best
    assert "vote(k=3)" not in best


def test_systems_without_a_value_come_last() -> None:
    found = summary(cell(0, cost_per_item=None), cell(1), cell(2))
    text = plain(found, None, View(sort="cost"))
    assert text.index("vote(k=3)") < text.index("vote(k=5)") < text.index("single ")


def test_the_accuracy_by_category_is_shown_on_request() -> None:
    categories = {name: Quantity(0.25, 0.1, 0.4, "wilson") for name in ("algebra", "history")}
    found = summary(cell(0, categories=categories), cell(1, categories=categories))
    assert "algebra" not in plain(found)
    text = plain(found, 80, View(by="category"))
    assert "primes: accuracy by category" in text
    assert text.count("25.0") == 4
    assert "[10.0, 40.0]" in text


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (View(columns=("acuracy",)), "unknown column 'acuracy'; did you mean 'accuracy'"),
        (View(sort="result"), "unknown column to sort by 'result'"),
        (View(datasets=("prime",)), "unknown dataset 'prime'; did you mean 'primes'"),
        (View(by="item"), "--by: expected category"),
    ],
)
def test_a_view_of_what_there_is_not_is_refused(view: View, message: str) -> None:
    with pytest.raises((UnknownNameError, ConfigError), match=message):
        plain(summary(), None, view)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sign": 1, "p_adjusted": 0.01}, "better"),
        ({"sign": -1, "p_adjusted": 0.01}, "worse"),
        ({"sign": 1, "p_adjusted": 0.2}, "no clear difference"),
        ({"sign": 0, "p_adjusted": 0.01}, "no clear difference"),
    ],
)
def test_the_result_is_said_in_words(changes: dict[str, float], said: str) -> None:
    pair = cell(1).comparison
    assert pair is not None
    found = summary(cell(0), cell(1, comparison=msgspec.structs.replace(pair, **changes)))
    assert row(found, "vote(k=3)").endswith(f" {said}")


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
    assert line.split().count("\N{EN DASH}") == 4
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
    assert line.split()[-3:] == ["0.0", "same", "calls"]
    said = "over 1 comparison (1 system with the baseline's own calls left out)."
    assert said in " ".join(plain(found).split())


def test_answers_that_were_all_guessed_at_are_said_first() -> None:
    found = summary(cell(0), cell(1, never_stated=True))
    assert plain(found).startswith("No answer was stated as its format wants")
    assert "no answer stated" in row(found, "vote(k=3)")


def test_a_quantile_without_an_interval_is_not_shown() -> None:
    few = cell(1, latency_p95=Quantity(2.5, None, None, "order statistics"))
    assert "2.50" in row(summary(cell(0), few), "single", ALL)
    assert "2.50" not in row(summary(cell(0), few), "vote(k=3)", ALL)


def test_an_oracle_and_an_unfinished_system_are_marked() -> None:
    found = summary(
        cell(0, oracle=True), cell(1, items=40, outcomes=outcomes(correct=40, skipped=60)),
        status="partial",
    )  # fmt: skip
    assert row(found, "single").split()[:2] == ["single", "oracle"]
    assert "40 of 100 items" in row(found, "vote(k=3)")
    assert "demo (unfinished): 140 of 200 trials" in plain(found)
    assert "Oracle: looks at the target" in plain(found)


def test_real_figures_are_not_called_simulated() -> None:
    found = summary(cell(0, simulated=False), simulated=False)
    assert "simulated" not in plain(found).lower()
    assert "simulated" not in markdown(found).lower()


def test_the_caption_says_what_the_figures_are() -> None:
    text = " ".join(plain(summary(), 100).split())
    for said in (
        "with its 95 % interval (wilson)", "The unit is the item", "US dollars per 1,000 items",
        "Correct: the cost of all answers", "with its interval (they hold together)",
        "by Westfall and Young's max-T over 2 comparisons", "adj. p is below 0.05", "Simulated:",
    ):  # fmt: skip
        assert said in text
    more = " ".join(plain(summary(), 100, ALL).split())
    for said in ("critical path", "depends on the load of the run", "not its wall time",
                 "Paid now: the cost of new calls"):  # fmt: skip
        assert said in more


def test_the_caption_says_that_oracles_are_left_out_of_the_correction() -> None:
    pair = cell(1).comparison
    assert pair is not None
    oracle = cell(1, oracle=True, comparison=msgspec.structs.replace(pair, p_adjusted=None))
    found = summary(cell(0), oracle, cell(2))
    said = "max-T over 1 comparison (1 oracle left out)."
    assert said in " ".join(plain(found).split())
    assert row(found, "vote(k=3)").split()[-2:] == ["\N{EN DASH}", "oracle"]


def test_spend_without_prices_is_unknown() -> None:
    free = cell(0, cost_per_item=None, spend_usd=None)
    found = summary(free)
    run = msgspec.structs.replace(found.run, spend_usd=0.0)
    text = plain(msgspec.structs.replace(found, run=run))
    assert "paid now unknown" in text


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
    assert " 59.0 | \\[56.0, 62.0\\] | 3.00 | 6.00 |" in lines[0]
    assert lines[0].endswith(" | better |")
    rows = [line for line in found.splitlines() if line.startswith("|")]
    assert len({row.count("|") - row.count("\\|") for row in rows}) == 1
