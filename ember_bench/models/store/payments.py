"""Payments for requests, and their sums by account.

A request that was answered is paid for, also if its answer cannot be used. Its price may be
unknown. A request without an answer may have been charged.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

# Integers add up to the same sum in any order.
_UNITS_PER_DOLLAR: Final = 10**12


class Payment(msgspec.Struct, frozen=True, gc=False):
    """One request and its price.

    Attributes:
        account: Account that it is paid on.
        usd: Its price in US dollars; None if it is unknown.
        most_usd: The most that it can have cost if there was no answer; None if nothing limits it.
        answered: Whether an answer came, usable or not.
    """

    account: str
    usd: float | None
    most_usd: float | None = None
    answered: bool = True


@dataclass(frozen=True, slots=True)
class Paid:
    """Sums over the payments on one account.

    Attributes:
        requests: Requests that were answered.
        spend_usd: Their cost, as far as it is known.
        unpriced: Those of them whose cost is unknown.
        unanswered: Requests without an answer, which may have been charged.
        unanswered_usd: The most that these can have cost; None if nothing limits it.
    """

    requests: int
    spend_usd: float
    unpriced: int = 0
    unanswered: int = 0
    unanswered_usd: float | None = 0.0


class Sums(msgspec.Struct, frozen=True):
    """Sums over payments as integers: counts, and money in `units`."""

    requests: int = 0
    spend: int = 0
    unpriced: int = 0
    unanswered: int = 0
    most: int = 0
    unbounded: int = 0

    def plus(self, payment: Payment) -> Sums:
        """Return the sums with one more payment."""
        if payment.answered:
            return Sums(
                self.requests + 1,
                self.spend + units(payment.usd or 0.0),
                self.unpriced + (payment.usd is None),
                self.unanswered,
                self.most,
                self.unbounded,
            )
        return msgspec.structs.replace(
            self,
            unanswered=self.unanswered + 1,
            most=self.most + units(payment.most_usd or 0.0),
            unbounded=self.unbounded + (payment.most_usd is None),
        )

    @property
    def paid(self) -> Paid:
        """The same in US dollars."""
        most = None if self.unbounded else dollars(self.most)
        return Paid(self.requests, dollars(self.spend), self.unpriced, self.unanswered, most)


def sums_of(payments: Iterable[Payment]) -> dict[str, Sums]:
    """Return the sums over payments by account."""
    found: dict[str, Sums] = {}
    for payment in payments:
        found[payment.account] = found.get(payment.account, Sums()).plus(payment)
    return found


class Accounts:
    """Payments in memory, for several threads."""

    def __init__(self) -> None:
        self._sums: dict[str, Sums] = {}
        self._lock = threading.Lock()

    def add(self, payment: Payment) -> None:
        """Add a payment."""
        with self._lock:
            sums = self._sums.get(payment.account, Sums())
            self._sums[payment.account] = sums.plus(payment)

    def paid(self, account: str) -> Paid:
        """Return the sums of an account."""
        with self._lock:
            return self._sums.get(account, Sums()).paid


def units(usd: float) -> int:
    """Return US dollars as an integer, for sums that do not depend on the order."""
    return round(usd * _UNITS_PER_DOLLAR)


def dollars(amount: int) -> float:
    """Return a sum of `units` in US dollars."""
    return amount / _UNITS_PER_DOLLAR
