"""Pictures and files that are part of a prompt."""

from __future__ import annotations

import base64
import binascii
import mimetypes
from pathlib import Path
from typing import Final, Self

import msgspec

from ember_bench.errors import ConfigError

PICTURES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""Media types of pictures that every provider takes."""
PDF: Final = "application/pdf"
"""The media type of PDF documents."""
AUDIO: Final = {"audio/wav": "wav", "audio/mpeg": "mp3"}
"""Media types of sound, and their names at OpenAI."""

# The names that systems give to the same kinds.
_SYNONYMS: Final = {
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "image/jpg": "image/jpeg",
}
_ADDRESSES: Final = ("https://", "http://")
# The most characters of base64 that the first bytes take, by which a file's kind is known.
_HEAD: Final = 64


class _Media(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A file with its kind.

    Attributes:
        media_type: Its kind.
        data: The file in base64, or its URL, `https://...`.
    """

    media_type: str
    data: str

    def __post_init__(self) -> None:
        """Correct the kind: the bytes decide it, where they can be read."""
        kind = None if self.is_url else _kind(self.data)
        kind = kind or _SYNONYMS.get(self.media_type, self.media_type)
        if kind != self.media_type:
            msgspec.structs.force_setattr(self, "media_type", kind)

    @property
    def is_url(self) -> bool:
        """Whether `data` is the file's URL."""
        return self.data.startswith(_ADDRESSES)

    @property
    def url(self) -> str:
        """The file's URL, or one that holds the file (RFC 2397)."""
        return self.data if self.is_url else f"data:{self.media_type};base64,{self.data}"

    @classmethod
    def _read(cls, path: Path | str, kinds: tuple[str, ...]) -> Self:
        path = Path(path)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: cannot read it: {error.strerror}") from None
        guessed = mimetypes.guess_type(path.name)[0] or "no known kind"
        found = cls(guessed, base64.b64encode(content).decode())
        if found.media_type not in kinds:
            raise ConfigError(f"{path}: expected {', '.join(kinds)}; found {found.media_type}")
        return found


class Image(_Media, frozen=True, omit_defaults=True, gc=False):
    """A picture that is part of a prompt.

    Attributes:
        media_type: `image/png`, `image/jpeg`, `image/gif` or `image/webp`. The bytes decide it,
            where they say otherwise.
        data: The file in base64, or its URL, `https://...`.
        detail: How closely the model looks: `low`, `high`, `auto`, or another word that it knows.
    """

    detail: str | None = None

    @classmethod
    def read(cls, path: Path | str) -> Image:
        """Return the picture in a file.

        Raises:
            ConfigError: if it cannot be read, or is of a kind that not every provider takes.
        """
        return cls._read(path, PICTURES)


class File(_Media, frozen=True, omit_defaults=True, gc=False):
    """A PDF document or a sound that is part of a prompt.

    Attributes:
        media_type: `application/pdf`, `audio/wav` or `audio/mpeg`.
        data: The file in base64, or its URL, `https://...`.
        name: Its name, for models that are told it.
    """

    name: str = "document.pdf"

    @classmethod
    def read(cls, path: Path | str) -> File:
        """Return the document or the sound in a file.

        Raises:
            ConfigError: if it cannot be read, or is of another kind.
        """
        found = cls._read(path, (PDF, *AUDIO))
        return cls(found.media_type, found.data, Path(path).name) if found.is_pdf else found

    @property
    def is_pdf(self) -> bool:
        """Whether it is a PDF document."""
        return self.media_type == PDF


def _kind(data: str) -> str | None:
    """Return the media type that a file's first bytes state; None if they state none."""
    try:
        head = base64.b64decode(data[:_HEAD])
    except (binascii.Error, ValueError):
        return None
    if head.startswith(b"RIFF"):
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12])
    signatures = {
        b"\x89PNG\r\n\x1a\n": "image/png",
        b"\xff\xd8\xff": "image/jpeg",
        b"GIF8": "image/gif",
        b"%PDF-": PDF,
        b"ID3": "audio/mpeg",
    }
    return next((kind for mark, kind in signatures.items() if head.startswith(mark)), None)
