"""The common interface of batch APIs: requests in, answers within a day.

OpenAI, Anthropic and Google take many requests at once for half their price. `BatchQueue` gathers
calls and waits; the `BatchApi` of a provider submits batches and reads results.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from ember_bench.errors import ProviderError
from ember_bench.models.types import Completion
from ember_bench.models.wire.failures import BlockedError

if TYPE_CHECKING:
    from ember_bench.models.call import Call

ClientT_co = TypeVar("ClientT_co", covariant=True)

CLOCK_SKEW_SECONDS: Final = 600.0
"""The most that a provider's clock may differ from ours."""


class BatchRequest(msgspec.Struct, frozen=True):
    """One call as a batch has it.

    Attributes:
        key: The call key in hexadecimal: it tells whose answer is whose.
        body: What the provider's API takes.
        size: Bytes that it takes in a batch.
    """

    key: str
    body: dict[str, Any]
    size: int

    @classmethod
    def of(cls, call: Call, body: dict[str, Any], around: int) -> BatchRequest:
        """Return `body` as the request for `call`, with so many bytes around it."""
        return cls(call.key.hex(), body, len(msgspec.json.encode(body)) + around)


class OpenBatch(msgspec.Struct, frozen=True):
    """A batch whose answers are not all in the response store yet.

    Attributes:
        token: Our own name for it, which the provider is told.
        id: The provider's; None as long as it is not known to have taken the batch.
        model: Of all its calls.
        count: Its requests when it was submitted.
        begun: When it was about to be submitted, in seconds since the epoch.
        owner: The process that submitted it.
    """

    token: str
    id: str | None
    model: str
    count: int
    begun: float
    owner: int


Outcome = Completion | ProviderError


def with_blocked(outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Return outcomes in which a prompt that a content filter blocked is an answer."""
    return {
        key: outcome.completion if isinstance(outcome, BlockedError) else outcome
        for key, outcome in outcomes.items()
    }


class Adapter(Protocol[ClientT_co]):
    """The part of a provider that its batches use."""

    def connected(self) -> ClientT_co:
        """Return the SDK's client."""

    def explained(self) -> AbstractContextManager[None]:
        """Turn errors of the SDK and of the server into `ProviderError`."""

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return the SDK's arguments for `call`.

        Raises:
            ConfigError: if the API cannot take it.
        """


class Payer(Protocol):
    """The money of one call."""

    async def begin(self) -> None:
        """Reserve the money for the next request, if it is not reserved yet."""

    async def fail(self, error: ProviderError) -> None:
        """Pay for a request that ended in `error`, if that costs anything."""


class BatchFailedError(ProviderError):
    """The provider did none of a batch: nothing was asked, and nothing is to be paid."""


class UndecidedError(ProviderError):
    """It cannot be told yet whether a batch was taken."""


class BatchApi(Protocol):
    """Submits batches of one model and reads what became of them."""

    @property
    def most_requests(self) -> int:
        """The most requests of one batch."""

    @property
    def most_bytes(self) -> int:
        """The most bytes of requests in one batch."""

    def request(self, call: Call) -> BatchRequest:
        """Return `call` as a batch has it.

        Raises:
            ConfigError: if the API cannot take it.
        """

    async def submit(self, requests: Sequence[BatchRequest], token: str) -> str:
        """Submit a batch that can be found by `token` later; return the provider's id of it.

        Raises:
            ProviderError: if it was not taken, or that is not known.
        """

    async def find(self, batch: OpenBatch, others: Collection[str]) -> str | None:
        """Return the id of a batch that may have been taken; None if there is none.

        Args:
            batch: What was to be submitted.
            others: Ids of other batches.

        Raises:
            UndecidedError: if that cannot be told before some other batch has ended.
            ProviderError: if the provider does not say.
        """

    async def results(
        self, batch: OpenBatch, batch_id: str, places: Mapping[int, str]
    ) -> Mapping[str, Outcome] | None:
        """Return by key what became of each request; None as long as the batch goes on.

        What was not done, as the batch expired or was cancelled, is missing or an error that may
        pass.

        Args:
            batch: What was submitted.
            batch_id: The provider's id of it.
            places: The keys that are still of interest, by their place in the batch, from 0.

        Raises:
            BatchFailedError: if none of it was done.
            ProviderError: if the provider does not say.
        """
