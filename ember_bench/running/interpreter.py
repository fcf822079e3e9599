"""Settings of the Python interpreter for a process that does nothing but run trials."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Objects that a thousand trials make and that reference counting frees.
_COLLECT_AFTER: Final = 50_000

# The default is 5 ms, longer than a commit.
_SWITCH_SECONDS: Final = 0.0005


@contextmanager
def tuned() -> Iterator[None]:
    """Collect garbage rarely and switch threads often; the settings before return at the end.

    Trials leave nearly no garbage, but make so many objects that the collector would walk all of
    them all the time: a seventh of a simulated trial. The thread that stores answers takes the
    interpreter half a dozen times for a commit, and may wait for a switch each time.
    """
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.freeze()
    if thresholds[0]:  # else the collector is off
        gc.set_threshold(max(_COLLECT_AFTER, thresholds[0]), *thresholds[1:])
    sys.setswitchinterval(min(_SWITCH_SECONDS, interval))
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
