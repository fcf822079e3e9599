"""The images of items: files, URLs, and bytes in records."""

from __future__ import annotations

import base64
import binascii
import mimetypes
from collections.abc import Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from ember_bench.datasets.records import short
from ember_bench.errors import ConfigError
from ember_bench.models.media import PICTURES, Image
from ember_bench.record_fields import RecordError, type_name

_URLS: Final = ("https://", "http://")
_INLINE: Final = "data:"
# Cells advance together item by item, so an image is wanted again soon or not for long.
_AT_HAND: Final = 32


class ItemImage(msgspec.Struct, frozen=True):
    """An image of an item; a file is read when the item is asked.

    Attributes:
        place: A path, a URL, or a URL that holds the image (`data:image/png;base64,...`).
        digest: SHA-256 of the image; of an image elsewhere, of its URL.
    """

    place: str
    digest: str

    @property
    def name(self) -> str:
        """The image for people: its file or URL, or the kind of what a record holds."""
        return self.place.partition(",")[0] if self.place.startswith(_INLINE) else self.place

    def load(self) -> Image:
        """Return the image.

        Raises:
            ConfigError: if its file is not as it was when the dataset was read.
        """
        try:
            return _loaded(self)
        except OSError as error:
            raise ConfigError(f"{self.place}: cannot read it: {error.strerror}") from None


@lru_cache(_AT_HAND)
def _loaded(image: ItemImage) -> Image:
    place = image.place
    if place.startswith(_URLS):
        return Image(_kind_of_url(place), place)
    if place.startswith(_INLINE):
        head, _, data = place.partition(",")
        return Image(head.removeprefix(_INLINE).removesuffix(";base64"), data)
    content = Path(place).read_bytes()
    if _digest(content) != image.digest:
        raise ConfigError(f"{place}: the image has changed since the dataset was read")
    return _checked(content)


def images_of(value: Any, folder: Path) -> Iterator[ItemImage]:
    """Yield the images in a field of a record.

    Args:
        value: A path, a URL, a `data:` URL, a mapping with `bytes` or `path` (as datasets of the
            Hugging Face hub have them), a list of these; or nothing.
        folder: Paths are relative to it.

    Raises:
        RecordError: if one is no image.
    """
    if value is None or value == "":
        return
    if isinstance(value, list | tuple):
        for entry in value:
            yield from images_of(entry, folder)
    elif isinstance(value, str):
        yield _at(value, folder)
    elif isinstance(value, bytes):
        yield _held(value)
    elif isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):
        yield _held(value["bytes"])
    elif isinstance(value, Mapping) and isinstance(value.get("path"), str):
        yield _at(value["path"], folder)
    else:
        raise RecordError(f"images: expected a path or a URL, found {type_name(value)}")


def _at(place: str, folder: Path) -> ItemImage:
    if place.startswith(_URLS):
        _kind_of_url(place)
        return ItemImage(place, _digest(place.encode()))
    if place.startswith(_INLINE):
        head, _, data = place.partition(",")
        try:
            return _held(base64.b64decode(data, validate=True) if head.endswith(";base64") else b"")
        except binascii.Error:
            raise RecordError(f"images: {short(place)} is not base64") from None
    path = (folder / place).absolute()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"images: {path}: cannot read it: {error.strerror}") from None
    _checked(content, f"{path}: ")
    return ItemImage(str(path), _digest(content))


def _held(content: bytes) -> ItemImage:
    """Return the image that a record itself holds."""
    return ItemImage(_checked(content).url, _digest(content))


def _checked(content: bytes, place: str = "") -> Image:
    """Return the image with these bytes, by which its kind is known."""
    image = Image("other bytes", base64.b64encode(content).decode())
    if image.media_type not in PICTURES:
        raise RecordError(
            f"images: {place}expected {', '.join(PICTURES)}; found {image.media_type}"
        )
    return image


def _kind_of_url(url: str) -> str:
    kind = mimetypes.guess_type(urlsplit(url).path)[0]
    if kind not in PICTURES:
        raise RecordError(
            f"images: {short(url)}: the URL does not end in .png, .jpg, .gif or .webp, so the kind"
            " of the image is not known; save it as a file"
        )
    return kind


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()
