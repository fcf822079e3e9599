"""What is litellm's own; what every adapter owes is in test_conformance."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models.call import Call, Request
from ember_bench.models.info import ModelInfo, ProviderInfo
from ember_bench.models.providers.litellm import LiteLLM
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.models.types import Completion, Message, SamplingParameters, Usage
from tests.models.providers.wires.openai import ChatWire
from tests.support.loopback import Fault, LoopbackServer, json_reply

QUESTION = (Message("user", "What is the capital of France?"),)
INSTALLED = importlib.util.find_spec("litellm") is not None
MARK = {"cache_control": {"type": "ephemeral"}}
MARKED = {"role": "user", "content": [{"type": "text", "text": QUESTION[0].content, **MARK}]}
PARIS = ChatWire().answer(Completion("Paris.", Usage(7, 2)))


@pytest.fixture
def package() -> None:
    if not INSTALLED:
        pytest.skip("needs the extra litellm")


def model(name: str, url: str | None = None, **fields: Any) -> ModelInfo:
    provider = {"name": "litellm", "base_url": url}
    return ModelInfo.model_validate({"model_id": f"litellm:{name}", "provider": provider, **fields})


def ask(info: ModelInfo, **asked: Any) -> Completion:
    async def main() -> Completion:
        provider, request = LiteLLM(info), Request(info, QUESTION, **asked)
        try:
            return await provider.complete(Call.place(request, Strand(TrialContext()), "0", ""))
        finally:
            await provider.close()

    return asyncio.run(main())


@pytest.mark.extra
@pytest.mark.usefixtures("package")
class TestProviders:
    @pytest.mark.parametrize("name", ["openai/m", "hosted_vllm/m", "mistral/m"])
    def test_each_is_asked_by_the_name_its_server_knows(self, name: str) -> None:
        with LoopbackServer([json_reply(PARIS)]) as server:
            completion = ask(model(name, f"{server.url}/v1", api_key="sk-own-key"))
        assert completion == Completion("Paris.", Usage(7, 2))
        assert server.asked[0].body["model"] == "m"
        assert server.asked[0].headers["authorization"] == "Bearer sk-own-key"

    def test_what_its_provider_lacks_is_refused_before_any_call(self) -> None:
        def problems(name: str, **parameters: Any) -> list[str]:
            request = Request(model(name), QUESTION, SamplingParameters(**parameters))
            return LiteLLM.unsupported(request)

        assert problems("mistral/mistral-large-latest", temperature=0.5, seed=1) == []
        assert problems("mistral/mistral-large-latest", top_logprobs=2) == [
            "litellm:mistral/mistral-large-latest does not take top_logprobs"
        ]
        assert problems("ollama/llama3", seed=1, thinking_tokens=9) == [
            "litellm:ollama/llama3 does not take thinking_tokens"
        ]

    @pytest.mark.parametrize(
        ("name", "asked", "written"),
        [
            ("hosted_vllm/m", {"top_k": 5, "min_p": 0.1}, {"top_k": 5, "min_p": 0.1}),
            ("hosted_vllm/m", {"repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
            ("openai/m", {"top_k": 5, "min_p": 0.1}, {"top_k": 5, "min_p": 0.1}),
            ("groq/m", {"server_tools": ({"type": "s"},)}, {"tools": [{"type": "s"}]}),
            ("ollama_chat/m", {"top_k": 5, "min_p": 0.1}, {"options": {"top_k": 5, "min_p": 0.1}}),
            (
                "gemini/gemini-2.5-pro",
                {"safety_settings": {"HARM": "NONE"}},
                {"safetySettings": [{"category": "HARM", "threshold": "NONE"}]},
            ),
            ("anthropic/claude-sonnet-4-5", {"top_k": 5}, {"top_k": 5}),
            (
                "anthropic/claude-sonnet-4-5",
                {"cache": True},
                {"messages": [MARKED]},
            ),
            ("mistral/mistral-large-latest", {"extra_body": {"own": [1]}}, {"own": [1]}),
            ("watsonx/ibm/granite-3-8b", {"extra_body": {"own": [1]}}, {"own": [1]}),
        ],
    )
    def test_each_is_sent_what_litellm_hands_on(
        self, name: str, asked: Any, written: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WATSONX_PROJECT_ID", "p")
        monkeypatch.setenv("WATSONX_TOKEN", "t")
        version = "/v1" if name.partition("/")[0] in ("hosted_vllm", "openai", "groq") else ""
        refusal = Fault(400, {"error": {"message": "no"}}, raw=True)
        with LoopbackServer([refusal]) as server:
            info = model(name, f"{server.url}{version}", api_key="k")
            parameters = SamplingParameters(**asked, headers={"X-Own": "${OWN}"})
            monkeypatch.setenv("OWN", "mine")
            assert LiteLLM.unsupported(Request(info, QUESTION, parameters)) == []
            with pytest.raises(ProviderError, match="HTTP 400"):
                ask(info, parameters=parameters)
        [sent] = server.asked
        assert {key: sent.body.get(key) for key in written} == written
        assert sent.headers["x-own"] == "mine"

    def test_a_card_may_have_headers_and_fields_of_its_own(self) -> None:
        with LoopbackServer([json_reply(PARIS)]) as server:
            own: dict[str, Any] = {"headers": {"X-Team": "a"}, "extra_body": {"own": {"a": 1}}}
            info = model("hosted_vllm/m", f"{server.url}/v1", api_key="k", **own)
            LiteLLM.check([info])
            asked = SamplingParameters(headers={"X-Team": "b"}, extra_body={"own": {"b": 2}})
            ask(info, parameters=asked)
        assert server.asked[0].headers["x-team"] == "b"
        assert server.asked[0].body["own"] == {"a": 1, "b": 2}

    def test_a_card_with_fields_that_do_not_arrive_is_refused(self) -> None:
        info = model("anthropic/claude-sonnet-4-5", api_key="k", extra_body={"own": 1})
        said = "extra_body: litellm does not pass it on to anthropic"
        with pytest.raises(ConfigError, match=said):
            LiteLLM.check([info])
        assert LiteLLM.unsupported(Request(info, QUESTION)) == [f"{info.model_id}: {said}"]

    @pytest.mark.parametrize(
        ("name", "asked"),
        [
            ("openai/m", {"top_k": 5, "min_p": 0.1}),
            ("mistral/m", {"min_p": 0.1, "cache": True}),
            ("anthropic/m", {"min_p": 0.1, "extra_body": {"a": 1}}),
            ("ollama/m", {"repetition_penalty": 1.1, "safety_settings": {"A": "B"}}),
        ],
    )
    def test_what_does_not_arrive_is_refused(self, name: str, asked: Any) -> None:
        problems = LiteLLM.unsupported(Request(model(name), QUESTION, SamplingParameters(**asked)))
        assert [problem.split()[-1] for problem in problems] == list(asked)

    def test_one_that_nobody_serves_is_said_before_any_call(self) -> None:
        with pytest.raises(ConfigError, match="litellm does not know who serves it"):
            LiteLLM.check([model("nonsense/m", api_key="k")])

    @pytest.mark.parametrize(
        ("status", "body", "retryable", "said"),
        [
            (429, {"error": {"message": "slow down"}}, True, "HTTP 429: slow down"),
            (400, {"error": {"message": "no"}}, False, "HTTP 400: no"),
            (200, "{half", True, "malformed answer"),
        ],
    )
    def test_errors_are_the_servers_words_on_its_other_way_too(
        self, status: int, body: Any, retryable: bool, said: str
    ) -> None:
        # Not through OpenAI's SDK, as most providers are asked.
        with (
            LoopbackServer([Fault(status, body, raw=True)]) as server,
            pytest.raises(ProviderError, match=said) as caught,
        ):
            ask(model("hosted_vllm/m", f"{server.url}/v1"))
        assert caught.value.retryable == retryable


@pytest.mark.extra
@pytest.mark.usefixtures("package")
class TestKeys:
    def test_a_missing_one_is_said_before_any_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
        with pytest.raises(ConfigError, match="set MISTRAL_API_KEY in the environment"):
            LiteLLM.check([model("mistral/m")])
        LiteLLM.check([model("mistral/m", api_key="k"), model("ollama/m")])
        LiteLLM.check([model("openai/m", "http://127.0.0.1:9/v1")])
        monkeypatch.setenv("MISTRAL_API_KEY", "k")
        LiteLLM.check([model("mistral/m")])

    def test_one_that_only_litellm_reads_is_in_no_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MISTRAL_API_KEY", "secret-of-mistral")
        fault = Fault(401, {"error": {"message": "bad key secret-of-mistral"}}, raw=True)
        with LoopbackServer([fault]) as server, pytest.raises(ProviderError) as caught:
            ask(model("mistral/m", f"{server.url}/v1"))
        assert "secret-of-mistral" in server.asked[0].headers["authorization"]
        assert "secret-of-mistral" not in str(caught.value)
        assert "***" in str(caught.value)


CLOUD_VARIABLES = re.compile(r"^(AWS|AZURE|GOOGLE|VERTEXAI|WATSONX|WX|WML|PROJECT|SPACE)_")


@pytest.fixture
def no_cloud(package: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without credentials of any cloud, in files or variables."""
    for name in [name for name in os.environ if CLOUD_VARIABLES.match(name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    return monkeypatch


@pytest.mark.extra
class TestClouds:
    def test_watsonx_names_each_thing_that_it_misses(self, no_cloud: pytest.MonkeyPatch) -> None:
        watsonx = ModelInfo(model_id="watsonx:ibm/granite-4")

        def problem() -> str:
            with pytest.raises(ConfigError) as caught:
                LiteLLM.check([watsonx])
            return str(caught.value)

        assert "no key for watsonx:ibm/granite-4: set WATSONX_API_KEY or WATSONX_TOKEN" in problem()
        no_cloud.setenv("WATSONX_APIKEY", "k")
        assert "WATSONX_URL or WATSONX_API_BASE and WATSONX_PROJECT_ID or" in problem()
        at_its_address = {"name": "litellm", "base_url": "https://us-south.ml.cloud.ibm.com"}
        with pytest.raises(ConfigError, match="set WATSONX_PROJECT_ID or WATSONX_SPACE_ID in the"):
            LiteLLM.check([watsonx.model_copy(update={"provider": ProviderInfo(**at_its_address)})])
        no_cloud.setenv("WATSONX_URL", at_its_address["base_url"])
        assert "set WATSONX_PROJECT_ID or WATSONX_SPACE_ID in the environment" in problem()
        no_cloud.setenv("WATSONX_PROJECT_ID", "p")
        LiteLLM.check([watsonx])

    def test_bedrock_looks_where_amazons_tools_do(
        self, no_cloud: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        bedrock = ModelInfo(model_id="bedrock:amazon.nova-pro-v1:0")
        with pytest.raises(ConfigError, match="no credentials of AWS: set AWS_BEARER_TOKEN_BEDROC"):
            LiteLLM.check([bedrock])
        no_cloud.setenv("AWS_BEARER_TOKEN_BEDROCK", "k")
        LiteLLM.check([bedrock])
        no_cloud.delenv("AWS_BEARER_TOKEN_BEDROCK")
        file = tmp_path / "credentials"
        file.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
        no_cloud.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        LiteLLM.check([bedrock])

    def test_vertex_looks_where_googles_tools_do(
        self, no_cloud: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        vertex = model("vertex_ai/gemini-3.8-flash")
        with pytest.raises(ConfigError, match=r"litellm:vertex_ai.*Google's credentials"):
            LiteLLM.check([vertex])
        file = tmp_path / "adc.json"
        fields = {"client_id": "a", "client_secret": "b", "refresh_token": "c"}
        file.write_text(json.dumps({"type": "authorized_user", **fields}))
        no_cloud.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        LiteLLM.check([vertex])

    def test_watsonx_is_asked_in_its_own_way(self, no_cloud: pytest.MonkeyPatch) -> None:
        no_cloud.setenv("WATSONX_TOKEN", "token-of-mine")
        no_cloud.setenv("WATSONX_PROJECT_ID", "p")
        with LoopbackServer([json_reply(PARIS)]) as server:
            no_cloud.setenv("WATSONX_URL", server.url)
            completion = ask(ModelInfo(model_id="watsonx:ibm/granite-4"))
        assert completion == Completion("Paris.", Usage(7, 2))
        [asked] = server.asked
        assert asked.path.startswith("/ml/v1/text/chat?version=")
        assert (asked.body["model_id"], asked.body["project_id"]) == ("ibm/granite-4", "p")
        assert asked.headers["authorization"] == "Bearer token-of-mine"

    def test_bedrock_is_asked_with_a_signature(self, no_cloud: pytest.MonkeyPatch) -> None:
        no_cloud.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        no_cloud.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-aws")
        no_cloud.setenv("AWS_REGION_NAME", "us-east-1")
        message = {"role": "assistant", "content": [{"text": "Paris."}]}
        usage = {"inputTokens": 7, "outputTokens": 2, "totalTokens": 9}
        body = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}
        with LoopbackServer([json_reply(body)]) as server:
            no_cloud.setenv("AWS_BEDROCK_RUNTIME_ENDPOINT", server.url)
            completion = ask(ModelInfo(model_id="bedrock:amazon.nova-pro-v1:0"))
        assert completion == Completion("Paris.", Usage(7, 2))
        [asked] = server.asked
        assert asked.path == "/model/amazon.nova-pro-v1%3A0/converse"
        assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")


@pytest.mark.extra
@pytest.mark.usefixtures("package")
class TestImport:
    def test_fetches_nothing_and_prints_nothing(self) -> None:
        code = (
            "import socket\n"
            "def connect(*_): raise SystemExit('it wanted the network')\n"
            "socket.socket.connect = socket.getaddrinfo = connect\n"
            "from ember_bench.models.providers import litellm_features\n"
            "module = litellm_features.load()\n"
            "module.get_supported_openai_params('nonsense/m')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr


class TestWithoutThePackage:
    def test_a_missing_package_is_said_before_any_call(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ConfigError, match=r"pip install 'ember-bench\[litellm\]'"):
            LiteLLM.check([model("mistral/m")])
        LiteLLM.check([ModelInfo(model_id="simulated:x")])

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"options\.x"):
            LiteLLM(model("mistral/m", options={"x": 1}))
