"""The files of a results folder, and the folder of recorded data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ember_bench.errors import ConfigError
from ember_bench.models.recorded.data_dir import DATA_DIR_VARIABLE

RESPONSES: Final = "responses.db"
"""The response store, in the results folder."""
TRIALS: Final = "trials.db"
"""An experiment's trial store, in a folder of its name there."""
SUMMARY: Final = "summary.json"
"""The summary of an experiment, beside its trial store."""
SUMMARY_TEXT: Final = "summary.md"
"""The same, to read."""

STUDY: Final = "study.yaml"
"""The grid that a study is, beside its summary."""


def use_data_dir(folder: Path) -> None:
    """Look up recorded data in `folder` from now on.

    Raises:
        ConfigError: if there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"--data-dir: there is no folder {folder}")
    os.environ[DATA_DIR_VARIABLE] = str(folder)


def experiments(results: Path) -> set[str]:
    """Return the names of the experiments that have a summary."""
    return {path.parent.name for path in results.glob(f"*/{SUMMARY}")}
