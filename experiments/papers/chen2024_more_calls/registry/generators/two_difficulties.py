"""Items of two difficulties, as section 4 of Chen et al. (2024) has them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ember_bench.datasets import Item, SplitMix, generator


@generator("two_difficulties")
def two_difficulties(
    random: SplitMix, item_id: str, *, easy_percent: Annotated[int, Field(ge=0, le=100)] = 50
) -> Item:
    """Ask for the sum of two numbers; an item is easy in `easy_percent` of the cases."""
    a, b = random.between(1000, 9999), random.between(1000, 9999)
    easy = random.between(1, 100) <= easy_percent
    return Item(
        item_id,
        f"What is {a} + {b}?",
        str(a + b),
        answer_format="number",
        category="easy" if easy else "hard",
        difficulty=0.0 if easy else 1.0,
    )
