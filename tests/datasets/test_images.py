"""Images of items: where they come from, and what makes them the same."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ember_bench.datasets import Dataset, Item, load_dataset
from ember_bench.datasets.packed import PackedItems
from ember_bench.errors import ConfigError
from ember_bench.experiment.trial import graph_inputs
from ember_bench.models.media import Image
from ember_bench.registry import Cards

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
OTHER = b"\x89PNG\r\n\x1a\n" + bytes(9)
URL = "https://example.com/a.png?size=1"


def made(image: Any, **options: Any) -> Item:
    """Return the item of one record with this value in its field of images."""
    (item,) = Dataset.from_records(
        [{"q": "What is it?", "a": "1", "image": image}],
        question="q", target="a", images="image", evaluator="exact_match", **options,
    )  # fmt: skip
    return item


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    return path


def test_a_file_is_shown_to_the_graph(picture: Path) -> None:
    assert graph_inputs(made(str(picture)))["images"] == [Image.read(picture)]


def test_a_record_may_have_none(picture: Path) -> None:
    item = made("")
    assert item.images == ()
    assert "images" not in graph_inputs(item)
    assert len(made([str(picture), str(picture)]).images) == 2


def test_a_url_is_handed_on() -> None:
    assert graph_inputs(made(URL))["images"] == [Image("image/png", URL)]


def test_bytes_and_data_urls_are_the_image_that_a_file_is(picture: Path) -> None:
    inline = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    items = [made(value) for value in (str(picture), inline, {"bytes": PNG, "path": None}, PNG)]
    assert len({item.digest for item in items}) == 1
    assert len({graph_inputs(item)["images"][0].url for item in items}) == 1


def test_the_identity_is_the_content_and_not_the_path(picture: Path) -> None:
    before = made(str(picture)).digest
    moved = picture.rename(picture.with_name("b.png"))
    assert made(str(moved)).digest == before
    moved.write_bytes(OTHER)
    assert made(str(moved)).digest != before


def test_an_item_without_images_is_the_item_that_it_was() -> None:
    assert made("").digest == Item("0", "What is it?", "1").digest


def test_a_file_that_changes_after_reading_is_not_shown(picture: Path) -> None:
    item = made(str(picture))
    picture.write_bytes(OTHER)
    with pytest.raises(ConfigError, match=r"a\.png: the image has changed since"):
        graph_inputs(item)


def test_items_with_images_can_be_packed(picture: Path) -> None:
    item = made([str(picture), URL])
    (packed,) = PackedItems([item])
    assert packed == item
    assert packed.digest == item.digest


def test_paths_are_relative_to_the_file_of_the_records(tmp_path: Path, picture: Path) -> None:
    (tmp_path / "registry/datasets").mkdir(parents=True)
    (tmp_path / "items.csv").write_text("q,a,image\nWhat?,1,a.png\n")
    (tmp_path / "registry/datasets/seen.yaml").write_text(
        "name: seen\npurpose: A picture.\nsource: {file: ../../items.csv}\n"
        "fields: {question: q, target: a, images: image}\nevaluator: exact_match\n"
    )
    (item,) = load_dataset("seen", Cards([tmp_path / "registry"]))
    assert graph_inputs(item)["images"] == [Image.read(picture)]


def test_parquet_files_of_the_hub_hold_the_images(tmp_path: Path) -> None:
    rows = pa.table({"q": ["What?"], "a": ["1"], "image": [{"bytes": PNG, "path": "x.png"}]})
    (tmp_path / "datasets").mkdir()
    pq.write_table(rows, tmp_path / "datasets/items.parquet")
    (tmp_path / "datasets/seen.yaml").write_text(
        "name: seen\npurpose: A picture.\nsource: {file: items.parquet}\n"
        "fields: {question: q, target: a, images: image}\nevaluator: exact_match\n"
    )
    (item,) = load_dataset("seen", Cards([tmp_path]))
    assert graph_inputs(item)["images"][0].media_type == "image/png"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("missing.png", r"images: .*missing\.png: cannot read it: No such file"),
        ("text.png", r"images: .*text\.png: expected image/png.*found other bytes"),
        ("https://example.com/picture", r"images: .*the URL does not end in \.png"),
        ("data:image/png;base64,***", r"images: .* is not base64"),
        (b"GIF7", "images: expected image/png, image/jpeg, image/gif, image/webp; found other"),
        (7, "images: expected a path or a URL, found an integer"),
    ],
)
def test_what_is_no_image_is_told_with_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"record 1: {reason}"):
        made(value)
