"""Cards' prices beside those of the price list, in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ember_bench.drawing.number_format import UNDEFINED, count
from ember_bench.drawing.text import one_line
from ember_bench.models.prices import (
    KINDS,
    Change,
    LongContext,
    PriceCheck,
    PriceStatus,
    TokenPrices,
)
from ember_bench.report.layout import flat

_HEADING = ("model", "", "input", "cached", "output", "written", "for 1 h", "read on", "days ago")


def prices_table(checks: Sequence[PriceCheck], price_list: str) -> Text:
    """Return a line for each model, announced and unusual prices, and the number of drifted ones.

    Args:
        checks: The prices compared.
        price_list: The list's name and version.
    """
    text = Text()
    if checks:
        heading, *lines = flat([_HEADING, *map(_line, checks)], left=2)
        text.append(heading + "\n", style="dim")
        for line, check in zip(lines, checks, strict=True):
            text.append(line + "\n", style="bold" if check.drifted else "")
        text.append("\nUS dollars per million tokens; in brackets what the list says.\n")
    for note in _notes(checks):
        text.append(f"- {note}\n", style="dim")
    return text.append(f"\n{_ending(checks, price_list)}", style="bold")


def _line(check: PriceCheck) -> list[str]:
    day = UNDEFINED if check.price_date is None else check.price_date.isoformat()
    age = UNDEFINED if check.age_days is None else f"{check.age_days:,}"
    prices = [_price(check, name) for name in KINDS]
    return [one_line(check.model), check.status.value, *prices, day, age]


def _price(check: PriceCheck, name: str) -> str:
    """Return the card's price, and the list's if it differs."""
    ours = UNDEFINED if check.card is None else _dollars(getattr(check.card, name))
    differs = name in check.drifted or check.status is PriceStatus.UNPRICED
    if check.listed is None or not differs:
        return ours
    return f"{ours} [{_dollars(getattr(check.listed.prices, name))}]"


def _notes(checks: Sequence[PriceCheck]) -> Iterator[str]:
    for check in checks:
        name, found = one_line(check.model), check.listed
        if found is None:
            continue
        otherwise = "changes" in check.drifted or check.status is PriceStatus.UNPRICED
        for change in found.changes:
            yield f"{name} {_from(change)}" + ("; the card says otherwise" if otherwise else "")
        if otherwise and not found.changes:
            yield from (
                f"{name} {_from(change)}; the list does not" for change in check.card_changes
            )
        if "service_tiers" in check.drifted:
            tiers = ", ".join(f"{tier} x {f:g}" for tier, f in found.service_tiers.items())
            yield f"{name}: service tiers {tiers}; the card says otherwise"
        differs = "long_context" in check.drifted or check.status is PriceStatus.UNPRICED
        for long in found.long_context:
            yield f"{name} {_when(long)}" + ("; the card says otherwise" if differs else "")
        if differs and not found.long_context:
            yield from (
                f"{name} {_when(long)}; the list does not" for long in check.card_long_context
            )


def _from(change: Change) -> str:
    return f"from {change.start.isoformat()}: {_all(change.prices)}"


def _when(long: LongContext) -> str:
    return f"when a prompt has over {long.over_tokens:,} tokens: {_all(long.prices)}"


def _ending(checks: Sequence[PriceCheck], price_list: str) -> str:
    drifted = sum(check.status is PriceStatus.DRIFTED for check in checks)
    compared = drifted + sum(check.status is PriceStatus.SAME for check in checks)
    return (
        f"{price_list}: {count(compared, 'card')} of {len(checks):,} compared, {drifted:,} drifted"
    )


def _all(prices: TokenPrices) -> str:
    parts = (prices.input, prices.cached_input, prices.output)
    return "input {}, cached {}, output {}".format(*map(_dollars, parts))


def _dollars(price: float) -> str:
    """Return a price with all its digits."""
    return f"{price:.12g}"
