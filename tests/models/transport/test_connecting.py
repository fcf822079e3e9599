"""How the direct transport gets to a server: redirects, proxies, TLS."""

from __future__ import annotations

import asyncio
import gc
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Request
from ember_bench.models.providers.base import provider_class
from ember_bench.models.providers.openai import OpenAI
from ember_bench.models.types import Message
from tests.models.providers.wires import Adapter
from tests.models.providers.wires.adapters import DIRECT, THROUGH_SDKS
from tests.models.providers.wires.asking import ask, ask_all
from tests.models.transport.channel import KEY, echo, model, one_by_one, repeat
from tests.support.loopback import Asked
from tests.support.openai_server import Answer, OpenAIServer
from tests.support.raw import Proxy, RawServer, response

pytestmark = pytest.mark.slow

Writer = asyncio.StreamWriter

ASKED = [adapter for adapter in (*THROUGH_SDKS, *DIRECT) if not adapter.extra]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TestRedirects:
    def moved(self, to: str, status: int = 307) -> Callable[[Asked, Writer], Awaitable[bool]]:
        async def serve(asked: Asked, writer: Writer) -> bool:
            if asked.path == "/v2/chat":
                writer.write(echo(asked))
            else:
                writer.write(response(b"", status=status, location=to))
            await writer.drain()
            return True

        return serve

    @pytest.mark.parametrize("status", [307, 308])
    def test_are_followed_on_the_same_server(self, status: int) -> None:
        with RawServer(self.moved("/v2/chat", status)) as server:
            assert one_by_one(model(server), "a") == ["a"]
            assert server.asked[1].headers["authorization"] == f"Bearer {KEY}"

    def test_are_not_followed_to_another_which_would_be_told_the_key(self) -> None:
        with OpenAIServer() as other, RawServer(self.moved(f"{other.url}/v2/chat")) as server:
            [found] = one_by_one(model(server), "a")
            assert found.startswith("openai:m: HTTP 307")
            assert other.count == 0

    @pytest.mark.parametrize("location", ["http://[", "http://a:b/", "http://\xff..\xff/", "//"])
    def test_that_lead_nowhere_are_not_followed(self, location: str) -> None:
        with RawServer(self.moved(location)) as server:
            [found] = one_by_one(model(server), "a")
            assert found.startswith("openai:m: HTTP 307")

    def test_are_not_followed_for_ever(self) -> None:
        with RawServer(self.moved("/v3/chat")) as server:
            [found] = one_by_one(model(server), "a")
            assert found.startswith("openai:m: HTTP 307")
            assert server.count == 6

    @pytest.mark.parametrize("status", [301, 302, 303])
    def test_are_not_followed_if_they_would_ask_something_else(self, status: int) -> None:
        with RawServer(self.moved("/v2/chat", status)) as server:
            [found] = one_by_one(model(server), "a")
            assert found.startswith(f"openai:m: HTTP {status}")


class TestProxies:
    def test_one_that_says_nothing_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Silent(Proxy):
            async def _serve_client(self, reader: Any, writer: Writer) -> None:
                await reader.read()

        with Silent() as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            monkeypatch.setattr(OpenAI, "connect_seconds", 0.05)
            info = model(proxy, "https://far.example")
            assert one_by_one(info, "a") == ["openai:m: no answer in time"]

    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    @pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
    def test_the_environments_is_asked(
        self, transport: str, variable: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with OpenAIServer(lambda asked: Answer(asked.prompt)) as server, Proxy() as proxy:
            monkeypatch.setenv(variable, proxy.url.replace("://", "://me:s%40cret@"))
            info = model(server, transport=transport)
            assert one_by_one(info, "a") == ["a"]
            [(first, headers)] = proxy.heads
        assert first == f"POST {server.url}/v1/chat/completions HTTP/1.1"
        assert headers["proxy-authorization"] == "Basic bWU6c0BjcmV0"

    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    def test_not_for_servers_that_are_to_be_asked_without(
        self, transport: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with OpenAIServer(lambda asked: Answer(asked.prompt)) as server, Proxy() as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            assert one_by_one(model(server, transport=transport), "a") == ["a"]
            assert proxy.heads == []

    def test_what_it_refuses_is_said_without_its_password(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Proxy(b"HTTP/1.1 407 Who are you?\r\n\r\n") as proxy:
            monkeypatch.setenv("https_proxy", proxy.url.replace("://", "://me:s3cret-word@"))
            [found] = one_by_one(model(proxy, "https://far.example"), "a")
        expected = "connection failed: the proxy says: HTTP/1.1 407 Who are you?"
        assert found == f"openai:m: {expected}"
        assert proxy.heads[0][0] == "CONNECT far.example:443 HTTP/1.1"
        assert proxy.heads[0][1]["proxy-authorization"].startswith("Basic ")

    def test_one_of_a_kind_that_it_cannot_use_is_said_before_any_call(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("all_proxy", "socks5://me:s3cret-word@127.0.0.1:9")
        with OpenAIServer() as server:
            with pytest.raises(ConfigError, match="transport: sdk") as caught:
                OpenAI.check([model(server)])
            assert "s3cret-word" not in str(caught.value)
            assert server.count == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "loopback.pem"
    plain = serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(built.public_bytes(pem) + key.private_bytes(pem, form, plain))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[RawServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with RawServer(repeat, context) as server:
        yield server


class TestTLS:
    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    def test_a_server_that_nobody_vouches_for_is_not_asked(
        self, transport: str, secure: RawServer
    ) -> None:
        [found] = one_by_one(model(secure, transport=transport), "a")
        assert "connection failed" in found
        assert "certificate verify failed" in found
        assert "SSL_CERT_FILE" in found
        assert secure.count == 0

    @pytest.mark.parametrize("adapter", ASKED, ids=str)
    def test_nor_is_it_asked_again(self, adapter: Adapter, secure: RawServer) -> None:
        with pytest.raises(ProviderError, match="certificate verify failed") as caught:
            ask(adapter, secure.url)
        assert not caught.value.retryable
        assert not caught.value.may_be_charged

    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    @pytest.mark.parametrize("of", ["the proxy", "the server behind it"])
    def test_so_it_is_through_a_proxy_and_no_traceback_is_printed(
        self,
        transport: str,
        of: str,
        secure: RawServer,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with Proxy() as proxy:
            own = of == "the proxy"
            monkeypatch.setenv("https_proxy", secure.url if own else proxy.url)
            url = "https://far.example" if own else secure.url
            [found] = one_by_one(model(secure, url, transport=transport), "a")
        gc.collect()
        assert "certificate verify failed" in found
        assert "SSL_CERT_FILE" in found
        assert not [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]

    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    def test_one_that_the_environment_trusts_is(
        self,
        transport: str,
        secure: RawServer,
        certificate: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        found = one_by_one(model(secure, transport=transport), "a", "b", "c")
        assert found == ["a", "b", "c"]
        assert secure.connections == 1

    @pytest.mark.parametrize("transport", ["sdk", "direct"])
    def test_it_may_do_so_in_a_folder(
        self,
        transport: str,
        secure: RawServer,
        certificate: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        name = subprocess.run(
            ["openssl", "x509", "-noout", "-subject_hash", "-in", str(certificate)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        (tmp_path / f"{name}.0").write_bytes(certificate.read_bytes())
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
        assert one_by_one(model(secure, transport=transport), "a") == ["a"]

    def test_through_a_proxy_that_sees_nothing_of_it(
        self, secure: RawServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with Proxy() as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            assert one_by_one(model(secure), "a", "b") == ["a", "b"]
            assert [first for first, _ in proxy.heads] == [
                f"CONNECT 127.0.0.1:{secure.port} HTTP/1.1"
            ]
        assert [asked.path for asked in secure.asked] == ["/v1/chat/completions"] * 2


class TestSecrets:
    def test_nothing_shows_the_key(self) -> None:
        with OpenAIServer() as server:
            info = model(server, server.url.replace("://", "://me:s3cret-word@"))
            provider: Any = provider_class("openai")(info)
            shown = [repr(provider), repr(provider._address()), repr(provider._open())]
            ask_all(info, [Request(info, (Message("user", "a"),))])
        assert not [text for text in shown if KEY in text or "s3cret-word" in text]
