"""`ember-bench serve` as a program."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, ENVIRONMENT, Command
from tests.support.workspace import Workspace

SERVE = ("serve", "vote", "--set", "model=simulated:small", "--set", "k=3")


@pytest.mark.slow
def test_it_says_where_it_listens_answers_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, *SERVE, "--port", "0"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("serving at http://127.0.0.1:")
    assert process.stderr.readline() == "  vote: Majority vote over k answers of one model.\n"
    request = urllib.request.Request(
        f"{line.split()[2]}/chat/completions",
        json.dumps({"model": "vote", "messages": [{"role": "user", "content": "Hm?"}]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["usage"]["calls"] == 3
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert process.stderr.read() == "stopped\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((*SERVE, "--set", "kk=3"), "error: --set kk: unknown parameter; did you mean 'k'"),
        (("serve", "vot"), "error: unknown architecture 'vot'; did you mean 'vote'"),
        ((*SERVE, "--host", "0.0.0.0"), "error: --host 0.0.0.0: others could spend your money"),
        ((*SERVE, "--host", "192.0.2.1"), "error: --host 192.0.2.1: others could spend"),
        ((*SERVE, "--set", "k"), "error: --set: expected path=value"),
        (("serve", "single", "--set", "model=openai:gpt-4o"), "error: no key for openai:gpt-4o"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    command: Command,
    here: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    error: str,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    result = command(*arguments)
    assert result.status == 2
    assert result.err.startswith(error)
    assert result.err.count("\n") == 1


def test_a_port_that_is_taken_is_named(command: Command, here: Workspace) -> None:
    from ember_bench.serving.server import listen

    with listen("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        result = command(*SERVE, "--port", port)
    assert result.status == 2
    assert result.err.startswith(f"error: --port {port}: 127.0.0.1 cannot be listened on: Address")
