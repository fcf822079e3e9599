"""Where things are: the files of a results folder, and recorded data.

Apart from what runs a grid, whose imports take longer than all that most commands do.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

RESPONSES: Final = "responses.db"
"""The response store, in the results folder."""
TRIALS: Final = "trials.db"
"""An experiment's trial store, in a folder of its name there."""
SUMMARY: Final = "summary.json"
"""What an experiment found, beside its trial store."""


def use_data_dir(folder: Path) -> None:
    """Have recorded data looked up in `folder`.

    Raises:
        ConfigError: if there is no such folder.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.models.recorded.data_dir import DATA_DIR_VARIABLE

    if not folder.is_dir():
        raise ConfigError(f"--data-dir: there is no folder {folder}")
    os.environ[DATA_DIR_VARIABLE] = str(folder)
