"""The base class of providers whose SDK is OpenAI's or Anthropic's."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ember_bench.models.providers.http_provider import (
    ClientT,
    WireProvider,
    body_failure,
    was_sent,
)
from ember_bench.models.transport.sdk_pool import connecting
from ember_bench.models.wire.adapting import body_of, bound_answer
from ember_bench.models.wire.failures import UnreadableError

if TYPE_CHECKING:
    from types import ModuleType

    from ember_bench.errors import ProviderError


class GeneratedProvider(WireProvider[ClientT]):
    """Asks through OpenAI's or Anthropic's SDK: one generator wrote both, and their errors."""

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Make a `ProviderError` of whatever goes wrong between the SDK and the server."""
        sdk, errors = self._sdk()
        library = library_of(sdk)
        try:
            yield
        except errors as error:
            raise self._explained(sdk, error) from None
        except library.HTTPError as error:  # from the body of a stream
            raise body_failure(self._errors, library, error) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            # The SDK lets a body that is not JSON, or not text, through as it is.
            raise self._errors.malformed(f"not JSON: {error}") from None
        except UnreadableError as error:
            raise self._errors.unreadable(error) from None

    @classmethod
    def _sdk(cls) -> tuple[ModuleType, type[Exception]]:
        """Import the SDK: return it, and the class of all its errors."""
        raise NotImplementedError

    async def _disconnect(self, client: Any) -> None:
        await client.close()

    def _explained(self, sdk: Any, error: Any) -> ProviderError:
        if isinstance(error, sdk.APITimeoutError):
            return self._errors.timeout(sent=was_sent(error.__cause__))
        if isinstance(error, sdk.APIConnectionError):
            return self._errors.connection(error, sent=was_sent(error.__cause__))
        if isinstance(error, sdk.APIStatusError):
            response = error.response
            return self._refusal(response.status_code, response.headers, body_of(response.content))
        if isinstance(error, sdk.APIResponseValidationError):
            return self._errors.malformed(str(error))
        return self._errors.other(error)


def known_to(create: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return `arguments` as a method of an SDK takes them: what it does not know as `extra_body`.

    Args:
        create: The method.
        arguments: Fields of the body, and the SDK's own `extra_headers`.
    """
    known = inspect.signature(create).parameters
    others = {name: value for name, value in arguments.items() if name not in known}
    taken = {name: value for name, value in arguments.items() if name in known}
    return {**taken, "extra_body": others} if others else taken


def library_of(sdk: Any) -> ModuleType:
    """Return the library below an SDK: httpx below OpenAI's 2.x, httpx2 below later ones."""
    of = type(sdk.DEFAULT_CONNECTION_LIMITS)
    return importlib.import_module(of.__module__.partition(".")[0])


def pooled(sdk: Any, size: int) -> Any:
    """Return an HTTP client for an SDK with as many connections as there may be requests."""
    library = library_of(sdk)
    return sdk.DefaultAsyncHttpxClient(
        **connecting(library, size), event_hooks={"response": [bound_answer]}
    )
