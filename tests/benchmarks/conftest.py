"""The benchmarks' server: built for tests so that a mistake with memory, or a leak, fails it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import Server, build, serve
from benchmarks.setting import Setting, Sizes

CHECKED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(scope="session")
def server_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler (cc)")
    return build(tmp_path_factory.mktemp("server"), CHECKED)


@pytest.fixture
def server(server_program: Path) -> Iterator[Server]:
    with serve(server_program) as running:
        yield running
    assert running.process.returncode == 0


@pytest.fixture
def setting(server: Server, tmp_path: Path) -> Setting:
    tiny = Sizes(
        repeats=1,
        share=0.1,
        trials=50,
        memory=(10, 60),
        resumed=50,
        cells=5,
        items=20,
        starts=1,
        sweep=2,
        whole=False,
    )
    (tmp_path / "work").mkdir()
    return Setting(
        sizes=tiny,
        server=server,
        environments=tmp_path / "environments",
        work=tmp_path / "work",
        say=lambda _: None,
        seconds_left=lambda: 0.0,
    )
