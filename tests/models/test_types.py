from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ember_bench.errors import ConfigError
from ember_bench.models import Image


class TestImage:
    @pytest.mark.parametrize(
        ("name", "media_type"),
        [
            ("a.png", "image/png"),
            ("a.JPG", "image/jpeg"),
            ("a.jpeg", "image/jpeg"),
            ("a.gif", "image/gif"),
            ("a.webp", "image/webp"),
        ],
    )
    def test_is_read_from_a_file(self, tmp_path: Path, name: str, media_type: str) -> None:
        (tmp_path / name).write_bytes(b"\x89PNG\x00")
        image = Image.read(tmp_path / name)
        assert (image.media_type, base64.b64decode(image.data)) == (media_type, b"\x89PNG\x00")

    def test_of_a_kind_that_not_every_provider_takes_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"a\.svg: expected a picture \(png, jpeg, gif, webp"):
            Image.read(str(tmp_path / "a.svg"))
        with pytest.raises(ConfigError, match="found no known kind"):
            Image.read(tmp_path / "a")

    def test_that_is_not_there_is_a_mistake_at_its_place(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"a\.png: cannot read it: No such file"):
            Image.read(tmp_path / "a.png")
