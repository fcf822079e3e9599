"""The mean of scores on a part of the items, sharpened by another cell's scores on all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ember_bench.stats._arrays import in_unit_interval, vector
from ember_bench.stats.intervals import Estimate, score_bounds, t_critical
from ember_bench.stats.judges import prediction_powered_mean, variance_with_halves

if TYPE_CHECKING:
    import numpy.typing as npt

_FEWEST: Final = 20


def controlled_mean(
    scores: npt.ArrayLike,
    control: npt.ArrayLike,
    rest: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> Estimate | None:
    """Estimate a mean score from a part of the items and a control's scores on all of them.

    A control variate: if the control scores higher on the part than on the rest, the part is an
    easy one. The value and its variance are those of :func:`prediction_powered_mean`, with the
    control in the judge's place: mean(scores) + w (mean(rest) - mean(control)). The control may be
    worse or better; one that errs on other items changes nothing. The part must be random.

    The bounds are Wilson's with Student's t at the number of items that would give this variance
    without a control, so that they are never those of fewer errors than there can be: near 1, those
    of :func:`prediction_powered_mean` are too narrow for that.

    None for fewer than 20 items.

    Args:
        scores: of the cell, in [0, 1], shape ``(n_items,)``.
        control: of the control on the same items, same shape.
        rest: of the control on the others, shape ``(n_others,)``; at least one.
        level: nominal coverage.

    Raises:
        ValueError: other values, or arrays of different lengths.
    """
    x = in_unit_interval(vector(scores, "scores"), "scores")
    found = prediction_powered_mean(control, x, rest, level=level)
    n = x.size
    if found is None or found.standard_error is None or n < _FEWEST or not np.size(rest):
        return None
    alone = variance_with_halves(x, (0.0, 1.0)) / n
    size = min(found.n, n * alone / found.standard_error**2)
    interval = score_bounds(found.value, size, t_critical(level, n - 1), level)
    return replace(found, interval=interval, method="control variate")
