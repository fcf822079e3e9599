"""promptfoo itself, from npm, as a program.

`EMBER_BENCH_PROMPTFOO` names a folder into which npm has installed promptfoo and Node; `.ci/run`
makes one.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

FOLDER = os.environ.get("EMBER_BENCH_PROMPTFOO")
needs_promptfoo = pytest.mark.skipif(
    FOLDER is None, reason="needs promptfoo: set EMBER_BENCH_PROMPTFOO to a folder of npm with it"
)
FAILED = 100
"""The status of an evaluation in which a test failed."""


def evaluate(folder: Path, *arguments: str) -> None:
    """Run `promptfoo eval` on the `promptfooconfig.yaml` of a folder."""
    modules = Path(FOLDER or "", "node_modules")
    (node,) = modules.glob("node-linux-*/bin/node")
    done = subprocess.run(
        [str(node), str(modules / ".bin" / "promptfoo"), "eval", "--no-progress-bar", *arguments],
        cwd=folder,
        env={
            **os.environ,
            "OPENAI_API_KEY": "none",
            "PROMPTFOO_CONFIG_DIR": str(folder / "promptfoo"),
            "PROMPTFOO_DISABLE_REMOTE_GENERATION": "true",
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            # Else a request that fails is repeated for a minute and more.
            "PROMPTFOO_REQUEST_BACKOFF_MS": "1",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode in (0, FAILED), done.stdout + done.stderr
