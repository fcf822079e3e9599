"""Compressed files: gzip, bzip2, xz, Zstandard, and ZIP archives of one file."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable

# Endings of names -> what the data are called.
_KINDS: Final = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "Zstandard", ".zip": "ZIP"}
ENDINGS: Final = tuple(_KINDS)
# What a file's bytes raise that are not whole; an `OSError` of theirs has no number.
DAMAGED: Final = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError)
# What systems add to archives.
_BESIDE: Final = ("__MACOSX/", ".DS_Store", "Thumbs.db")


class NotOneFileError(ValueError):
    """An archive does not hold exactly one file."""


def inner_name(name: str) -> str:
    """Return the name of a file without the ending of its compression."""
    ending = _ending(name)
    return name[: -len(ending)] if ending else name


def kind_of(name: str) -> str:
    """Return what the data of a file are called, "" of one that is not compressed."""
    return _KINDS.get(_ending(name), "")


def unpacked(name: str, file: BinaryIO) -> BinaryIO:
    """Return the content of an open file, which its name says the compression of.

    Raises:
        NotOneFileError: if an archive holds no file, or several.
        zipfile.BadZipFile: if it is no archive. Reading raises one of `DAMAGED`.
    """
    opener = _OPENERS.get(_ending(name))
    return file if opener is None else opener(file)


def is_damage(error: BaseException) -> bool:
    """Return whether an error is one of the data, and not of the place where they are."""
    return not isinstance(error, OSError) or error.errno is None


def _ending(name: str) -> str:
    lower = name.lower()
    return next((ending for ending in ENDINGS if lower.endswith(ending)), "")


def _zstandard(file: BinaryIO) -> BinaryIO:
    import pyarrow  # noqa: PLC0415 - costs 0.1 s, and few files need it

    return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(file, "r"), "zstd"))


def _archived(file: BinaryIO) -> BinaryIO:
    archive = zipfile.ZipFile(file)
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    own = [name for name in names if not name.startswith(_BESIDE) and not name.endswith(_BESIDE)]
    if len(own) != 1:
        found = f"{len(own)} of them" if own else "none"
        raise NotOneFileError(f"expected a ZIP archive of one file, found {found}; unpack it")
    return cast("BinaryIO", archive.open(own[0]))


_OPENERS: Final[dict[str, Callable[[BinaryIO], BinaryIO]]] = {
    ".gz": lambda file: cast("BinaryIO", gzip.GzipFile(fileobj=file)),
    ".bz2": lambda file: cast("BinaryIO", bz2.BZ2File(file)),
    ".xz": lambda file: cast("BinaryIO", lzma.LZMAFile(file)),  # noqa: SIM115 - it is returned
    ".zst": _zstandard,
    ".zip": _archived,
}
