from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ember_bench.errors import ConfigError
from ember_bench.models import File, Image


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
        for name in ("a.svg", "a"):
            (tmp_path / name).write_text("no picture")
        with pytest.raises(ConfigError, match=r"a\.svg: expected image/png, .*; found image/svg"):
            Image.read(str(tmp_path / "a.svg"))
        with pytest.raises(ConfigError, match="found no known kind"):
            Image.read(tmp_path / "a")

    @pytest.mark.parametrize(
        ("head", "media_type"),
        [
            (b"\x89PNG\r\n\x1a\n....", "image/png"),
            (b"\xff\xd8\xff\xe0....", "image/jpeg"),
            (b"GIF89a......", "image/gif"),
            (b"RIFF....WEBP", "image/webp"),
        ],
    )
    def test_is_of_the_kind_that_its_bytes_say(
        self, tmp_path: Path, head: bytes, media_type: str
    ) -> None:
        data = base64.b64encode(head).decode()
        for stated in ("image/png", "image/jpeg", "image/tiff"):
            assert Image(stated, data).media_type == media_type
        (tmp_path / "a.bin").write_bytes(head)
        assert Image.read(tmp_path / "a.bin").media_type == media_type

    def test_of_bytes_that_say_nothing_is_of_the_kind_that_is_stated(self) -> None:
        assert Image("image/png", "AAAA").media_type == "image/png"
        assert Image("image/jpg", "AAAA").media_type == "image/jpeg"

    def test_may_be_a_url(self) -> None:
        image = Image("image/png", "https://example.org/a.png")
        assert image.is_url
        assert image.url == "https://example.org/a.png"
        held = Image("image/png", "AAAA")
        assert not held.is_url
        assert held.url == "data:image/png;base64,AAAA"


class TestFile:
    @pytest.mark.parametrize(
        ("head", "media_type"),
        [(b"%PDF-1.7", "application/pdf"), (b"RIFF....WAVE", "audio/wav"), (b"ID3.", "audio/mpeg")],
    )
    def test_is_read_from_a_file(self, tmp_path: Path, head: bytes, media_type: str) -> None:
        (tmp_path / "a").write_bytes(head)
        found = File.read(tmp_path / "a")
        assert (found.media_type, base64.b64decode(found.data)) == (media_type, head)

    def test_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        with pytest.raises(ConfigError, match=r"expected application/pdf, .*; found image/png"):
            File.read(tmp_path / "a.png")

    def test_that_is_not_there_is_a_mistake_at_its_place(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"a\.png: cannot read it: No such file"):
            Image.read(tmp_path / "a.png")
