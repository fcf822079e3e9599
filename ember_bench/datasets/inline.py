"""Records that stand in the card itself, or that a program has made."""

from __future__ import annotations

from typing import Any

from ember_bench.datasets.records import Record, Records, content_revision
from ember_bench.datasets.sources import Opening, record_source
from ember_bench.errors import Problem


@record_source("records", list[dict[str, Any]])
def open_inline(rows: list[Record], opening: Opening) -> Records:
    """The records themselves: a list of mappings."""

    def locate(number: int, message: str) -> Problem:
        place = opening.document.at("source", opening.name, number - 1)
        return Problem(f"record {number}: {message}", place)

    return Records("inline records", content_revision(rows), enumerate(rows, 1), "record", locate)
