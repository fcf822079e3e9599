"""`ember-bench models check`: the prices of the cards against a current list."""

from __future__ import annotations

from typing import Annotated

import typer

from ember_bench.cli._group import LOOK, Command, Group, examples
from ember_bench.cli._output import Status, put_json, put_text

models = typer.Typer(cls=Group, no_args_is_help=True, **LOOK)


@models.callback()
def _models() -> None:
    """Look after model cards."""


@models.command(
    "check",
    cls=Command,
    epilog=examples("ember-bench models check", "ember-bench models check --json"),
)
def check(
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare the prices of all cards with a maintained price list; offline.

    Exit status 1 if any price has drifted.
    """
    from datetime import UTC, datetime

    from ember_bench.models.model_registry import ModelRegistry
    from ember_bench.models.price_list import price_list_version
    from ember_bench.models.prices import PriceStatus, check_prices

    today = datetime.now(UTC).date()
    registry = ModelRegistry.from_cards()
    registry.check_cards()
    checks = check_prices(registry, today)
    if as_json:
        put_json({"price_list": price_list_version(), "date": today, "models": checks})
    else:
        from ember_bench.report.price_table import prices_table

        put_text(prices_table(checks, price_list_version()))
    if any(found.status is PriceStatus.DRIFTED for found in checks):
        raise typer.Exit(Status.FAILURES)
