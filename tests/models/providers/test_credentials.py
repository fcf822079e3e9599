"""Models that are asked with credentials which a cloud's own library finds and renews.

The clouds are a server on loopback; the credentials are made up, of the libraries' own kinds.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers import credentials
from ember_bench.models.providers.base import provider_class
from ember_bench.models.providers.credentials import Bearer
from ember_bench.models.types import Completion, Message, ToolCall, Usage
from tests.models.providers.wires.asking import QUESTION, WEATHER, ask_all
from tests.models.providers.wires.google import GeminiWire
from tests.models.providers.wires.openai import ChatWire
from tests.support.loopback import Asked, Fault, LoopbackServer, json_reply

TOKEN = "token-of-the-cloud"
PARIS = Completion("Paris.", Usage(7, 9), thoughts="The capital of France.")
TRANSPORTS = pytest.mark.parametrize("transport", ["sdk", "direct"])


class Cloud(LoopbackServer):
    """A cloud that gives out tokens, and answers who shows one."""

    def __init__(self, answer: Callable[[Asked], Fault], seconds: float = 3600) -> None:
        super().__init__(self._tell)
        self._answer = answer
        self._seconds = seconds
        self.refuses = False

    def _tell(self, asked: Asked) -> Fault:
        if asked.path.startswith("/token"):
            if self.refuses:
                return Fault(400, {"error": "invalid_grant", "error_description": "no"}, raw=True)
            ends = {
                "expires_in": self._seconds,
                "expires_on": str(int(time.time() + self._seconds)),
            }
            return json_reply({"access_token": TOKEN, "token_type": "Bearer", **ends})
        return self._answer(asked)

    @property
    def calls(self) -> list[Asked]:
        return [asked for asked in self.asked if not asked.path.startswith("/token")]

    @property
    def tokens(self) -> int:
        return self.count - len(self.calls)


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def google(private_key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    """Vertex, and the credentials of a service account in a file."""
    with Cloud(lambda asked: json_reply(GeminiWire().answer(PARIS))) as cloud:
        account = {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "1",
            "private_key": private_key,
            "client_email": "me@p.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{cloud.url}/token",
        }
        file = tmp_path / "account.json"
        file.write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        yield cloud


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Azure, and the identity that it gives a machine of its own."""
    if importlib.util.find_spec("azure") is None:
        pytest.skip("needs the extra entra")
    with Cloud(lambda asked: json_reply(ChatWire().answer(PARIS))) as cloud:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{cloud.url}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "secret-of-the-machine")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        yield cloud


def vertex(cloud: Cloud, **fields: Any) -> ModelInfo:
    return ModelInfo.model_validate(
        {
            "model_id": "vertex:gemini-3.8-flash",
            "provider": {"base_url": cloud.url},
            "options": {"vertex": {"project": "p", "location": "europe-west4"}},
            "stream": False,
            **fields,
        }
    )


def deployed(cloud: Cloud, **fields: Any) -> ModelInfo:
    return ModelInfo.model_validate(
        {
            "model_id": "azure:my-deployment",
            "provider": {"base_url": cloud.url, "credentials": "entra"},
            "stream": False,
            **fields,
        }
    )


class TestVertex:
    @TRANSPORTS
    def test_is_asked_with_googles_credentials(self, google: Cloud, transport: str) -> None:
        info = vertex(google, transport=transport)
        provider_class("google").check([info])
        assert ask_all(info, [Request(info, QUESTION)] * 2) == [PARIS] * 2
        [asked, _] = google.calls
        assert asked.path == (
            "/v1beta1/projects/p/locations/europe-west4/publishers/google/models/"
            "gemini-3.8-flash:generateContent"
        )
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"
        assert "x-goog-api-key" not in asked.headers
        assert google.tokens == 2  # one to see that there is one, one for the calls

    def test_is_told_the_same_by_both_transports(self, google: Cloud) -> None:
        messages = (
            Message("system", "Be brief."),
            Message("user", "Where is it warmer?"),
            Message(
                "assistant", "", tool_calls=(ToolCall("call_1", "get_weather", '{"city": "Rome"}'),)
            ),
            Message("tool", "19", tool_call_id="call_1"),
        )
        for transport in ("sdk", "direct"):
            info = vertex(google, transport=transport)
            ask_all(info, [Request(info, messages, tools=(WEATHER,))])
        # Google's APIs take both spellings of a name.
        through_sdk, direct = [
            json.loads(json.dumps(asked.body).replace("parameters_json_s", "parametersJsonS"))
            for asked in google.calls
        ]
        assert through_sdk == direct

    @TRANSPORTS
    def test_streams(self, google: Cloud, transport: str) -> None:
        events = b"".join(GeminiWire().stream(GeminiWire().answer(PARIS)))
        google._answer = lambda _: Fault(
            200, events, {"content-type": "text/event-stream"}, raw=True
        )
        info = vertex(google, transport=transport, stream=True)
        [answer] = ask_all(info, [Request(info, QUESTION)])
        assert (answer.text, answer.thoughts, answer.usage) == (
            "Paris.",
            PARIS.thoughts,
            PARIS.usage,
        )
        assert google.calls[0].path.endswith(":streamGenerateContent?alt=sse")

    @TRANSPORTS
    def test_says_what_the_server_says(self, google: Cloud, transport: str) -> None:
        body = {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "not in p"}}
        google._answer = lambda _: Fault(403, body, raw=True)
        info = vertex(google, transport=transport)
        with pytest.raises(ProviderError, match="HTTP 403: not in p") as caught:
            ask_all(info, [Request(info, QUESTION)])
        assert not caught.value.retryable

    def test_takes_the_project_of_the_environment(
        self, google: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
        info = vertex(google, options={}, transport="direct")
        with pytest.raises(ConfigError, match="Vertex's project is missing"):
            provider_class("google").check([info])
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "q")
        ask_all(info, [Request(info, QUESTION)])
        assert "/projects/q/locations/global/" in google.calls[0].path

    def test_without_credentials_is_refused_before_any_call(
        self, google: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        google.refuses = True
        with pytest.raises(ConfigError, match=r"Google's credentials: .*invalid_grant"):
            provider_class("google").check([vertex(google)])
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/none")
        with pytest.raises(ConfigError, match=r"Google's credentials: .*/none"):
            provider_class("google").check([vertex(google)])

    def test_has_no_batches(self) -> None:
        with pytest.raises(
            ConfigError, match=r"card\.yaml:2:1: .*not for models that are asked at"
        ):
            models_of_card(parse_document("name: vertex:m\nmode: batch", Path("card.yaml")))


class TestEntra:
    @TRANSPORTS
    def test_is_asked_for_a_token_in_place_of_a_key(
        self, azure: Cloud, transport: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key-that-is-not-wanted")
        info = deployed(azure, transport=transport)
        provider_class("openai").check([info])
        assert ask_all(info, [Request(info, QUESTION)] * 2) == [PARIS] * 2
        [asked, _] = azure.calls
        assert asked.path.startswith("/openai/deployments/my-deployment/chat/completions?api-ver")
        assert asked.headers["authorization"] == f"Bearer {TOKEN}"
        assert "api-key" not in asked.headers
        [token, *_] = azure.asked
        assert "resource=https://cognitiveservices.azure.com" in token.path
        assert token.headers["x-identity-header"] == "secret-of-the-machine"

    @TRANSPORTS
    def test_serves_the_newer_api_as_well(self, azure: Cloud, transport: str) -> None:
        server = {"name": "openai", "base_url": f"{azure.url}/openai/v1", "credentials": "entra"}
        info = deployed(azure, model_id="openai:d", provider=server, transport=transport)
        assert ask_all(info, [Request(info, QUESTION)]) == [PARIS]
        assert azure.calls[0].path == "/openai/v1/chat/completions"
        assert azure.calls[0].headers["authorization"] == f"Bearer {TOKEN}"

    def test_changes_no_identity(self, azure: Cloud) -> None:
        server = {"base_url": azure.url}
        assert deployed(azure).fingerprint == deployed(azure, provider=server).fingerprint

    def test_that_refuses_is_said_before_any_call(self, azure: Cloud) -> None:
        azure.refuses = True
        with pytest.raises(ConfigError, match="Entra's credentials: "):
            provider_class("openai").check([deployed(azure)])

    def test_is_refused_for_others(self) -> None:
        text = "name: anthropic:m\nprovider: {credentials: entra}"
        with pytest.raises(ConfigError, match=r"card\.yaml:2:\d+: .*for models of Azure"):
            models_of_card(parse_document(text, Path("card.yaml")))

    def test_without_its_package_says_how_to_install_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ConfigError, match=r"Entra's credentials .*'ember-bench\[entra\]'"):
            credentials.entra_bearer()


class TestBearer:
    def test_is_fetched_once_for_many_and_renewed_before_it_ends(self) -> None:
        now = [0.0]
        fetched: list[float] = []

        def fetch() -> tuple[str, float]:
            fetched.append(now[0])
            return f"token-{len(fetched)}", now[0] + 1000.0

        async def main() -> None:
            bearer = Bearer(fetch, lambda: now[0])
            assert {*await asyncio.gather(*[bearer.token() for _ in range(5)])} == {"token-1"}
            now[0] = 699.0
            assert await bearer.token() == "token-1"
            now[0] = 701.0
            assert await bearer.token() == "token-2"

        asyncio.run(main())
        assert fetched == [0.0, 701.0]
