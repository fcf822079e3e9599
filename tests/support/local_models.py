"""Models with servers of their own on this machine, in a workspace."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support import local_server
from tests.support.workspace import Workspace


@contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Yield ports; nothing may listen there at the end."""
    taken = [socket.socket() for _ in range(count)]
    for one in taken:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    yield found
    for port in found:
        assert not listens(port)


def listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


def local_models(workspace: Workspace, ports: list[int], **launch: Any) -> list[str]:
    """Write cards of models whose servers hold one GPU each; return their ids."""
    for name, port in zip("abc", ports, strict=False):
        arguments = ["{port}", str(workspace.root), "--host={host}"]
        command = [sys.executable, local_server.__file__, *arguments]
        workspace.write(
            f"registry/models/{name}.yaml",
            {
                "name": f"openai:{name}",
                "provider": {"name": "openai", "base_url": f"http://127.0.0.1:{port}/v1"},
                "launch": {"command": command, "gpus": 1, **launch},
            },
        )
    workspace.sums(3)
    return [f"openai:{name}" for name, _ in zip("abc", ports, strict=False)]


def started(workspace: Workspace) -> list[tuple[int, str]]:
    """Return port and GPUs of each server that was started."""
    lines = (workspace.root / "started").read_text().splitlines()
    return [(int(port), gpu) for port, _, gpu in (line.partition(" ") for line in lines)]
