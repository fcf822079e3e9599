"""An ASGI application on a port of this machine, until Ctrl-C."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from ember_bench.errors import ConfigError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOOPBACK: Final = "127.0.0.1"
KEY_VARIABLE: Final = "EMBER_BENCH_SERVE_KEY"
"""The key that clients of served networks need."""
_GRACE_SECONDS: Final = 30
PRIVATE: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address is a secret
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of pages for those who know their address."""


def require_server() -> None:
    """See that the server's packages are installed.

    Raises:
        ConfigError: naming the extra.
    """
    try:
        import starlette  # noqa: F401, PLC0415 - an optional dependency
        import uvicorn  # noqa: F401, PLC0415 - the same
    except ImportError as error:
        raise ConfigError(
            f"the web server needs the extra `serve`: pip install 'ember-bench[serve]' ({error})"
        ) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_own_host(header: str) -> bool:
    """Whether the `Host` of a request names this machine.

    Another name that leads here is a page of elsewhere, in a browser, that wants to read (DNS
    rebinding).
    """
    host = header.rpartition(":")[0] if not header.endswith("]") and ":" in header else header
    return is_loopback(host)


def same_secret(given: str, secret: str) -> bool:
    """Compare without telling by the time how much was right."""
    return hmac.compare_digest(given.encode(), secret.encode())


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any that is free.

    Raises:
        ConfigError: if it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(4096)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"--port {port}: {host} cannot be listened on: {error.strerror}; choose another port,"
            " or 0 for any that is free"
        ) from None
    return listening


def address(listening: socket.socket) -> str:
    """Return the URL of what listens on a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: ASGIApp, listening: socket.socket, *, in_flight: int | None = None) -> None:
    """Serve until SIGINT or SIGTERM; requests under way are finished, unless a second one comes.

    Args:
        app: The application.
        listening: The socket, which is closed at the end.
        in_flight: More requests than this at once are answered by 503; None for no limit.
    """
    import uvicorn  # noqa: PLC0415 - an optional dependency

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        lifespan="on",
        server_header=False,
        limit_concurrency=in_flight,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    with listening, _signals_taken():
        server.run(sockets=[listening])


@contextlib.contextmanager
def _signals_taken() -> Iterator[None]:
    """Ignore the signals that uvicorn raises once more after it has ended because of them."""

    def ignore(_number: int, _frame: FrameType | None) -> None:
        return None

    before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.getsignal(number)
        signal.signal(number, ignore)
    try:
        yield
    finally:
        for known, handler in before.items():
            signal.signal(known, handler)
