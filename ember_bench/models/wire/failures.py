"""Answers that are none, and the errors that they become."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from ember_bench.errors import NoAnswerError, ProviderError
from ember_bench.models.types import Completion, UnusableAnswerError, Usage
from ember_bench.models.wire.blocked import is_blocked
from ember_bench.models.wire.quota import is_spent

# Stands for the key of a server that needs none; no secret.
NO_KEY: Final = "no-key"

# Beside 5xx. 498 is that of Groq's flex tier without capacity, 529 Anthropic's "overloaded"; a body
# that is too large stays too large.
_RETRYABLE: Final = frozenset({408, 409, 429, 498})

_LONGEST_EXCERPT: Final = 300

# What every TLS library has in its error.
_UNTRUSTED: Final = "certificate verify failed"
_TRUST: Final = (
    "a server, or the proxy before it, has a certificate that is not trusted: name the file of who "
    "signed it as SSL_CERT_FILE, or correct the address"
)

# HTTP statuses of the names that errors have in bodies: OpenAI's, Anthropic's and Google's.
_STATUS: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "bad_request": 400,
    "context_length_exceeded": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "out_of_range": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "unauthenticated": 401,
    "unauthorized": 401,
    "billing_error": 402,
    "payment_required": 402,
    "insufficient_credits": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "forbidden": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "not_found": 404,
    "timeout": 408,
    "aborted": 409,
    "request_too_large": 413,
    "unprocessable_entity": 422,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "rate_limit_reached_error": 429,
    "too_many_requests": 429,
    "resource_exhausted": 429,
    "insufficient_quota": 429,
    "exceeded_current_quota_error": 429,
    "api_error": 500,
    "server_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "internal": 500,
    "unimplemented": 501,
    "bad_gateway": 502,
    "unavailable": 503,
    "service_unavailable": 503,
    "engine_overloaded_error": 503,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
}
_STATUS_FIELDS: Final = (
    *("status_code", "statusCode", "http_status", "http_code", "code", "status", "type"),
)
_CLIENT_ERRORS: Final = ("invalid_", "image_", "unsupported_", "empty_image")


class UnreadableError(Exception):
    """A body without a usable answer.

    Attributes:
        usage: Tokens that the body reports.
        stated_usd: The price that the body states.
        may_be_charged: Whether the provider may charge for it even without usage.
    """

    usage: Usage = Usage()
    stated_usd: float | None = None
    may_be_charged: bool = True


class MalformedError(UnreadableError):
    """An answer that cannot be read, or has nothing in it.

    Attributes:
        reason: The fault.
        content: The part to quote, if any.
    """

    def __init__(self, reason: str, content: object = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.content = content


class FailedError(UnreadableError):
    """The server took the request and reports a failure in place of an answer.

    Attributes:
        said: The server's own words.
        retryable: Whether the same request may succeed later.
        status: The HTTP status that it states.
        blocked: Whether a content filter is the reason, which is an answer of a kind.
    """

    def __init__(
        self,
        said: object,
        *,
        retryable: bool = True,
        status: int | None = None,
        may_be_charged: bool = False,
        blocked: bool = False,
    ) -> None:
        super().__init__(said)
        self.said = said
        self.retryable = retryable
        self.status = status
        self.may_be_charged = may_be_charged
        self.blocked = blocked


class BlockedError(ProviderError):
    """A content filter blocked the prompt: an answer, which every further request would repeat.

    Attributes:
        completion: The answer: no text, and the finish reason `content_filter`.
    """

    def __init__(self, message: str, status: int, usage: Usage) -> None:
        super().__init__(message, status=status)
        self.completion = blocked_answer(usage)


def blocked_answer(usage: Usage = Usage()) -> Completion:  # noqa: B008 - immutable
    """Return the answer to a prompt that a content filter blocked."""
    return Completion("", usage, "content_filter")


def stated_failure(error: Any, what: str = "") -> FailedError:
    """Return the failure that an error in the body of a success states.

    Args:
        error: An object in any provider's form, or a text.
        what: Begins the message.
    """
    status = stated_status(error)
    passes = status is None or is_retryable(status)
    said = error.get("message") if isinstance(error, dict) else error
    said = said if isinstance(said, str) and said else error
    return FailedError(
        f"{what}{as_text(said)}",
        retryable=passes and not is_spent(error),
        status=status,
        blocked=is_blocked(status, error),
    )


def stated_status(error: Any) -> int | None:
    """Return the HTTP status that an error's own fields state; None if they do not."""
    if not isinstance(error, dict):
        return None
    values = [error.get(name) for name in _STATUS_FIELDS]
    for value in values:
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if type(number) is int and 400 <= number < 600:
            return number
    for name in (value.lower() for value in values if isinstance(value, str)):
        if (status := _STATUS.get(name)) is not None:
            return status
        if name.startswith(_CLIENT_ERRORS):
            return 400
    return None


class WireErrors:
    """Makes the `ProviderError`s of one model; none shows a secret.

    Args:
        model_id: Begins every message.
        secrets: Return the texts that must not be seen; called when there is an error.
        advice: Returns what to change after an HTTP status; "" if nothing is known.
    """

    def __init__(
        self,
        model_id: str,
        secrets: Callable[[], Iterable[str]],
        advice: Callable[[int], str] = lambda _: "",
    ) -> None:
        self._model_id = model_id
        self._secrets = secrets
        self._advice = advice

    def status(
        self,
        status: int,
        said: object,
        headers: Mapping[str, str] | None = None,
        *,
        body: object = "",
        usage: Usage = Usage(),  # noqa: B008 - immutable
    ) -> ProviderError:
        """Return the error of an HTTP status that is no success.

        Args:
            status: The HTTP status.
            said: The server's own words.
            headers: Of the response, for `Retry-After`.
            body: The whole body, which may say that a quota is spent: then waiting does not help.
                Or that a content filter is the reason: then it is a `BlockedError`.
            usage: Tokens that the body reports.
        """
        passes = is_retryable(status) and not is_spent([said, body])
        message = self._message(f"HTTP {status}: ", said)
        if is_blocked(status, body or said):
            return BlockedError(message, status, usage)
        advice = self._without_secrets(self._advice(status))
        return ProviderError(
            f"{message}; {advice}" if advice else message,
            retryable=passes,
            status=status,
            retry_after=retry_after(headers or {}, time.time()),
        )

    def timeout(self, *, sent: bool = True) -> ProviderError:
        """Return the error of an answer that did not come in time.

        Args:
            sent: Whether the request may have reached the server.
        """
        kind = NoAnswerError if sent else ProviderError
        return kind(self._message("no answer in time"), retryable=True, may_be_charged=sent)

    def connection(self, error: BaseException, *, sent: bool = True) -> ProviderError:
        """Return the error of a connection that was not made, or broke.

        A certificate that is not trusted now is not trusted a second later.

        Args:
            error: Its cause is quoted, if it has one.
            sent: Whether the request may have reached the server.
        """
        said = str(error.__cause__ or error)
        message = self._message("connection failed: ", said)
        if _UNTRUSTED in said.lower():
            return ProviderError(f"{message}; {_TRUST}")
        return ProviderError(message, retryable=True, may_be_charged=sent)

    def malformed(self, reason: str, content: object = "") -> ProviderError:
        """Return the error of an answer that cannot be read; `content` is quoted."""
        return self.unreadable(MalformedError(reason, content))

    def unreadable(self, error: UnreadableError) -> ProviderError:
        """Return the error of a body without a usable answer.

        If the body reports usage it is an `UnusableAnswerError`, as it was paid for.
        """
        retryable, status = True, None
        if isinstance(error, FailedError):
            retryable, status = error.retryable, error.status
            message = self._message("" if status is None else f"HTTP {status}: ", error.said)
        elif isinstance(error, MalformedError):
            message = self._message(f"malformed answer, {error.reason}", error.content)
        else:
            message = self._message("", str(error))
        if error.usage == Usage() and error.stated_usd is None:
            return ProviderError(
                message, retryable=retryable, status=status, may_be_charged=error.may_be_charged
            )
        return UnusableAnswerError(
            message,
            retryable=retryable,
            status=status,
            usage=error.usage,
            stated_usd=error.stated_usd,
        )

    def other(self, said: object, *, retryable: bool = False) -> ProviderError:
        """Return any other error."""
        return ProviderError(self._message("", said), retryable=retryable)

    def _message(self, reason: str, said: object = "") -> str:
        # Secrets first: a shortened one would not be found any more.
        quoted = _shortened(self._without_secrets(as_text(said)))
        return f"{self._model_id}: {self._without_secrets(reason)}{quoted}"

    def _without_secrets(self, text: str) -> str:
        """Return `text` without keys: some servers quote the key that they refuse."""
        for secret in self._secrets():
            if secret and secret != NO_KEY:
                text = text.replace(secret, "***")
        return text


def is_retryable(status: int) -> bool:
    """Whether a request that was answered with this HTTP status may succeed later."""
    return status in _RETRYABLE or status >= 500


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a response asks to wait, or None if it does not.

    Args:
        headers: Of the response, any case (`retry-after-ms`, or RFC 9110 `Retry-After`).
        now: Seconds since the epoch, for a date in a response that does not say when it was sent.
    """
    milliseconds, value = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        seconds = float(milliseconds or "nan") / 1000
        if not math.isfinite(seconds):
            seconds = float(value or "nan")
    except ValueError:
        if (end := _timestamp(value)) is None:
            return None
        # The clock that the date is of is the server's.
        sent = _timestamp(headers.get("date"))
        seconds = end - (now if sent is None else sent)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _timestamp(date: str | None) -> float | None:
    """Return a date of HTTP in seconds since the epoch; None if it is none."""
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except (ValueError, OverflowError):
        return None


def as_text(content: object) -> str:
    """Return a body, an SDK's object or an error as one line of text."""
    if isinstance(content, str):
        text = content
    elif isinstance(content := plain(content), dict | list):
        text = json.dumps(content)
    else:
        text = str(content)
    return " ".join(text.split())


def plain(made: Any) -> Any:
    """Return an SDK's object as the JSON that it was made of; anything else as it is."""
    if (dump := getattr(made, "model_dump", None)) is None:
        return made
    return dump(mode="json", exclude_unset=True, warnings=False)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_EXCERPT else text[:_LONGEST_EXCERPT] + "..."
