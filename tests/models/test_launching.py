"""Servers of local models: started when first needed, shared, ended, and their failures told."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ember_bench.errors import CallGivenUpError, ProviderError
from ember_bench.models.info import ModelInfo
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from tests.support import local_server

PROGRAM = local_server.__file__
pytestmark = pytest.mark.slow

Model = Callable[..., ModelInfo]


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number = taken.getsockname()[1]
    yield number
    assert not listens(number)  # whatever happened, nothing is left behind


def listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


def model(port: int, *arguments: str, name: str = "m", **launch: Any) -> ModelInfo:
    command = [sys.executable, str(PROGRAM), "{port}", *arguments]
    return ModelInfo(
        model_id=f"openai:{name}",
        provider={"name": "openai", "base_url": f"http://127.0.0.1:{port}/v1"},
        transport="direct",
        launch={"command": command, "ready": "/health", **launch},
    )


def service_of(*models: ModelInfo) -> ModelService:
    registry = ModelRegistry()
    for one in models:
        registry.register_model(one)
    return ModelService(registry)


def asked(service: ModelService, *names: str) -> list[Any]:
    """Ask models at the same time, and close the service."""
    from ember_bench.models.call import Request
    from ember_bench.models.types import Message, SamplingParameters

    async def ask() -> list[Any]:
        prompt = (Message("user", "3 + 4 = ?"),)
        requests = [
            service.ask(Request(service.registry.get(name), prompt, SamplingParameters()))
            for name in names
        ]
        try:
            return await asyncio.gather(*requests, return_exceptions=True)
        finally:
            await service.close()

    return asyncio.run(ask())


def test_a_server_is_started_once_for_all_who_need_it_and_ended(port: int) -> None:
    service = service_of(model(port), model(port, name="n"))
    assert not listens(port)
    answers = asked(service, *["openai:m"] * 5, *["openai:n"] * 5)
    assert [answer.data for answer in answers] == ["Answer: 7"] * 10
    assert not listens(port)


def test_nothing_is_started_for_a_model_that_is_not_asked(port: int) -> None:
    service = service_of(model(port, "--fail"))
    assert asked(service) == []
    assert service.servers.reports == []


def test_a_server_that_answers_already_is_used_and_left_alone(port: int) -> None:
    with subprocess.Popen([sys.executable, str(PROGRAM), str(port)]) as own:
        while not listens(port):
            pass
        asyncio.run(asyncio.sleep(0.6))  # until it says that it is ready
        service = service_of(model(port, "--fail"))
        (answer,) = asked(service, "openai:m")
        assert answer.data == "Answer: 7"
        assert service.servers.reports == []
        assert listens(port)
        own.terminate()


def test_what_it_printed_is_told_if_it_does_not_start(port: int) -> None:
    errors = asked(service_of(model(port, "--fail")), *["openai:m"] * 3)
    for error in errors:
        assert isinstance(error, ProviderError)
        first, *others = str(error).splitlines()  # tables show the first line of an error
        assert first == (
            "openai:m: the server of its card's `launch` ended with status 4; its last line: no GPU"
            " was found"
        )
        assert others[-2:] == ["loading the weights", "no GPU was found"]


def test_a_server_that_does_not_come_up_in_time_is_ended(port: int) -> None:
    (error,) = asked(service_of(model(port, "--never", wait_seconds=1.0)), "openai:m")
    assert f"did not answer http://127.0.0.1:{port}/health within 1 s" in str(error)
    assert "loading the weights" in str(error)


def test_a_program_that_is_not_there_is_named(port: int) -> None:
    one = model(port).model_copy(update={"launch": model(port, command=["no-such-program"]).launch})
    (error,) = asked(service_of(one), "openai:m")
    assert "cannot be started: no-such-program: No such file or directory" in str(error)


def test_a_server_that_dies_is_told_with_its_last_words(port: int) -> None:
    service = service_of(model(port, "--die"))

    async def ask_twice() -> list[Any]:
        from ember_bench.models.call import Request
        from ember_bench.models.types import Message, SamplingParameters

        found: list[Any] = []
        request = Request(
            service.registry.get("openai:m"), (Message("user", "?"),), SamplingParameters()
        )
        try:
            for _ in range(2):
                found += await asyncio.gather(service.ask(request), return_exceptions=True)
                await asyncio.sleep(0.5)
            return found
        finally:
            await service.close()

    first, second = asyncio.run(ask_twice())
    assert first.data == "Answer: 7"
    reason = str(second).splitlines()[0]
    assert reason.endswith("ended with status 9; its last line: out of memory, dying")


def test_a_run_that_is_to_stop_does_not_wait_for_a_server_that_still_starts(port: int) -> None:
    service = service_of(model(port, "--never", wait_seconds=600.0))

    async def stopped() -> list[Any]:
        from ember_bench.models.call import Request
        from ember_bench.models.types import Message, SamplingParameters

        request = Request(
            service.registry.get("openai:m"), (Message("user", "?"),), SamplingParameters()
        )
        calls = asyncio.gather(*(service.ask(request) for _ in range(3)), return_exceptions=True)
        try:
            await asyncio.sleep(0.5)
            service.wind_down()
            return await asyncio.wait_for(calls, 30)  # in which it would not come up
        finally:
            await service.close()

    for error in asyncio.run(stopped()):
        assert isinstance(error, CallGivenUpError)


def test_the_cost_of_its_machine_is_said_over_the_tokens_it_served(port: int) -> None:
    service = service_of(model(port, per_hour=3600.0))
    answers = asked(service, *["openai:m"] * 4)
    assert [answer.cost for answer in answers] == [None] * 4  # it is no price of a call
    (report,) = service.servers.reports
    assert report.startswith("openai:m: its server ran for ")
    usd = float(report.partition("$")[2].partition(" ")[0])
    assert f"at $3600 an hour, ${usd / 4:,.2f} per million tokens served" in report


def test_how_a_server_is_started_is_no_part_of_the_model_s_identity(port: int) -> None:
    without = model(port).model_copy(update={"launch": None})
    assert without.fingerprint == model(port).fingerprint


@pytest.mark.parametrize("base_url", [None, "http://127.0.0.1/v1"])
def test_the_port_must_be_in_the_address(base_url: str | None) -> None:
    with pytest.raises(ValueError, match="launch: takes a base_url of the provider that names"):
        ModelInfo(
            model_id="openai:m",
            provider={"name": "openai", "base_url": base_url},
            launch={"command": ["vllm", "serve"]},
        )


def test_a_run_starts_the_server_and_says_what_it_cost(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ember_bench.running.session import Options, open_experiment, run_experiment
    from tests.support.workspace import Workspace, single

    monkeypatch.chdir(tmp_path)
    workspace = Workspace(tmp_path)
    workspace.sums(2)
    workspace.write(
        "registry/models/m.yaml",
        {
            "name": "openai:m",
            "provider": {"name": "openai", "base_url": f"http://127.0.0.1:{port}/v1"},
            "launch": {"command": [sys.executable, str(PROGRAM), "{port}"], "per_hour": 2.5},
        },
    )
    workspace.grid(architectures=[single("openai:m")])
    experiment = open_experiment(tmp_path / "grid.yaml")
    outcome = run_experiment(experiment, Options(results=tmp_path / "results", mlflow=False))
    assert outcome.summary.failed == 0
    assert any("per million tokens served" in remark for remark in outcome.remarks)
