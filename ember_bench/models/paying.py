"""The money of one call: reserved before each of its requests, paid after it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Final, Protocol

from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.budget import Funds, Held
from ember_bench.models.call import Call, Request
from ember_bench.models.info import Charged, ModelInfo
from ember_bench.models.store.payments import Payment
from ember_bench.models.strand import measuring
from ember_bench.models.types import Completion, UnusableAnswerError, Usage
from ember_bench.models.worst_case import bounds_usd, unbounded, worst_case_usd


class Ledger(Protocol):
    """Where the payments for requests without a usable answer are kept."""

    def check(self) -> None:
        """See that payments and answers can be kept.

        Raises:
            StoreError: if not: another request would be paid in vain.
        """

    async def pay(self, usd: float | None, most_usd: float | None, *, answered: bool) -> None:
        """Keep the payment for a request, see `Payment`."""


class Unkept:
    """A ledger that keeps nothing."""

    def check(self) -> None:
        """Do nothing."""

    async def pay(self, usd: float | None, most_usd: float | None, *, answered: bool) -> None:
        """Forget the payment."""


class AccountLedger:
    """A ledger that keeps payments on one account.

    Args:
        account: The account.
        pay: Keeps a payment.
        check: Sees that payments can be kept.
    """

    __slots__ = ("_account", "_pay", "check")

    def __init__(
        self,
        account: str,
        pay: Callable[[Payment], Awaitable[None]],
        check: Callable[[], None],
    ) -> None:
        self._account = account
        self._pay = pay
        self.check = check

    async def pay(self, usd: float | None, most_usd: float | None, *, answered: bool) -> None:
        """Keep the payment for a request."""
        await self._pay(Payment(self._account, usd, most_usd, answered))


_NO_DAY: Final = date.min  # no request was made yet


def utc_today() -> date:
    """Return today's date in UTC, by which prices change."""
    return datetime.now(UTC).date()


def cost_without_cache(model: ModelInfo, completion: Completion) -> float | None:
    """Return what an answer would cost if the provider kept no prompts; None if it is unknown."""
    usage, cost = completion.usage, completion.cost_usd
    if cost is None or not (usage.cached_input_tokens or usage.cache_write_tokens):
        return cost
    price = model.price(utc_today())
    return None if price is None else price.without_cache(usage, cost)


def price_of(request: Request, answer: Charged, day: date) -> float | None:
    """Return the price in US dollars of an answer of a day; None if it is unknown."""
    if request.parameters.server_tools and answer.cost_usd is None:
        return answer.stated_usd  # its tokens are not all that is charged
    return request.model.charge(answer, day, request.parameters.service_tier)


class Tab:
    """The money of one call.

    Each request reserves the most that it can cost. An answer is paid, whether it can be used or
    not: before the same question is asked again, the money for that is reserved anew. The prices
    are those of the day on which the request is made.

    Args:
        call: The call.
        budget: Caps on spending; None for none.
        ledger: Where payments for unusable answers are kept.
        today: Today's date in UTC; injected in tests.
    """

    __slots__ = ("_budget", "_call", "_day", "_ledger", "_reservation", "_today")

    def __init__(
        self,
        call: Call,
        budget: Funds | None,
        ledger: Ledger,
        today: Callable[[], date] = utc_today,
    ) -> None:
        self._call = call
        self._budget = budget
        self._ledger = ledger
        self._reservation: Held | None = None
        self._today = today
        self._day = _NO_DAY

    async def begin(self) -> None:
        """Prepare the next request: see that its answer can be kept, and reserve its money.

        Raises:
            StoreError: if an answer could not be kept.
            BudgetExhaustedError: if the budget cannot cover it.
            ConfigError: if a budget cannot be kept as nothing limits what the call costs.
        """
        self.check()
        if (today := self._today()) != self._day:
            self._day = today
            if self._reservation is not None:  # made at another day's price
                self._reservation.settle(0.0)
                self._reservation = None
        if self._budget is not None and self._reservation is None:
            self._reservation = await self._reserve(self._budget)

    def check(self) -> None:
        """See that an answer can be kept.

        Raises:
            StoreError: if it cannot.
        """
        self._ledger.check()

    async def fail(self, error: ProviderError) -> None:
        """Pay for a request that ended in `error`; it is durable on return.

        Raises:
            StoreError: if the payment could not be kept.
        """
        if isinstance(error, UnusableAnswerError):
            cost = self.charge(error)
            self._settle(error.usage, cost)
            for log in (self._call.trial, *measuring.get()):
                log.add_wasted(cost)
            await self._ledger.pay(cost, None, answered=True)
        elif error.may_be_charged:
            await self._ledger.pay(None, self.most_usd(), answered=False)

    def most_usd(self) -> float | None:
        """Return the most that the next request can cost in US dollars; None if unknown."""
        return worst_case_usd(self._call.request, self._day)

    def charge(self, answer: Charged) -> float | None:
        """Return the price of an answer in US dollars; None if it is unknown."""
        return price_of(self._call.request, answer, self._day)

    def settle(self, completion: Completion) -> None:
        """Pay for the answer; its cost is filled in, as far as it is known."""
        self._settle(completion.usage, completion.cost_usd)

    def close(self) -> None:
        """Free the money that no request needs any more."""
        if self._reservation is not None:
            self._reservation.settle(0.0)

    def _settle(self, usage: Usage, cost: float | None) -> None:
        reservation, self._reservation = self._reservation, None
        if reservation is None:
            return
        if cost is None:
            # A server that does not count its tokens may charge for all that there can be.
            least, most = bounds_usd(self._call.request, usage, self._day) or (0.0, None)
            reservation.settle(most, known=least)
        else:
            reservation.settle(cost)

    async def _reserve(self, budget: Funds) -> Held:
        request, purse = self._call.request, self._call.trial.purse
        if (most := self.most_usd()) is None:
            reason = unbounded(request.model, request.parameters, self._day)
            raise ConfigError(
                f"no budget can be kept: {reason or 'nothing limits what a call costs'}"
            )
        return await budget.reserve(most, request.model.model_id, purse.cell if purse else "")
