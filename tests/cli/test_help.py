"""What is asked about the command is answered at once, because next to nothing is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ember_bench
from ember_bench.cli import COMMANDS
from tests.cli.conftest import Command, program

HEAVY = {
    "aiohttp", "asyncio", "datasets", "greenlet", "mlflow", "msgspec", "numpy", "openai", "orjson",
    "pydantic", "rich", "scipy", "yaml",
}  # fmt: skip
OURS = {"ember_bench", "ember_bench.cli", "ember_bench.errors"}
OURS |= {f"ember_bench.cli.{module}" for module in ("_group", "_output")}
# Messages to the user, without escape sequences and secrets.
OURS |= {f"ember_bench.{module}" for module in ("running", "running.messages", "secrets")}
OURS |= {f"ember_bench.{module}" for module in ("drawing", "drawing.text")}
SECTIONS = {
