"""The folder of recorded data, and its sources, for items and answers."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

DATA_DIR_VARIABLE: Final = "EMBER_BENCH_DATA"


def data_dir() -> Path | None:
    """Return the folder that recorded data is looked up in, as the environment names it."""
    named = os.environ.get(DATA_DIR_VARIABLE)
    return Path(named).expanduser() if named else None


def _commit(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", value):
        raise ValueError("expected a commit of 40 hexadecimal digits; a branch or a tag can move")
    return value


Text = Annotated[str, Field(min_length=1)]
Commit = Annotated[str, AfterValidator(_commit)]


class AvailableFrom(BaseModel):
    """The public repository that recorded data can be had from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: Text
    """Its address."""
    commit: Commit
    """The commit that has the files, 40 hexadecimal digits."""
    licence: Text | None = None
    """Licence of the files."""
    note: Text | None = None
    """Changes to the repository's files before use."""

    def __str__(self) -> str:
        licence = f" ({self.licence})" if self.licence else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.repository} at commit {self.commit}{licence}{note}"
