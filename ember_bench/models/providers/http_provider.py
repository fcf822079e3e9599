"""The base class of providers with an HTTP API, through their SDK or without it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import msgspec
from pydantic import BaseModel, SecretStr

from ember_bench.errors import ProviderError
from ember_bench.models.extras import expanded, expanded_headers, merged, with_headers
from ember_bench.models.providers.base import EXTRAS, Provider
from ember_bench.models.providers.http_messages import Address, Answer
from ember_bench.models.providers.streaming import Streaming
from ember_bench.models.transport.headers import tell
from ember_bench.models.transport.http import Channel, NotSentError
from ember_bench.models.transport.listening import TEXT, listener
from ember_bench.models.transport.reply import EncodingError
from ember_bench.models.wire import adapting
from ember_bench.models.wire.adapting import (
    body_of,
    check_each,
    find_keys,
    find_url,
    read_options,
    secrets_of,
)
from ember_bench.models.wire.counts import RESPONSE_COST, dollars
from ember_bench.models.wire.failures import NO_KEY, BlockedError, UnreadableError, WireErrors
from ember_bench.models.wire.streaming import Stream

if TYPE_CHECKING:
    from ember_bench.models.call import Call, Request
    from ember_bench.models.info import ModelInfo
    from ember_bench.models.providers.credentials import Bearer
    from ember_bench.models.strand import TrialContext
    from ember_bench.models.types import Completion
    from ember_bench.models.wire.assembling import Assembler

ClientT = TypeVar("ClientT")


class WireProvider(Provider, Generic[ClientT]):
    """Asks a model through its SDK, or speaks the same wire format itself.

    Both ways have one writer of requests and one reader of answers and errors, so they differ in
    nothing but in who carries the bytes.

    Attributes:
        streams_elsewhere: Streams have an address of their own, `_stream_url`.

    Raises:
        ConfigError: if an option is unknown or the server's address is none.
    """

    direct: ClassVar[bool] = True
    extras: ClassVar[frozenset[str]] = EXTRAS
    batch_extras: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    streams_elsewhere: ClassVar[bool] = False
    registered: ClassVar[str]
    card_options: ClassVar[type[BaseModel]]
    key_variables: ClassVar[tuple[str, ...]]
    url_variable: ClassVar[str]
    # As long as the SDK gives itself.
    connect_seconds: ClassVar[float]

    def __init__(self, model: ModelInfo) -> None:
        super().__init__(model)
        read_options(model, self.card_options)
        self._url = self._find_url()
        self._errors = WireErrors(
            model.model_id, lambda: secrets_of(self._key, self._url), self._advice
        )
        self._bearer = self._find_bearer()
        self._client: ClientT | None = None
        self._channel: Channel | None = None
        self._streaming = Streaming(model, self._stream_fields(), elsewhere=self.streams_elsewhere)
        usual = "direct" if self.direct and self._url is not None else "sdk"
        self._is_direct = (model.transport or usual) == "direct"

    async def complete(self, call: Call) -> Completion:
        """Ask once; the SDK's own retries are off.

        A server that refuses to stream is asked again at once, without. A prompt that a content
        filter blocks is an answer without text.
        """
        streaming = self._streaming
        while True:
            fields = streaming.fields(call.request)
            try:
                return await self._complete(call, fields)
            except BlockedError as blocked:
                return blocked.completion
            except ProviderError as error:
                if fields is None or not streaming.refused(fields, error):
                    raise

    async def _complete(self, call: Call, fields: Mapping[str, Any] | None) -> Completion:
        """Ask once: for a stream, with these fields, or for an answer in one piece."""
        stream = None
        arguments = self.arguments(call)
        if fields is not None:
            stream = Stream(self._assembler(), listener(), text=TEXT.get())
            arguments |= fields
        headers = expanded_headers(call.request.parameters.headers or {})
        if stream is not None:
            headers = with_headers(self._stream_headers(), headers)
        if self._is_direct:
            answer = await self._post(arguments, headers, stream)
        else:
            client = self.connected()
            if headers:
                arguments = self._with_headers(arguments, headers)
            with self.explained():
                answer = await self._ask(client, arguments, stream)
        began = None if stream is None else stream.first_token_seconds
        try:
            stops = bool(call.request.parameters.stop)
            completion = self._completion(answer.body(), stops=stops)
        except UnreadableError as error:
            error.may_be_charged = error.may_be_charged or began is not None
            raise self._errors.unreadable(error) from None
        if fields is not None and began is not None:
            self._streaming.counted(fields, completion.usage)
            completion = msgspec.structs.replace(completion, first_token_seconds=began)
        if completion.stated_usd is None and answer.cost is not None:
            return msgspec.structs.replace(completion, stated_usd=dollars(answer.cost))
        return completion

    def connected(self) -> ClientT:
        """Return the SDK's client."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    def explained(self) -> AbstractContextManager[None]:
        """Make a `ProviderError` of whatever goes wrong between the SDK and the server."""
        raise NotImplementedError

    def arguments(self, call: Call) -> dict[str, Any]:
        """Return what the SDK takes for `call`.

        Raises:
            ConfigError: if the API cannot take it.
        """
        raise NotImplementedError

    def context(self, trial: TrialContext) -> str:
        """Return the server, where the environment and not the model says which."""
        del trial
        return "" if self.model.provider.base_url else self._url or ""

    async def close(self) -> None:
        """Close the connections."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None
        if self._client is not None:
            await self._disconnect(self._client)
            self._client = None

    @classmethod
    def unsupported(cls, request: Request) -> list[str]:
        """Return what cannot be had, and values that the API refuses."""
        problems = super().unsupported(request)
        asked, model = request.parameters, request.model
        if model.mode == "batch":
            if asked.headers:
                problems.append(
                    f"{model.model_id}: headers: give them on the card of a batch model"
                )
            if not cls.batch_extras and (asked.extra_body or model.extra_body):
                problems.append(f"{model.model_id}: extra_body: not in batches of this provider")
        return problems or [f"{request.model.model_id}: {p}" for p in cls._refused_values(request)]

    @classmethod
    def check(cls, models: Iterable[ModelInfo]) -> None:
        """See that `models` can be asked; models of other providers are ignored.

        Raises:
            ConfigError: naming those that have no key, and where to put one.
        """
        check_each(models, cls.registered, lambda model: cls(model)._ready())

    def _ready(self) -> None:
        """See that the model can be asked.

        Raises:
            ConfigError: if it has no key, or no way to its server.
        """
        expanded(self.model.extra_body)
        expanded_headers(self.model.headers)
        if self._bearer is not None:
            self._bearer.check()
        if self._key and self._is_direct:
            self._open()

    def all_keys(self) -> tuple[SecretStr, ...]:
        """Return the keys that the model may be asked with.

        Raises:
            ConfigError: if there is none.
        """
        if self._bearer is not None:
            return (SecretStr(NO_KEY),)
        # Asked for when they are needed: stored answers can be had without one.
        return find_keys(self.model, *self.key_variables, optional=self._url is not None)

    @cached_property
    def _key(self) -> SecretStr:
        return self.all_keys()[0]

    def _find_bearer(self) -> Bearer | None:
        """Return the token that takes the key's place; None for models with a key."""
        return None

    def _advice(self, status: int) -> str:
        """Return how to correct the model's card after an HTTP status; "" if nothing is known."""
        del status
        return ""

    def _find_url(self) -> str | None:
        """Return where the server is; None for the provider's own."""
        return find_url(self.model, self.url_variable)

    @classmethod
    def _refused_values(cls, request: Request) -> Iterator[str]:
        """Yield what the API would answer with 400."""
        raise NotImplementedError

    def _connect(self) -> ClientT:
        """Return a new client of the SDK's."""
        raise NotImplementedError

    async def _disconnect(self, client: ClientT) -> None:
        """Close the SDK's client."""
        raise NotImplementedError

    async def _ask(
        self, client: ClientT, arguments: dict[str, Any], stream: Stream | None
    ) -> Answer:
        """Return the answer that the SDK gets; a stream, if there is one, is to read it."""
        raise NotImplementedError

    def _stream_headers(self) -> Mapping[str, str]:
        """Return the headers of requests for streams, beside those of every request."""
        return {}

    def _stream_fields(self) -> Sequence[Mapping[str, Any]]:
        """Return what asks for a stream, beside all other arguments; the best comes first."""
        return ({"stream": True},)

    def _assembler(self) -> Assembler:
        """Return what puts the events of a stream together."""
        raise NotImplementedError

    def _extra_body(self, request: Request) -> dict[str, Any]:
        """Return the fields that the card and the request add to the body.

        Raises:
            ConfigError: if a variable that they name is not set.
        """
        asked = request.parameters.extra_body or {}
        if not (asked or self.model.extra_body):
            return {}
        return merged(expanded(self.model.extra_body), expanded(asked))

    def _with_headers(
        self, arguments: dict[str, Any], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return the SDK's arguments with the headers of one request."""
        return {**arguments, "extra_headers": headers}

    def _address(self) -> Address:
        """Return where the SDK would post requests, and the headers that it would send."""
        raise NotImplementedError

    def _stream_url(self) -> str | None:
        """Return where the SDK would post requests for streams, if that is elsewhere."""
        return None

    def _body(self, arguments: dict[str, Any]) -> Mapping[str, Any]:
        """Return the body that the SDK makes of `arguments`."""
        return arguments

    def _completion(self, body: Any, *, stops: bool) -> Completion:
        """Return the model's answer.

        Args:
            body: Of the response, parsed.
            stops: Whether the request had stop sequences.

        Raises:
            UnreadableError: if there is no answer in it.
        """
        raise NotImplementedError

    def _refusal(self, status: int, headers: Mapping[str, str], body: Any) -> ProviderError:
        """Return the error for an HTTP status that is no success.

        Args:
            status: The HTTP status.
            headers: Of the response.
            body: Parsed if it is JSON, else its text.
        """
        raise NotImplementedError

    async def _post(
        self, arguments: dict[str, Any], headers: Mapping[str, str], stream: Stream | None
    ) -> Answer:
        """Return the answer that comes without the SDK."""
        channel = self._channel or self._open()
        body = msgspec.json.encode(self._body(arguments))
        if self._bearer is not None:
            headers = with_headers(await self._bearer.headers(), headers)
        try:
            if stream is None:
                reply = await channel.post(body, headers=headers)
            else:
                reply = await channel.post(body, stream, self._stream_url(), headers)
            if reply.states_limits:
                tell(reply.headers.items())
            content = reply.content
        except TimeoutError:  # only connecting has a limit
            raise self._errors.timeout(sent=False) from None
        except OSError as error:
            sent = not isinstance(error, NotSentError)
            raise self._errors.connection(error, sent=sent) from None
        except EncodingError as error:
            raise self._errors.malformed(str(error)) from None
        if 200 <= reply.status < 300:
            if stream is not None:
                stream.feed(content)  # of a body that came packed
            return Answer(content, reply.header(RESPONSE_COST), stream)
        raise self._refusal(reply.status, reply.headers, body_of(content))

    def _open(self) -> Channel:
        to = self._address()
        size = self.model.max_concurrency
        most = adapting.MOST_BYTES
        headers = with_headers(to.headers, expanded_headers(self.model.headers))
        self._channel = Channel(to.url, headers, size, self.connect_seconds, most)
        return self._channel


def was_sent(error: BaseException | None) -> bool:
    """Whether a request may have reached the server before `error`, one of httpx or httpx2."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return not names & {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"}


def body_failure(errors: WireErrors, library: Any, error: Exception) -> ProviderError:
    """Return the error of what httpx or httpx2 met, below an SDK or without it."""
    if isinstance(error, library.TimeoutException):
        return errors.timeout(sent=was_sent(error))
    if isinstance(error, library.DecodingError):
        return errors.malformed(str(error))
    return errors.connection(error, sent=was_sent(error))
