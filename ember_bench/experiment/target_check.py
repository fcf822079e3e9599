"""Check of targets: an evaluator must accept each item's own target."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ember_bench.datasets import Dataset, Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Evaluator, asking_no_model, scored, without_models
from ember_bench.evaluators.by_record import ByRecord

_CHECKED_AT_ONCE: Final = 1_000


def target_problems(dataset: Dataset, evaluator: Evaluator) -> Iterator[str]:
    """Yield a message for each item to which no answer could be right.

    An evaluator with a method `check_item` compares with something else than the target, and tells
    itself what is wrong with an item.

    Args:
        dataset: The items.
        evaluator: The evaluator that scores them.
    """
    evaluator = without_models(evaluator)
    blocking = getattr(evaluator, "blocking", False)

    def check(item: Item) -> str | None:
        own = evaluator.of(item) if isinstance(evaluator, ByRecord) else evaluator
        check_item = getattr(own, "check_item", None)
        try:
            if check_item is not None:
                asking_no_model(own, check_item, item)
                return None
            score = scored(evaluator, item, item.target)
        except ConfigError as error:
            return f"dataset {dataset.name!r}: {error.problems[0].message}"
        if score.value >= 1.0:
            return None
        message = (
            f"dataset {dataset.name!r}: evaluator {evaluator.name!r} does not accept item "
            f"{item.id!r}'s own target, {item.target!r}"
        )
        # A look at a program does not tell why its tests fail.
        return f"{message}: {score.explanation}" if blocking else message

    if not blocking:
        yield from filter(None, map(check, dataset.items))
        return
    items = iter(dataset.items)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        # All at once would hold all items in memory.
        while batch := list(itertools.islice(items, _CHECKED_AT_ONCE)):
            yield from filter(None, threads.map(check, batch))
