"""Several keys of one model: each has its own limits, and requests go to the one with most room."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Call
from ember_bench.models.endpoint import Endpoint
from ember_bench.models.info import ModelInfo, ProviderInfo
from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.providers.openai import OpenAI
from ember_bench.models.retry import RetryPolicy
from ember_bench.models.types import Completion, Usage
from ember_bench.secrets import without_secrets
from tests.support import virtual
from tests.support.limited import a_call, endpoint
from tests.support.loopback import Asked, Fault
from tests.support.openai_server import Answer, OpenAIServer

KEYS = ("sk-first-of-three", "sk-second-of-three", "sk-third-of-three")

_servers: dict[str, Keyed] = {}


class Keyed:
    """A server that counts what each key asks.

    Attributes:
        faults: What is raised for a key.
        seconds: That an answer takes.
    """

    def __init__(self, seconds: float = 1.0, **faults: ProviderError) -> None:
        self.faults, self.seconds = faults, seconds
        self.asked: Counter[str] = Counter()
        self.times: list[tuple[float, str]] = []

    async def answer(self, key: str) -> Completion:
        name = key.split("-")[1]
        self.asked[name] += 1
        self.times.append((virtual.virtual_time(), name))
        await asyncio.sleep(self.seconds)
        if name in self.faults:
            raise self.faults[name]
        return Completion("answer", Usage(3, 2))


@provider("keyed")
class KeyedProvider(Provider):
    async def complete(self, call: Call) -> Completion:
        assert self.model.key is not None
        return await _servers[self.model.model_name].answer(self.model.key.get_secret_value())


def ask(server: Keyed, calls: int, keys: Any = KEYS, **fields: Any) -> tuple[list[Any], Endpoint]:
    """Make so many calls at once."""

    async def main() -> tuple[list[Any], Endpoint]:
        _servers["m"] = server
        model = ModelInfo(model_id="keyed:m", api_key=keys, **fields)
        asked = endpoint(model)
        made = (asked.complete(a_call(model, n)) for n in range(calls))
        return await asyncio.gather(*made, return_exceptions=True), asked

    return virtual.run(main())


def texts(ends: list[Any]) -> set[str]:
    return {end.text if isinstance(end, Completion) else str(end) for end in ends}


class TestSpreading:
    def test_all_keys_get_the_same_share(self) -> None:
        server = Keyed()
        assert texts(ask(server, 300)[0]) == {"answer"}
        assert set(server.asked.values()) == {100}

    def test_each_key_has_the_cards_concurrency(self) -> None:
        server = Keyed()
        ask(server, 30, max_concurrency=5)
        assert Counter(at for at, _ in server.times) == {0.0: 15, 1.0: 15}

    def test_each_key_has_the_cards_rate(
        self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMBER_BENCH_STATE", str(tmp_path_factory.mktemp("state")))
        server = Keyed(seconds=0.1)
        ask(server, 360, rate_limit={"requests_per_minute": 120})
        assert server.times[-1][0] == pytest.approx(60, abs=3)
        assert set(server.asked.values()) == {120}

    def test_while_one_is_told_to_wait_the_others_are_used(self) -> None:
        later = ProviderError("busy", retryable=True, status=429, retry_after=3600.0)
        server = Keyed(first=later)
        ends, _ = ask(server, 200, max_concurrency=10)
        assert texts(ends) == {"answer"}
        assert server.asked["first"] == 10

    def test_one_key_is_asked_as_ever(self) -> None:
        server = Keyed()
        ends, asked = ask(server, 20, keys="sk-only-of-one")
        assert texts(ends) == {"answer"}
        assert asked.provider.for_each_key() == (asked.provider,)


class TestAKeyThatIsRefused:
    @pytest.mark.parametrize(
        "refusal",
        [
            ProviderError("no such key", status=401),
            ProviderError("no money left", status=402),
            ProviderError("the quota is exhausted", status=429),
        ],
        ids=str,
    )
    def test_does_not_stop_the_others(
        self, refusal: ProviderError, caplog: pytest.LogCaptureFixture
    ) -> None:
        server = Keyed(second=refusal)
        with caplog.at_level(logging.INFO, "ember_bench.limits"):
            ends, _ = ask(server, 300, max_concurrency=10)
        assert texts(ends) == {"answer"}
        assert server.asked["second"] == 10
        assert f"key 2 of 3 is not used any more: {refusal}" in caplog.text
        assert not any(key in caplog.text for key in KEYS)

    def test_leaves_the_calls_deadline_as_it_is(self) -> None:
        server = Keyed(first=ProviderError("no money left", status=402))
        hangs = ProviderError("broken", retryable=True, status=500)
        server.faults |= {"second": hangs, "third": hangs}
        ends, _ = ask(server, 1, deadline_seconds=3)
        assert "deadline_seconds" in str(ends[0])

    def test_is_an_error_where_it_is_the_last(self) -> None:
        refusal = ProviderError("no such key", status=401)
        server = Keyed(first=refusal, second=refusal, third=refusal)
        ends, _ = ask(server, 3, max_concurrency=10)
        assert texts(ends) == {"no such key"}

    @pytest.mark.parametrize("transport", ["direct", "sdk"])
    def test_is_not_used_over_http_either(
        self, transport: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", ", ".join(KEYS))

        def reply(asked: Asked) -> Fault:
            key = asked.headers["authorization"].removeprefix("Bearer ")
            if key == KEYS[0]:
                return Fault(401, f"Incorrect API key: {key}")
            return Answer(key[3:9]).sent(asked)

        async def main(url: str) -> list[str]:
            where = ProviderInfo(name="openai", base_url=url)
            model = ModelInfo(model_id="openai:m", provider=where, transport=transport)
            asked = Endpoint(OpenAI(model), RetryPolicy())
            try:
                made = (asked.complete(a_call(model, n)) for n in range(20))
                return [c.text for c in await asyncio.gather(*made)]
            finally:
                await asked.close()

        with OpenAIServer(reply) as server:
            assert Counter(asyncio.run(main(server.base_url))) == {"second": 10, "third-": 10}


class TestKeys:
    def test_do_not_change_what_the_model_is(self) -> None:
        one = ModelInfo(model_id="openai:m", api_key=KEYS[0])
        several = ModelInfo(model_id="openai:m", api_key=KEYS)
        assert one.fingerprint == several.fingerprint
        assert one.connection != several.connection
        assert [key.get_secret_value() for key in several.keys] == list(KEYS)
        assert several.key == one.key

    def test_are_shown_nowhere(self) -> None:
        model = ModelInfo(model_id="openai:m", api_key=KEYS)
        shown = f"{model!r} {model.model_dump_json()} {model.model_dump()}"
        assert not any(key in shown for key in KEYS)
        assert pickle.loads(pickle.dumps(model)).keys == ()
        assert "of-three" not in without_secrets(f"keys: {KEYS}")

    def test_of_the_environment_are_not_seen_one_by_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SOME_API_KEY", "left-of-the-comma,right-of-the-comma")
        assert without_secrets("it is right-of-the-comma") == "it is ***"

    @pytest.mark.parametrize("keys", ["[]", "[[sk-nested-key]]", "{a: sk-nested-key}", "7"])
    def test_that_are_none_are_refused_unseen(self, keys: str) -> None:
        card = parse_document(f"model_id: openai:m\napi_key: {keys}\n", Path("card.yaml"))
        with pytest.raises(ConfigError, match="api_key: expected a key, or a list of keys") as told:
            card.parse(ModelInfo)
        assert "sk-nested-key" not in str(told.value)

    def test_may_be_given_once_too_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", f"{KEYS[0]},,{KEYS[0]} ,")
        model = ModelInfo(model_id="openai:m")
        assert [key.get_secret_value() for key in OpenAI(model).all_keys()] == [KEYS[0]]
