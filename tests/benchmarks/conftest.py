"""The benchmarks' server: built for tests so that a mistake with memory ends it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.server import Server, build, serve

CHECKED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(scope="session")
def server_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler (cc)")
    return build(tmp_path_factory.mktemp("server"), CHECKED)


@pytest.fixture
def server(server_program: Path) -> Iterator[Server]:
    # What is still reachable in the end is no leak of a program that ends.
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    with serve(server_program) as running:
        yield running
    assert running.process.returncode == 0
