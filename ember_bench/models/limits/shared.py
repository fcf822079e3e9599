"""Requests and tokens per minute, counted over all processes of one machine.

This is the generic cell rate algorithm (ITU-T I.371): the state of a bucket is one number, the time
at which it will be full again. The number is in a small file, which is locked for the microseconds
of a read and a write. Taking returns the seconds to wait, so that no process polls. A process takes
for one request at a time, so that little is lost when it is killed.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Final

from ember_bench import host
from ember_bench.models.info import ModelInfo

STATE_VARIABLE: Final = "EMBER_BENCH_STATE"

_LOGGER: Final = logging.getLogger("ember_bench.limits")

_MINUTE: Final = 60.0
_MORE_SECONDS: Final = 0.05
# Time at which the bucket is full, and the time at which the clock stood at zero.
_STATE: Final = Struct("<dd")
# The same clock may be read a little differently; one that was set, or a restart, shows by more.
_SAME_CLOCK_SECONDS: Final = 60.0
# Each process takes a minute's worth at most before it waits for it.
_LONGEST_WAIT_SECONDS: Final = 3_600.0
_DIGEST_BYTES: Final = 16


def clock_zero() -> float:
    """Return when the monotonic clock stood at zero, in seconds since the epoch: at the start."""
    return time.time() - time.monotonic()


class SharedBucket:
    """A token bucket: so much a minute, in bursts of at most a second's worth.

    No minute has more in it than `per_minute`, but for what a single request takes beyond a
    second's worth, and for what is settled afterwards.

    Args:
        per_minute: Requests or tokens.
        path: The file that processes share; None counts for this process alone. Where it cannot
            be used, that is logged, and the process counts alone too.
        clock: Seconds, the same in all processes.
        zero: When `clock` stood at zero; another zero makes what the file says void.
    """

    def __init__(
        self,
        per_minute: float,
        path: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        zero: Callable[[], float] = clock_zero,
    ) -> None:
        self.per_minute = per_minute
        self._burst = max(1.0, per_minute / _MINUTE)
        # A minute of the rate and a burst make `per_minute`: the one that is at both ends of the
        # minute is counted once, as long as the minute is a little longer.
        self._rate = (per_minute - self._burst + 1) / (_MINUTE + _MORE_SECONDS)
        self._path = path
        self._clock = clock
        self._zero = zero
        self._full_at: float | None = None

    def take(self, amount: float) -> float:
        """Take `amount`, and return the seconds to wait before using it.

        What is more than a minute's worth counts as that: it could never be had.
        """
        amount = min(amount, self.per_minute)
        now = self._clock()
        full_at = self._move(amount / self._rate, now)
        return max(0.0, full_at - self._burst / self._rate - now)

    def settle(self, taken: float, used: float) -> float:
        """Give back what was taken and not used, or take what was used beyond it.

        Returns:
            By how many seconds that shortens the waits of those that took later.
        """
        difference = min(used, self.per_minute) - min(taken, self.per_minute)
        if difference:
            self._move(difference / self._rate, self._clock())
        return -difference / self._rate

    def _move(self, seconds: float, now: float) -> float:
        """Move the time at which the bucket is full; return it."""
        if self._path is not None:
            try:
                return self._move_shared(self._path, seconds, now)
            except OSError as error:
                _LOGGER.warning(
                    "%s: cannot be used (%s): limits are kept by each process for itself",
                    self._path,
                    error.strerror,
                )
                self._path = None
        self._full_at = _moved(self._full_at, seconds, now)
        return self._full_at

    def _move_shared(self, path: Path, seconds: float, now: float) -> float:
        zero = self._zero()
        # Opened anew each time: a lock belongs to what was opened, which a fork would share.
        file = host.open_to_lock(path, 0o600)
        try:
            host.lock(file)
            full_at = _moved(self._read(file, zero), seconds, now)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, _STATE.pack(full_at, zero))
        finally:
            os.close(file)
        return full_at

    def _read(self, file: int, zero: float) -> float | None:
        os.lseek(file, 0, os.SEEK_SET)
        content = os.read(file, _STATE.size + 1)
        if len(content) != _STATE.size:
            return None  # new, or not ours
        full_at, its_zero = _STATE.unpack(content)
        if not abs(its_zero - zero) < _SAME_CLOCK_SECONDS:
            return None
        if not full_at - self._clock() < _LONGEST_WAIT_SECONDS:
            return None  # damaged: nobody would ever be let in
        return float(full_at)


def _moved(full_at: float | None, seconds: float, now: float) -> float:
    # The comparison is also false for what is no number.
    start = full_at if full_at is not None and full_at > now else now
    return max(start + seconds, now)


def state_folder() -> Path:
    """Return where processes of one user share what they have to: a folder in the user's cache.

    `EMBER_BENCH_STATE` names another one.
    """
    if named := os.environ.get(STATE_VARIABLE):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(cache, "ember-bench", "limits")


def shared_path(model: ModelInfo, unit: str, key: str | None = None) -> Path | None:
    """Return the file in which `unit` of a model and a key are counted; makes the folder.

    The key is by default the one that the model has, or the environment has for its provider.

    Its name is a hash: neither key nor model can be read from it. None, and a warning, where
    there can be no such folder.
    """
    if key is None:
        given = model.key
        key = given.get_secret_value() if given is not None else _key_of(model.provider_name)
    content = (model.provider_name, model.provider.base_url or "", model.model_name, key.strip())
    digest = blake2b("\n".join(content).encode(), digest_size=_DIGEST_BYTES, person=b"ember-limits")
    try:
        folder = state_folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError) as error:
        _LOGGER.warning("limits are kept by each process for itself: %s", error)
        return None
    return folder / f"{digest.hexdigest()}.{unit}"


def _key_of(provider_name: str) -> str:
    """Return the key that the environment has for a provider, by the name that SDKs give it."""
    return os.environ.get(f"{provider_name.upper().replace('-', '_')}_API_KEY", "")
