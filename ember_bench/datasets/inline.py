"""Records that stand in the card itself, or that a program has made."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from ember_bench.datasets.records import Record, Records
from ember_bench.datasets.sources import Opening, record_source
from ember_bench.errors import Problem


@record_source("records", list[dict[str, Any]])
def open_inline(rows: list[Record], opening: Opening) -> Records:
    """The records themselves: a list of mappings."""

    def locate(number: int, message: str) -> Problem:
        place = opening.document.at("source", opening.name, number - 1)
        return Problem(f"record {number}: {message}", place)

    content = json.dumps(rows, sort_keys=True, ensure_ascii=False, default=str)
    revision = f"sha256:{sha256(content.encode('utf-8', 'backslashreplace')).hexdigest()}"
    return Records("inline records", revision, enumerate(rows, 1), "record", locate)
