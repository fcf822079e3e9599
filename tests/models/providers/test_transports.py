"""With an SDK and without: the same goes over the wire, and the same is made of what comes back."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Request
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers.base import provider_class
from ember_bench.models.types import (
    Completion,
    Image,
    Message,
    SamplingParameters,
    ToolCall,
    Usage,
)
from tests.models.providers.test_conformance import (
    PARAMETERS,
    PNG,
    REPLY,
    asked_for,
    label,
    timeless,
)
from tests.models.providers.wires import KEY, Adapter
from tests.models.providers.wires.adapters import DIRECT, STREAMED
from tests.models.providers.wires.asking import QUESTION, WEATHER, ask, ask_all
from tests.support.loopback import Asked, Fault, LoopbackServer, Reply, json_reply

pytestmark = pytest.mark.slow

# What an SDK says of itself, and what only matters to one exchange.
OWN = ("x-stainless-", "x-goog-api-client", "user-agent", "accept", "host", "connection")
THOUGHT = base64.urlsafe_b64encode(b"\xfb\xff thought").decode()
CALLS = (
    ToolCall("call_1", "get_weather", '{"city": "Paris", "n": 123456789012345678901234567890}'),
    ToolCall(f"call_2~thought:{THOUGHT}", "get_weather", '{"a_city": "Rome"}'),
)
CONVERSATIONS: dict[str, dict[str, Any]] = {
    "a question": {},
    "roles": {
        "messages": (
            Message("system", "Be brief."),
            Message("system", "Be kind."),
            Message("user", "Hi"),
            Message("assistant", "Hello?"),
            Message("user", 'é 漢字 🜚 \u2028 \x00 "\\'),
        )
    },
    "pictures": {
        "messages": (Message("user", "Which?", images=(PNG, Image("image/gif", "+/+/"))),)
    },
    "a schema": {"response_format": REPLY},
    "a tool": {"tools": (WEATHER,)},
    "what tools gave": {
        "messages": (
            *QUESTION,
            Message("assistant", "Let me look.", tool_calls=CALLS),
            Message("tool", "11", tool_call_id=CALLS[0].id),
            Message("tool", "19", tool_call_id=CALLS[1].id),
        ),
        "tools": (WEATHER,),
    },
}
REPLIES: list[Fault] = [
    Fault(200, "", raw=True),
    Fault(200, "{", raw=True),
    Fault(200, "[1, 2, 3]", raw=True),
    Fault(200, b"\xff\xfe{}", raw=True),
    Fault(200, "<html>proxy</html>", {"content-type": "text/html"}, raw=True),
    Fault(200, {"error": {"message": "upstream failed"}}, raw=True),
    Fault(200, "[" * 100_000, raw=True),
    Fault(304, "", raw=True),
    Fault(400, {"message": "no", "code": None}),
    Fault(401, f"Incorrect API key: {KEY}"),
    Fault(404, "<html>nothing here</html>", {"content-type": "text/html"}, raw=True),
    Fault(413, "", raw=True),
    Fault(429, {"message": "q", "code": "insufficient_quota"}),
    Fault(429, "slow down", {"retry-after": "7"}),
    Fault(429, "slow down", {"Retry-After-Ms": "1500", "retry-after": "2"}),
    Fault(500, b"\x00\x01 not text \xff", raw=True),
    Fault(500, "[]", raw=True),
    Fault(503, "", {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, raw=True),
    Fault(529, {"type": "error", "error": {"message": 7}}, raw=True),
]


# As streams, too.
WAYS = [*DIRECT, *(adapter for adapter in STREAMED if adapter.transport == "direct")]


@pytest.fixture(params=WAYS, ids=str)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


def both(adapter: Adapter) -> tuple[Adapter, Adapter]:
    """Return the adapter with its SDK, and without."""
    return replace(adapter, transport="sdk"), replace(adapter, transport="direct")


def wire_names(data: Any) -> Any:
    """Return a body with each name in the API's own spelling: Google takes `top_p` for `topP`."""
    if isinstance(data, dict):
        return {_camel(name): wire_names(value) for name, value in data.items()}
    return [wire_names(part) for part in data] if isinstance(data, list) else data


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def sent(adapter: Adapter, **asked: Any) -> Asked:
    """Return a request as it came over the wire."""
    with LoopbackServer([adapter.reply(Completion("ok"))]) as server:
        ask(adapter, server.url, asked.pop("messages", QUESTION), **asked)
    return server.asked[0]


def said(headers: Any) -> dict[str, str]:
    """Return the headers that are about the request or who makes it."""
    return {k: v for k, v in headers.items() if not k.startswith((*OWN, "content-length"))}


def outcome(adapter: Adapter, reply: Reply) -> Any:
    """Return what is made of an answer: a completion, or all that an error says."""
    with LoopbackServer([reply]) as server:
        try:
            return timeless(ask(adapter, server.url))
        except ProviderError as error:
            return (str(error), error.retryable, error.status, error.retry_after)


class TestRequests:
    @pytest.mark.parametrize("asked", CONVERSATIONS.values(), ids=CONVERSATIONS)
    def test_are_the_sdks(self, adapter: Adapter, asked: dict[str, Any]) -> None:
        through_sdk, direct = (sent(each, **asked) for each in both(adapter))
        assert direct.path == through_sdk.path
        spelt = wire_names if adapter.provider == "google" else lambda body: body
        assert spelt(direct.body) == spelt(through_sdk.body)

    @pytest.mark.parametrize(
        ("adapter", "parameters"),
        # Those that the API has a place for.
        [(a, p) for a in WAYS for p in PARAMETERS if not asked_for(p) & a.lacks],
        ids=lambda value: str(value) if isinstance(value, Adapter) else label(value),
    )
    def test_have_the_sdks_parameters(
        self, adapter: Adapter, parameters: SamplingParameters
    ) -> None:
        through_sdk, direct = (sent(each, parameters=parameters) for each in both(adapter))
        spelt = wire_names if adapter.provider == "google" else lambda body: body
        assert spelt(direct.body) == spelt(through_sdk.body)

    @pytest.mark.parametrize("extra", ["", "Authorization: Bearer other\nX-Team: blue\nnothing"])
    def test_have_the_sdks_headers(
        self, adapter: Adapter, monkeypatch: pytest.MonkeyPatch, extra: str
    ) -> None:
        monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
        monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
        for variable in ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"):
            if extra:
                monkeypatch.setenv(variable, extra)
        through_sdk, direct = (said(sent(each).headers) for each in both(adapter))
        assert direct == through_sdk

    def test_go_to_servers_that_want_a_password_as_the_sdks_do(self, adapter: Adapter) -> None:
        found = []
        for each in both(adapter):
            with LoopbackServer([each.reply(Completion("ok"))]) as server:
                ask(each, server.url.replace("://", "://me:s%40cret@"))
            found.append((server.asked[0].path, said(server.asked[0].headers)))
        assert found[0] == found[1]


class TestAnswers:
    @pytest.mark.parametrize("reply", REPLIES, ids=str)
    def test_that_are_none_are_the_same_error(self, adapter: Adapter, reply: Fault) -> None:
        through_sdk, direct = (outcome(each, reply) for each in both(adapter))
        assert direct == through_sdk
        assert KEY not in str(direct)

    @pytest.mark.slow
    def test_that_mean_nothing_are_the_same_error(self, adapter: Adapter) -> None:
        for body in adapter.wire.meaningless:
            through_sdk, direct = (outcome(each, json_reply(body)) for each in both(adapter))
            assert direct == through_sdk
            assert "malformed answer" in direct[0]

    @pytest.mark.parametrize(
        "completion",
        [
            Completion("Paris.", Usage(100, 40, 64, 30)),
            Completion("", Usage(7, 64), "length"),
            Completion("No.", Usage(7, 3), "refusal"),
            Completion("", Usage(7, 9), "tool_calls", tool_calls=CALLS[:1]),
        ],
        ids=label,
    )
    def test_are_the_same_completion(self, adapter: Adapter, completion: Completion) -> None:
        if completion.finish_reason == "refusal":
            completion = msgspec.structs.replace(completion, finish_reason=adapter.refusal)
        reply = adapter.reply(completion)
        through_sdk, direct = (outcome(each, reply) for each in both(adapter))
        assert isinstance(direct, Completion)
        assert direct == through_sdk

    @pytest.mark.parametrize("text", [r"\ud83d\ude00", r"half a pair: \ud83d", r"\u0000", "é"])
    def test_are_the_same_however_they_are_escaped(self, adapter: Adapter, text: str) -> None:
        body = json.dumps(adapter.wire.answer(Completion("HERE"))).replace("HERE", text)
        for prefix in (b"", b"\xef\xbb\xbf"):
            reply = Fault(200, prefix + body.encode(), raw=True)
            through_sdk, direct = (outcome(each, reply) for each in both(adapter))
            assert direct == through_sdk

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" * 400, "-0.0"])
    def test_are_the_same_whatever_numbers_are_in_them(self, adapter: Adapter, number: str) -> None:
        answer = adapter.wire.answer(Completion("ok")) | {"created": 4711}
        body = json.dumps(answer).replace("4711", number)
        through_sdk, direct = (outcome(e, Fault(200, body, raw=True)) for e in both(adapter))
        assert direct == through_sdk == Completion("ok")


def card(**fields: Any) -> ModelInfo:
    return ModelInfo.model_validate({"model_id": "openai:m", "api_key": KEY, **fields})


def agent(info: ModelInfo, server: LoopbackServer) -> str:
    """Return what asks, by what it says of itself."""
    ask_all(info, [Request(info, QUESTION)])
    return server.asked[-1].headers["user-agent"].partition("/")[0]


class TestChoice:
    @pytest.mark.parametrize(
        ("transport", "who"),
        [(None, "ember-bench"), ("direct", "ember-bench"), ("sdk", "AsyncOpenAI")],
    )
    def test_a_model_with_a_server_is_asked_directly_unless_its_card_says_otherwise(
        self, transport: str | None, who: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = DIRECT[0].wire.answer(Completion("ok"))
        with LoopbackServer([json_reply(answer)]) as server:
            url = f"{server.url}/v1"
            named = card(transport=transport, provider={"name": "openai", "base_url": url})
            assert agent(named, server) == who
            monkeypatch.setenv("OPENAI_BASE_URL", url)
            assert agent(card(transport=transport), server) == who

    @pytest.mark.parametrize("name", ["openai", "anthropic", "google"])
    def test_any_other_through_its_sdk_unless_its_card_says_otherwise(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
            monkeypatch.delenv(variable, raising=False)
        usual = ModelInfo(model_id=f"{name}:m")
        for transport, direct in ((None, False), ("sdk", False), ("direct", True)):
            info = usual.model_copy(update={"transport": transport})
            made: Any = provider_class(name)(info)
            assert made._is_direct is direct

    def test_is_no_part_of_the_answers_identity_but_of_the_connections(self) -> None:
        one, other = card(transport="sdk"), card(transport="direct")
        assert one.fingerprint == other.fingerprint
        assert one.connection != other.connection

    @pytest.mark.parametrize(
        ("text", "place", "problem"),
        [
            ("name: simulated:m\ntransport: direct\n", "2:1", "simulated is asked in its own way"),
            ("name: google-legacy:m\ntransport: direct\n", "2:1", "asked in its own way only"),
            ("name: litellm:a/m\ntransport: direct\n", "2:1", "asked in its own way only"),
            ("name: openai:m\nmode: batch\ntransport: direct\n", "3:1", "through the SDK"),
            ("name: openai:m\ntransport: fast\n", "2:1", "'direct' or 'sdk'"),
        ],
    )
    def test_what_cannot_be_is_said_at_its_place(self, text: str, place: str, problem: str) -> None:
        with pytest.raises(ConfigError, match=problem) as caught:
            models_of_card(parse_document(text, Path("card.yaml")))
        assert str(caught.value).startswith(f"card.yaml:{place}: ")

    def test_nor_can_it_by_hand(self) -> None:
        with pytest.raises(ConfigError, match="transport: direct"):
            provider_class("simulated")(ModelInfo(model_id="simulated:m", transport="direct"))

    @pytest.mark.slow
    def test_directly_no_sdk_is_imported(self, adapter: Adapter) -> None:
        with LoopbackServer([json_reply(adapter.wire.answer(Completion("ok")))]) as server:
            code = (
                "import sys\n"
                "from ember_bench.models import ModelInfo\n"
                "from ember_bench.models.call import Request\n"
                "from tests.models.providers.wires.asking import QUESTION, ask_all\n"
                "info = ModelInfo.model_validate_json(sys.stdin.read())\n"
                "assert ask_all(info, [Request(info, QUESTION)])[0].text == 'ok'\n"
                "heavy = {'openai', 'anthropic', 'google.genai', 'httpx', 'httpx2', 'aiohttp'}\n"
                "print(heavy & set(sys.modules))\n"
            )
            info = adapter.info(server.url).model_dump(mode="json") | {"api_key": KEY}
            done = subprocess.run(
                [sys.executable, "-c", code],
                input=json.dumps(info),
                cwd=Path(__file__).parents[3],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.stdout == "set()\n", done.stderr


def test_a_number_of_any_size_comes_back_in_a_tools_arguments() -> None:
    call = msgspec.structs.replace(CALLS[0], id="x")
    for adapter in DIRECT:
        reply = json_reply(
            adapter.wire.answer(Completion("", Usage(), "tool_calls", tool_calls=(call,)))
        )
        [found] = outcome(adapter, reply).tool_calls
        assert json.loads(found.arguments) == json.loads(call.arguments)
