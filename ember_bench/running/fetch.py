"""A paper's data from its public repositories, at the commits that its cards name.

Each repository is cloned at that one commit into a temporary folder; `repack.py` of the paper then
writes the files that its cards read. It has one function, `repack(clones, data)`: `clones` are the
folders by repository, `data` is the data directory.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from ember_bench.errors import ConfigError
from ember_bench.models.recorded.data_dir import AvailableFrom
from ember_bench.running.messages import say
from ember_bench.running.papers import REPACK, Paper


def fetch(paper: Paper, data: Path) -> list[Path]:
    """Clone a paper's repositories and repack their files.

    Args:
        paper: The paper.
        data: The data directory, which is made if there is none.

    Returns:
        The files that were written.

    Raises:
        ConfigError: if there is nothing to fetch, a clone fails, or it is not as expected.
    """
    if paper.card.simulated or not paper.sources:
        raise ConfigError(f"{paper.name}: there is no data to fetch: its models are simulated")
    path = paper.folder / REPACK
    if not path.is_file():
        addresses = ", ".join(map(str, paper.sources))
        raise ConfigError(f"{paper.name}: there is no {REPACK}; repack by hand: {addresses}")
    repack: Callable[[Mapping[str, Path], Path], None] = runpy.run_path(str(path))["repack"]
    with tempfile.TemporaryDirectory() as temporary:
        clones = {}
        for number, source in enumerate(paper.sources):
            say(f"cloning {source.repository} at commit {source.commit[:12]}")
            clones[source.repository] = _clone(source, Path(temporary, str(number)))
        data.mkdir(parents=True, exist_ok=True)
        before = _written(data)
        try:
            repack(clones, data)
        except (OSError, LookupError, ValueError) as error:
            message = f"{type(error).__name__}: {error}"
            raise ConfigError(f"{path}: the repository is not as expected: {message}") from error
    return sorted(file for file, when in _written(data).items() if before.get(file) != when)


def _written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def _clone(source: AvailableFrom, folder: Path) -> Path:
    """Fetch one commit without its history."""
    folder.mkdir()
    address = source.repository
    if not address.startswith(("/", "file:")):
        address = f"https://{address.removeprefix('https://')}"
    for arguments in (
        ("init", "--quiet"),
        ("fetch", "--quiet", "--depth", "1", address, source.commit),
        ("checkout", "--quiet", "FETCH_HEAD"),
    ):
        _git(folder, *arguments)
    return folder


def _git(folder: Path, *arguments: str) -> None:
    try:
        # Without a terminal: a private repository is an error and no question.
        subprocess.run(  # noqa: S603 - a commit and an address of a card
            ["git", *arguments],  # noqa: S607 - wherever it is
            cwd=folder,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            text=True,
        )
    except FileNotFoundError:
        raise ConfigError("git is needed to fetch data, and it is not installed") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip() or f"status {error.returncode}"
        raise ConfigError(f"git {' '.join(arguments)}: {said}") from None
