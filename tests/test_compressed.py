"""Compressed files of records, of datasets and of recordings."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from ember_bench.compressed import ENDINGS, inner_name
from ember_bench.datasets.formats import open_records
from ember_bench.errors import ConfigError
from ember_bench.models.recorded.fields import Reading
from ember_bench.models.recorded.layouts import UnreadableError, records

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"id": number, "o": f"é {number}"} for number in range(300)]
TEXT = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def archive(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, TEXT)
    return packed.getvalue()


def zstandard(text: bytes) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as file:
        file.write(text)
    return packed.getvalue().to_pybytes()


PACKED = {
    ".gz": gzip.compress(TEXT),
    ".bz2": bz2.compress(TEXT),
    ".xz": lzma.compress(TEXT),
    ".zst": zstandard(TEXT),
    ".zip": archive("items.jsonl", "__MACOSX/items.jsonl"),
}


def test_every_kind_is_tried_here() -> None:
    assert tuple(PACKED) == ENDINGS
    assert {inner_name(f"items.jsonl{ending}") for ending in ENDINGS} == {"items.jsonl"}
    assert inner_name("items.jsonl") == "items.jsonl"


@pytest.mark.parametrize("ending", PACKED)
def test_a_dataset_and_a_recording_read_it(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"items.jsonl{ending}"
    path.write_bytes(PACKED[ending])
    assert [record for _, record in open_records(path).rows] == ROWS
    assert [record for _, record in records(path.name, PACKED[ending], Reading(), ("o",))] == ROWS


@pytest.mark.parametrize("content", ["nothing of the kind", "half"])
@pytest.mark.parametrize("ending", PACKED)
def test_damage_is_told(ending: str, content: str, tmp_path: Path) -> None:
    whole = PACKED[ending]
    broken = whole[: len(whole) // 2] if content == "half" else TEXT
    path = tmp_path / f"items.jsonl{ending}"
    path.write_bytes(broken)
    with pytest.raises(ConfigError, match="data"):
        list(open_records(path).rows)
    with pytest.raises(UnreadableError, match="not a whole"):
        list(records(path.name, broken, Reading(), ("o",)))


def test_an_archive_holds_one_file(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl.zip"
    path.write_bytes(archive("a.jsonl", "b.jsonl"))
    with pytest.raises(ConfigError, match="expected a ZIP archive of one file, found 2 of them"):
        list(open_records(path).rows)
