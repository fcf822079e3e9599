"""Caps on spending that hold at any concurrency.

The highest possible cost of a call is reserved before it starts, and its real cost is settled when
it has ended. Reservations and spending together never exceed the cap, so spending alone cannot. A
call waits if reservations may still be released. It is rejected if the budget cannot cover it even
then.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ember_bench.errors import BudgetExhaustedError, ConfigError

_LOGGER: Final = logging.getLogger("ember_bench.limits")

# Whole billionths of a dollar: sums of them are exact.
_UNIT: Final = 10**9


class Held(Protocol):
    """Money that is kept for one call until it is settled."""

    def settle(self, usd: float | None, *, known: float | None = None) -> None:
        """Spend `usd` of it and free the rest; see `Reservation.settle`."""


class Funds(Protocol):
    """Where the money for calls is reserved: a budget, or the way to one in another process."""

    async def reserve(self, usd: float, model_id: str, cell: str = "") -> Held:
        """Reserve what a call may cost at most; see `Budget.reserve`."""


@dataclass(slots=True)
class _Account:
    """Money for one purpose, in billionths of a dollar."""

    name: str
    cap: int
    spent: int = 0
    reserved: int = 0
    unsure: int = 0
    kept: int = 0
    closed: bool = False

    def fits(self, amount: int) -> bool:
        return self.spent + self.reserved + amount <= self.cap - self.kept

    def ever_fits(self, amount: int) -> bool:
        return self.spent + amount <= self.cap - self.kept

    def __str__(self) -> str:
        spent, cap, least = (n / _UNIT for n in (self.spent, self.cap, self.spent - self.unsure))
        said = f"{self.name}: ${spent:.6f} of ${cap:.10g} spent"
        if not self.unsure:
            return said
        return f"{said}, at most: ${least:.6f} is known, and not every answer came with its tokens"


@dataclass(slots=True, eq=False)
class _Waiter:
    amount: int
    accounts: Sequence[_Account]
    future: asyncio.Future[None]
    held: bool = False

    def hold(self) -> None:
        self.held = True
        for account in self.accounts:
            account.reserved += self.amount

    def tell(self, error: BudgetExhaustedError | None) -> None:
        self.future.get_loop().call_soon_threadsafe(self._resolve, error)

    def _resolve(self, error: BudgetExhaustedError | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


class Reservation:
    """Money that is kept for one call until it is settled."""

    __slots__ = ("_amount", "_budget", "accounts")

    def __init__(self, budget: Budget, amount: int, accounts: Sequence[_Account]) -> None:
        self._budget = budget
        self._amount = amount
        self.accounts = accounts

    def settle(self, usd: float | None, *, known: float | None = None) -> None:
        """Spend `usd` of it and free the rest; None spends all of it. Only the first time counts.

        More than was reserved is spent too, as it is owed; it is logged.

        Args:
            usd: The cost, or the most that it can be.
            known: The least that it can be, if it is not known.
        """
        amount, self._amount = self._amount, -1
        if amount < 0:
            return
        spent = amount if usd is None else _units(usd)
        if spent > amount:
            names = ", ".join(account.name for account in self.accounts)
            _LOGGER.warning(
                "a call cost $%.9f, more than the $%.9f that it could (%s)",
                spent / _UNIT,
                amount / _UNIT,
                names,
            )
        unsure = 0 if known is None and usd is not None else spent - _units(known or 0.0)
        self._budget.free(self.accounts, amount, spent, max(0, unsure))


@dataclass
class Budget:
    """Caps on what calls may cost, in US dollars.

    Safe to use from several threads and event loops.

    Attributes:
        run_usd: For everything; None for no cap.
        models_usd: For each model, by id.
        cells_usd: For each cell, by name.
    """

    run_usd: float | None = None
    models_usd: Mapping[str, float] = field(default_factory=dict)
    cells_usd: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Open the accounts."""
        self._run = None if self.run_usd is None else _account("the run", self.run_usd)
        self._models = {name: _account(name, usd) for name, usd in self.models_usd.items()}
        self._cells = {name: _account(name, usd) for name, usd in self.cells_usd.items()}
        self._waiting: list[_Waiter] = []
        self._lock = threading.Lock()

    def part(self, share: float) -> Budget:
        """Return a budget of its own with a share of each cap, in [0, 1]."""

        def parts(caps: Mapping[str, float]) -> dict[str, float]:
            return {name: usd * share for name, usd in caps.items()}

        run_usd = None if self.run_usd is None else self.run_usd * share
        return Budget(run_usd, parts(self.models_usd), parts(self.cells_usd))

    def keep(self, usd: float) -> None:
        """Keep so much of the run's cap back for later calls, in place of what was kept before.

        Calls that would need it are rejected. That an earlier call was rejected no longer counts.
        """
        if self._run is not None:
            with self._lock:
                self._run.kept = min(self._run.cap, _units(usd))
                self._run.closed = False
                self._serve()

    @property
    def keeps(self) -> bool:
        """Whether money is kept back for later calls."""
        return self._run is not None and self._run.kept > 0

    async def reserve(self, usd: float, model_id: str, cell: str = "") -> Reservation:
        """Reserve what a call may cost at most, waiting for money that may yet be freed.

        Args:
            usd: The most it may cost.
            model_id: Who is asked.
            cell: Name of the cell whose trial asks.

        Raises:
            BudgetExhaustedError: if the money that is not spent would not be enough.
        """
        accounts = self._accounts(model_id, cell)
        waiter = _Waiter(_units(usd), accounts, asyncio.get_running_loop().create_future())
        with self._lock:
            if not self._waiting and all(account.fits(waiter.amount) for account in accounts):
                waiter.hold()
                return Reservation(self, waiter.amount, accounts)
            self._waiting.append(waiter)
            self._serve()
        try:
            await waiter.future
        except asyncio.CancelledError:
            self._forget(waiter)
            raise
        return Reservation(self, waiter.amount, accounts)

    def free(
        self, accounts: Sequence[_Account], reserved: int, spent: int, unsure: int = 0
    ) -> None:
        """Turn a reservation into spending, of which `unsure` is taken at its worst.

        All in billionths of a dollar.
        """
        with self._lock:
            for account in accounts:
                account.reserved -= reserved
                account.spent += spent
                account.unsure += unsure
            self._serve()

    def may_begin(self, cell: str, models: Iterable[str]) -> bool:
        """Whether a trial of `cell`, which asks `models`, may start.

        Not so after a call of that cell, or to one of its models, was turned away.
        """
        known = [self._cells.get(cell), *map(self._models.get, models)]
        return not self.exhausted and not any(account and account.closed for account in known)

    @property
    def exhausted(self) -> bool:
        """Whether a call was rejected by the cap of the whole run."""
        return self._run is not None and self._run.closed

    @property
    def reached(self) -> list[str]:
        """The caps that rejected a call, with their spending, as text."""
        accounts = [self._run, *self._models.values(), *self._cells.values()]
        return [str(account) for account in accounts if account is not None and account.closed]

    def _accounts(self, model_id: str, cell: str) -> list[_Account]:
        found = (self._run, self._models.get(model_id), self._cells.get(cell))
        return [account for account in found if account is not None]

    def _serve(self) -> None:
        """Give money to those who wait, in their order within each account."""
        blocked: set[int] = set()
        left: list[_Waiter] = []
        for number, waiter in enumerate(self._waiting):
            if self._run is not None and id(self._run) in blocked:
                left += self._waiting[number:]
                break
            never = [a for a in waiter.accounts if not a.ever_fits(waiter.amount)]
            short = [a for a in waiter.accounts if not a.fits(waiter.amount) or id(a) in blocked]
            if never:
                for account in never:
                    account.closed = True
                waiter.tell(_exhausted(waiter.amount, never))
            elif short:
                # Those behind it must not take what it waits for.
                blocked.update(map(id, short))
                left.append(waiter)
            else:
                waiter.hold()
                waiter.tell(None)
        self._waiting = left

    def _forget(self, waiter: _Waiter) -> None:
        """Take back what a cancelled waiter waits for, or was just given."""
        with self._lock:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            if waiter.held:
                for account in waiter.accounts:
                    account.reserved -= waiter.amount
            self._serve()


def _exhausted(amount: int, accounts: Sequence[_Account]) -> BudgetExhaustedError:
    too_small = [account for account in accounts if amount > account.cap]
    if too_small:
        caps = ", ".join(f"{account.name}: ${account.cap / _UNIT:.10g}" for account in too_small)
        return BudgetExhaustedError(
            f"one call reserves ${amount / _UNIT:.6f}, more than the budget ({caps}): give a "
            "smaller max_tokens or raise the budget"
        )
    return BudgetExhaustedError(
        f"no money left for a call that may cost ${amount / _UNIT:.6f} ("
        + "; ".join(map(str, accounts))
        + ")"
    )


def _account(name: str, usd: float) -> _Account:
    if not (math.isfinite(usd) and usd >= 0):
        raise ConfigError(f"budget_usd: expected US dollars for {name}, found {usd!r}")
    return _Account(name, math.floor(usd * _UNIT))


def _units(usd: float) -> int:
    return max(0, math.ceil(usd * _UNIT))
