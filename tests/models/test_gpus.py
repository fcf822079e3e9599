"""The GPUs of a machine: how many there are, who has them, and servers that share them in turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ember_bench.errors import ConfigError, ProviderError
from ember_bench.models import gpus
from tests.support.local_models import free_ports, listens, local_models, started
from tests.support.workspace import Workspace, single


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (gpus.COUNT_VARIABLE, gpus.VISIBLE_VARIABLE):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("2,3", ("2", "3")), ("GPU-5a", ("GPU-5a",)), ("", ()), ("-1", ()), ("0,-1,1", ("0",)),
     ("NoDevFiles", ())],
)  # fmt: skip
def test_those_that_cuda_would_see(
    visible: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus.gpus_here() == (expected, "CUDA_VISIBLE_DEVICES")


def test_a_count_takes_the_first_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBER_BENCH_GPUS", "2")
    assert gpus.gpus_here() == (("0", "1"), "EMBER_BENCH_GPUS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    assert gpus.gpus_here() == (("4", "5"), "EMBER_BENCH_GPUS")


@pytest.mark.parametrize("count", ["two", "-1", "4"])
def test_a_count_that_cannot_be_is_refused(count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBER_BENCH_GPUS", count)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ConfigError, match="EMBER_BENCH_GPUS"):
        gpus.gpus_here()


def test_else_the_driver_lists_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.gpus_here() == (("0", "1"), "nvidia-smi")
    tool.unlink()
    assert gpus.gpus_here() == ((), "nvidia-smi")


def test_nobody_gets_what_another_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBER_BENCH_GPUS", "3")
    first = gpus.take(2, "openai:a")
    with pytest.raises(ProviderError) as raised:
        gpus.take(2, "openai:b")
    assert str(raised.value) == (
        "openai:b: its server takes 2 GPUs, and there are 3 (EMBER_BENCH_GPUS); openai:a has 2 GPUs"
    )
    second = gpus.take(1, "openai:b")
    assert {*first, *second} == {"0", "1", "2"}
    gpus.give_back(first)
    gpus.give_back(second)
    gpus.give_back(gpus.take(3, "openai:c"))


@pytest.fixture
def ports() -> Iterator[list[int]]:
    with free_ports(3) as found:
        yield found


@pytest.mark.slow
def test_models_share_one_gpu_in_turn_and_each_is_started_once(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    workspace = Workspace(tmp_path)
    models = local_models(workspace, ports)
    workspace.grid(architectures=[single(models)], epochs=2)
    ran = workspace.run()
    assert ran.summary.failed == 0
    assert ran.progress.done == 3 * 3 * 2
    # A second server on the GPU would have failed.
    assert started(workspace) == [(port, "7") for port in ports]


@pytest.mark.slow
def test_they_run_at_once_where_there_are_gpus_enough(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBER_BENCH_GPUS", "2")
    workspace = Workspace(tmp_path)
    models = local_models(workspace, ports[:2])
    workspace.grid(architectures=[single(models)])
    assert workspace.run().summary.failed == 0
    assert {gpu for _, gpu in started(workspace)} == {"0", "1"}


def test_a_cell_that_needs_more_than_there_is_is_named(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBER_BENCH_GPUS", "1")
    workspace = Workspace(tmp_path)
    models = local_models(workspace, ports[:1], gpus=2)
    workspace.grid(architectures=[single(models)])
    with pytest.raises(ConfigError, match=r"take 2 GPUs at the same time .* number of GPUs is 1;"):
        workspace.run()
    # Offline nothing is started.
    assert workspace.run(offline=True).summary.failed == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a server that its run was killed")
def test_a_killed_run_leaves_no_server_behind(tmp_path: Path, ports: list[int]) -> None:
    workspace = Workspace(tmp_path)
    local_models(workspace, ports[:1])
    workspace.sums(1000)
    workspace.grid(architectures=[single("openai:a")], in_flight=1)
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.support.workspace", str(tmp_path)],
        env={**os.environ, "EMBER_BENCH_GPUS": "1"},
    )
    deadline = time.monotonic() + 60
    while not listens(ports[0]):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    while listens(ports[0]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
