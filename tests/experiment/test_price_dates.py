"""A table whose costs come from prices of several dates says so."""

from __future__ import annotations

from ember_bench.report.summary_text import tables
from tests.support.workspace import Ran, Workspace


def dates(ran: Ran) -> list[str]:
    return [line for line in tables(ran.summary).captions if line.startswith("Prices:")]


def test_prices_of_one_date_need_no_word(workspace: Workspace) -> None:
    workspace.model("counted:a")
    workspace.edit("registry/models/counted-a.yaml", "cost:", "price_date: 2025-01-31\ncost:")
    workspace.grid()
    assert dates(workspace.run()) == []


def test_a_run_that_goes_on_at_prices_of_another_date_says_so(workspace: Workspace) -> None:
    workspace.model("counted:a")
    workspace.edit("registry/models/counted-a.yaml", "cost:", "price_date: 2025-01-31\ncost:")
    workspace.grid()
    workspace.run(stop_after=3)
    workspace.edit("registry/models/counted-a.yaml", "2025-01-31", "2025-11-30")
    (line,) = dates(workspace.run())
    assert line.startswith("Prices: of 2 dates, 2025-01-31 to 2025-11-30;")
