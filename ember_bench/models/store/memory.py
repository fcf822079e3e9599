"""A response store in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from ember_bench.models.store.payments import Accounts, Paid, Payment
from ember_bench.models.store.rows import StoredCall
from ember_bench.models.types import Completion


class MemoryStore:
    """Finished calls by call key, in memory: for notebooks, and for models that cost nothing.

    A call that was answered is not made again, and has the same identity as with a `ResponseStore`;
    but an answer that was paid for is lost with the process. Several loops may use one.
    """

    def __init__(self) -> None:
        self._calls: dict[bytes, StoredCall] = {}
        self._accounts = Accounts()
        self._lock = threading.Lock()

    def get(self, key: bytes) -> Completion | None:
        """Return the answer of a call, or None."""
        found = self._calls.get(key)
        return found.completion if found is not None else None

    async def put(
        self,
        call: StoredCall,
        *,
        account: str = "",
        spend_usd: float | None = 0.0,
        patient: bool = False,
    ) -> Completion:
        """Keep a finished call; returns the first answer that it had, see `ResponseStore.put`."""
        del patient  # nothing is waited for
        self._accounts.add(Payment(account, spend_usd))
        with self._lock:
            return self._calls.setdefault(call.key, call).completion

    def knows(self, key: bytes) -> bool:
        """Return whether a call was answered."""
        return key in self._calls

    def keep(self, call: StoredCall, *, account: str = "") -> None:
        """Keep a new call that cost nothing."""
        self._accounts.add(Payment(account, 0.0))
        self._calls.setdefault(call.key, call)

    def flush(self) -> None:
        """Do nothing: nothing waits to be kept."""

    async def pay(self, payment: Payment) -> None:
        """Keep the payment for a request without a usable answer."""
        self._accounts.add(payment)

    def check(self) -> None:
        """Do nothing: memory can always be written to."""

    def paid(self, account: str) -> Paid:
        """Return the sums of the payments on `account`."""
        return self._accounts.paid(account)

    def calls(self, keys: Iterable[bytes]) -> dict[bytes, StoredCall]:
        """Return the calls among `keys` with their prompts."""
        return {key: found for key in keys if (found := self._calls.get(key)) is not None}

    def __deepcopy__(self, memo: dict[int, object]) -> MemoryStore:
        """Return the store itself: a copy would ask again for what it has."""
        return self

    def __reduce__(self) -> tuple[type[MemoryStore], tuple[()]]:
        """Pickle an empty store: the answers are in this process."""
        return MemoryStore, ()

    def __len__(self) -> int:
        return len(self._calls)

    def close(self) -> None:
        """Keep everything: the next service may go on with it."""
