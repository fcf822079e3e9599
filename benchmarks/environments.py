"""The peers' virtual environments: made once, and again when their versions change."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

PINS: Final = Path(__file__).with_name("environments.toml")
_DONE: Final = "installed.json"


def pinned() -> dict[str, list[str]]:
    """Return what is installed in each environment."""
    environments = tomllib.loads(PINS.read_text())
    return {name: list(entry["packages"]) for name, entry in environments.items()}


def make(folder: Path, names: Iterable[str], say: Callable[[str], None]) -> dict[str, str]:
    """Make those of the environments that are not there yet; returns why some could not be made."""
    packages, problems = pinned(), {}
    for name in dict.fromkeys(names):
        try:
            _make(folder / name, packages[name], lambda text, name=name: say(f"{name}: {text}"))  # type: ignore[misc]
        except (subprocess.CalledProcessError, OSError) as error:
            log = folder / f"{name}.log"
            problems[name] = f"its environment could not be made: {error} (see {log})"
    return problems


def _make(environment: Path, packages: list[str], say: Callable[[str], None]) -> None:
    wanted = {"python": sys.version, "packages": packages}
    done = environment / _DONE
    if done.is_file() and json.loads(done.read_text()) == wanted:
        return
    say(f"installing {', '.join(packages)}")
    shutil.rmtree(environment, ignore_errors=True)
    environment.parent.mkdir(parents=True, exist_ok=True)
    with environment.with_name(f"{environment.name}.log").open("w") as log:
        for command in (
            [sys.executable, "-m", "venv", str(environment)],
            # Compiled now: otherwise the first run would be charged for it.
            [str(environment / "bin" / "pip"), "install", "--compile", "--no-input", *packages],
        ):
            subprocess.run(command, check=True, stdout=log, stderr=log)
    done.write_text(json.dumps(wanted))
