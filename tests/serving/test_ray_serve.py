"""Networks on a real Ray Serve cluster of two nodes, with OpenAI's SDK as client."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from pathlib import Path
from typing import Any

import openai
import pytest

from ember_bench import bridge
from ember_bench.errors import ConfigError
from ember_bench.models.model_registry import ModelRegistry
from ember_bench.models.service import ModelService
from ember_bench.registry import Cards, default_roots
from ember_bench.serving.networks import Question, find_networks
from ember_bench.serving.ray_app import Served, app

pytestmark = [
    pytest.mark.extra,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:Using extra keyword arguments on .Field."),
]

EXAMPLE = Path(__file__).parents[2] / "docs" / "clusters" / "ray_serve.py"
KEY = "sk-of-the-clients-0123456789"
NETWORK = "pilot/single"
GRID = """\
name: pilot
datasets: [{name: arithmetic, limit: 40}]
architectures: [{name: single, parameters: {model: simulated:small}}]
"""


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("ray")
    # A busy machine is no reason to start anew what starts.
    for check in ("READY", "HEALTH"):
        monkeypatch.setenv(f"RAY_SERVE_PROXY_{check}_CHECK_TIMEOUT_S", "120")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("EMBER_BENCH_SERVE_KEY", KEY)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "pilot.yaml").write_text(GRID)
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("ray_serve_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_replicas_on_two_nodes_answer_as_one_process(example: Any, port: int) -> None:
    import ray
    from ray import serve

    cards = Cards(default_roots())
    service = ModelService(ModelRegistry.from_cards(cards))
    (network,) = find_networks([NETWORK], {}, service, cards)
    questions = list(network.items)
    expected = [answer_of(network, question) for question in questions]
    with example.two_nodes() as address:
        example.start(address, port, Served(networks=[NETWORK], replicas=2))
        logs = Path(ray._private.worker._global_node.get_session_dir_path())
        client = example.client(port)
        assert [model.id for model in client.models.list()] == [NETWORK]
        answers = asyncio.run(asked(client, questions))
        status = serve.status().applications["default"].deployments["Networks"]
        assert status.replica_states == {"RUNNING": 2}
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="another").models.list()
        serve.shutdown()
    assert answers == expected
    assert len(set(expected)) > 20
    assert not [file for file in logs.rglob("*") if has_key(file)]


def answer_of(network: Any, question: str) -> str:
    return str(bridge.wait(network.answer(Question(question))).data)


async def asked(client: Any, questions: list[str]) -> list[str]:
    """Return the answers to questions that are asked at the same time."""
    async with openai.AsyncOpenAI(base_url=client.base_url, api_key=client.api_key) as many:
        completions = await asyncio.gather(
            *(
                many.chat.completions.create(
                    model=NETWORK, messages=[{"role": "user", "content": question}]
                )
                for question in questions
            )
        )
    return [completion.choices[0].message.content or "" for completion in completions]


def has_key(file: Path) -> bool:
    if not file.is_file() or file.is_symlink():
        return False
    return KEY.encode() in file.read_bytes()


def test_a_key_is_asked_for(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBER_BENCH_SERVE_KEY")
    with pytest.raises(ConfigError, match="set EMBER_BENCH_SERVE_KEY"):
        app(Served(networks=["vote"]))
