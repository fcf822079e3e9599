"""Credentials that the clouds' own libraries find and renew: Google's, Microsoft's and Amazon's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC
from typing import Any, Final

from ember_bench.errors import ConfigError
from ember_bench.models.wire.adapting import require
from ember_bench.secrets import remember

_GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_ENTRA_SCOPE: Final = "https://cognitiveservices.azure.com/.default"
# Of Google's, if they do not say when they end.
_USUAL_SECONDS: Final = 3600.0
# A token is renewed before it ends: requests take their time, and clocks differ.
_EARLY_SECONDS: Final = 300.0

Fetched = tuple[str, float]
"""A token, and when it ends, in seconds since the epoch."""


class Bearer:
    """A token that goes with each request, and is renewed before it ends.

    Args:
        fetch: Returns a new token of the cloud's library; it may block.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, fetch: Callable[[], Fetched], clock: Callable[[], float] = time.time
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._fetched: Fetched = ("", 0.0)
        self._renewing = asyncio.Lock()

    def check(self) -> None:
        """See that there is a token, before any request.

        Raises:
            ConfigError: if there are no credentials, or they are refused.
        """
        self._fetched = self._fetch()
        remember(self._fetched[0])

    async def headers(self) -> dict[str, str]:
        """Return the header that has the token.

        Raises:
            ConfigError: as `token` does.
        """
        return {"Authorization": f"Bearer {await self.token()}"}

    async def token(self) -> str:
        """Return the token.

        Raises:
            ConfigError: if there are no credentials, or they are refused.
        """
        async with self._renewing:
            if self._fetched[1] - self._clock() < _EARLY_SECONDS:
                self._fetched = await asyncio.to_thread(self._fetch)
                remember(self._fetched[0])
            return self._fetched[0]


def google_credentials() -> Any:
    """Return Google's application default credentials.

    Raises:
        ConfigError: if there are none.
    """
    import google.auth  # noqa: PLC0415 - takes its time, and few need it
    from google.auth import exceptions  # noqa: PLC0415 - the same

    try:
        return google.auth.default(scopes=[_GOOGLE_SCOPE])[0]
    except exceptions.GoogleAuthError as error:
        raise ConfigError(f"Google's credentials: {error}") from None


def google_bearer() -> Bearer:
    """Return the token of Google's application default credentials."""
    found: list[Any] = []

    def fetch() -> Fetched:
        from google.auth import exceptions  # noqa: PLC0415 - see `google_credentials`
        from google.auth.transport.requests import Request  # noqa: PLC0415 - the same

        if not found:
            found.append(google_credentials())
        try:
            found[0].refresh(Request())
        except exceptions.GoogleAuthError as error:
            raise ConfigError(f"Google's credentials: {error}") from None
        end = found[0].expiry  # in UTC, though it does not say so
        ends = time.time() + _USUAL_SECONDS if end is None else end.replace(tzinfo=UTC).timestamp()
        return str(found[0].token), ends

    return Bearer(fetch)


def entra_bearer() -> Bearer:
    """Return the token that Azure OpenAI takes, of Microsoft Entra's default credential.

    Raises:
        ConfigError: if azure-identity is not installed.
    """
    require("azure.identity", "entra", what="Entra's credentials")
    found: list[Any] = []

    def fetch() -> Fetched:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - an extra
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - an extra

        if not found:
            found.append(DefaultAzureCredential())
        try:
            token = found[0].get_token(_ENTRA_SCOPE)
        except AzureError as error:
            raise ConfigError(f"Entra's credentials: {error}") from None
        return str(token.token), float(token.expires_on)

    return Bearer(fetch)


def no_aws_credentials() -> str | None:
    """Return what to do about missing credentials of AWS; None if boto3 finds some.

    It looks where all of Amazon's tools do: in the environment, in `~/.aws`, and, on a machine of
    Amazon's, in its role.
    """
    import botocore.session  # noqa: PLC0415 - comes with litellm

    if botocore.session.get_session().get_credentials() is not None:
        return None
    return (
        "no credentials of AWS: set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, in the environment, or log in with `aws configure`"
    )
