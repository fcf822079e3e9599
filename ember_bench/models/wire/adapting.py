"""Settings and bodies that all adapters of providers read: keys, addresses, options, JSON."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec
from pydantic import BaseModel, SecretStr, ValidationError

from ember_bench.errors import ConfigError, Problem
from ember_bench.models.info import ModelInfo
from ember_bench.models.transport.headers import tell
from ember_bench.models.types import SamplingParameters, ToolCall
from ember_bench.models.wire.failures import NO_KEY, MalformedError
from ember_bench.plain_errors import plainly
from ember_bench.secrets import redacted, remember

if TYPE_CHECKING:
    from ember_bench.models.call import Request

OptionsT = TypeVar("OptionsT", bound=BaseModel)

# Of an answer, unpacked: with pictures or log-probabilities some have a few millions.
MOST_BYTES: Final = 64 * 2**20
_VERSION: Final = re.compile(r"/v\d")

_MOST_PENALTY: Final = 2.0


def find_keys(
    model: ModelInfo, *variables: str, optional: bool = False, hint: str = ""
) -> tuple[SecretStr, ...]:
    """Return the keys to send: the model's, its provider's, or those of the environment.

    Args:
        model: Who is asked.
        variables: Names in the environment: the first one that is set has the key, or several with
            commas between them. The provider's `key_variable`, if it has one, takes their place,
            and its key is required.
        optional: Return `NO_KEY` where there is none, for servers that need none.
        hint: What else can be done about a missing key, after "set X in the environment".

    Raises:
        ConfigError: if there is none, or one has characters that no key can have.
    """
    if (named := model.provider.key_variable) is not None:
        variables, optional, hint = (named,), False, ""
    if model.keys:
        given = [key.get_secret_value() for key in model.keys]
    else:
        given = next((k for v in variables if (k := _separated(os.environ.get(v, "")))), [])
    keys = list(dict.fromkeys(key for each in given if (key := each.strip())))
    if not keys:
        if not optional:
            raise ConfigError(
                f"no key for {model.model_id}: set {' or '.join(variables)} in the environment"
                f"{hint}"
            )
        return (SecretStr(NO_KEY),)
    for key in keys:
        if not (key.isascii() and key.isprintable()):
            raise ConfigError(f"the key for {model.model_id} has characters that no key can have")
        remember(key)
    return tuple(map(SecretStr, keys))


def _separated(value: str) -> list[str]:
    return [key for part in value.split(",") if (key := part.strip())]


def find_url(model: ModelInfo, *variables: str) -> str | None:
    """Return where the server is: the card's `base_url`, or the first of `variables` that is set.

    Raises:
        ConfigError: if that is no address.
    """
    known = (model.provider.base_url, *(os.environ.get(v, "").strip() for v in variables))
    url = next(filter(None, known), None)
    if url is not None and not _is_http(url):
        raise ConfigError(
            f"{model.model_id}: base_url: expected something like http://127.0.0.1:8000/v1, "
            f"found {redacted(url)!r}"
        )
    return url


def version_advice(url: str | None, version: str, *, given: bool) -> str:
    """Return how to correct an address at which the server has no API; "" if it seems right.

    Args:
        url: The address that the model, or the environment, gives.
        version: The version in the API's paths, such as `v1`.
        given: Whether `url` is to end in the version; else it is added to `url`.
    """
    if url is None:
        return ""
    ends = urlsplit(url).path.rstrip("/").endswith(f"/{version}")
    if given and not ends and not _VERSION.search(urlsplit(url).path):
        return f"base_url has no /{version}: is it {redacted(url.rstrip('/'))}/{version}?"
    if not given and ends:
        right = redacted(url.rstrip("/").removesuffix(f"/{version}"))
        return f"base_url ends in /{version}, which is added to it: is it {right}?"
    return ""


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def custom_headers(variable: str) -> dict[str, str]:
    """Return the headers in a variable of the environment, one a line, which an SDK would send."""
    lines = (line.partition(":") for line in os.environ.get(variable, "").splitlines())
    return {name.strip(): value.strip() for name, colon, value in lines if colon}


def secrets_of(key: SecretStr | None, url: str | None) -> list[str]:
    """Return what must not be seen in an error: the key, and a password that is in the address."""
    found = [key.get_secret_value()] if key is not None else []
    if url is not None and (password := urlsplit(url).password):
        found += [password, unquote(password)]
    return found


def read_options(model: ModelInfo, options: type[OptionsT]) -> OptionsT:
    """Return the model's `options` as the provider's own type.

    Raises:
        ConfigError: naming the option that is wrong.
    """
    try:
        return options.model_validate(model.options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("options", *first["loc"])))
        raise ConfigError(f"{model.model_id}: {where}: {plainly(first)}") from None


def check_each(
    models: Iterable[ModelInfo], provider_name: str, check: Callable[[ModelInfo], object]
) -> None:
    """Call `check` with those of `models` that are `provider_name`'s.

    Raises:
        ConfigError: with the problems of all of them, each once.
    """
    problems: dict[Problem, None] = {}
    for model in models:
        if model.provider_name == provider_name:
            try:
                check(model)
            except ConfigError as error:
                problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError(*problems)


def decoded(content: bytes) -> Any:
    """Return a body of JSON, parsed.

    Raises:
        MalformedError: if it is none.
    """
    try:
        return msgspec.json.decode(content)
    except (ValueError, RecursionError):
        pass
    try:
        # Also reads what is no JSON to the letter, though some servers write it: NaN, half a
        # surrogate pair, a byte order mark.
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {error}") from None


def body_of(content: bytes) -> Any:
    """Return the body of an error: parsed where it is JSON, else its text."""
    try:
        return decoded(content)
    except MalformedError:
        return content.decode(errors="replace").strip()


async def bound_answer(response: Any) -> None:
    """Keep an answer that does not end, or was packed to be huge, from filling the memory.

    What its headers state of rate limits is passed on (`transport.headers`).

    A hook for the responses of a client of httpx or httpx2 (`event_hooks`). What is downloaded,
    such as the results of a batch, may have any size.
    """
    if response.request.method != "POST":
        return
    tell(response.headers.items())
    whole = response.aiter_bytes

    async def bounded(*arguments: Any) -> AsyncIterator[bytes]:
        size = 0
        async for part in whole(*arguments):
            size += len(part)
            if size > MOST_BYTES:
                library = importlib.import_module(type(response).__module__.partition(".")[0])
                raise library.DecodingError(f"an answer of more than {MOST_BYTES:,} bytes")
            yield part

    response.aiter_bytes = bounded


def refused_penalties(asked: SamplingParameters) -> Iterator[str]:
    """Yield penalties that OpenAI and Google would answer with 400."""
    for name in ("frequency_penalty", "presence_penalty"):
        value = getattr(asked, name)
        if value is not None and abs(value) > _MOST_PENALTY:
            yield f"{name}: between -2 and 2, found {value:g}"


def cache_key(request: Request) -> str | None:
    """Return the key by which OpenAI sends prompts that begin alike to one cache.

    It is a digest of the model, the system's messages and the tools; None if no cache is wanted.
    """
    if not request.parameters.cache:
        return None
    system = [message.content for message in request.messages if message.role == "system"]
    prefix = (request.model.model_name, system, request.tools)
    return f"ember-{blake2b(msgspec.json.encode(prefix), digest_size=12).hexdigest()}"


def whole(number: float) -> float:
    """Return a whole number as an `int`, which some APIs insist on."""
    return int(number) if number.is_integer() else number


def tool_arguments(call: ToolCall, model_id: str) -> dict[str, Any]:
    """Return the arguments of a tool call that is sent back, for APIs that want them as an object.

    Raises:
        ConfigError: if they are none: models may write anything.
    """
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise ConfigError(
            f"{model_id}: the arguments of the call of {call.name!r} are no JSON object"
        )
    return arguments


def require(module: str, extra: str, what: str | None = None) -> None:
    """See that a package that comes with one of our extras is installed.

    Args:
        module: Its name.
        extra: The extra, by default also the provider that needs it.
        what: What else needs it.

    Raises:
        ConfigError: if it is not; says how to install it.
    """
    try:
        installed = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that `module` is in
        installed = False
    if not installed:
        raise ConfigError(
            f"{what or f'`{extra}:`'} needs a package that is not installed: "
            f"pip install 'ember-bench[{extra}]'"
        )
