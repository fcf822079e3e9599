from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import fsspec
import pytest

from ember_bench.datasets import Dataset
from ember_bench.errors import ConfigError
from tests.support.fake_hub import FakeHub

ROWS = [{"id": f"q{n}", "q": f"What is {n} + {n}?", "a": str(2 * n)} for n in range(3)]
CONTENT = "".join(json.dumps(row) + "\n" for row in ROWS)
DIGEST = sha256(CONTENT.encode()).hexdigest()
COMMIT = "0123456789" * 4
CARD: dict[str, Any] = {
    "name": "quiz",
    "purpose": "A test.",
    "fields": {"id": "id", "question": "q", "target": "a"},
    "evaluator": "exact_match",
}

Load = Callable[..., Dataset]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def store() -> Iterator[Any]:
    """An object store in memory."""
    memory = fsspec.filesystem("memory")
    yield memory
    memory.rm("/", recursive=True)


@pytest.fixture
def read(load: Load) -> Load:
    def read(url: Any, **card: Any) -> Dataset:
        return load(json.dumps(CARD | {"source": {"url": url}} | card))

    return read


def test_records_come_from_an_object_store(store: Any, read: Load) -> None:
    store.pipe("/bucket/items.jsonl", CONTENT.encode())
    dataset = read("memory://bucket/items.jsonl")
    assert [item.target for item in dataset] == ["0", "2", "4"]
    assert dataset.source == "memory://bucket/items.jsonl"
    assert dataset.revision == f"sha256:{DIGEST}"


def test_a_file_that_may_change_is_read_anew(store: Any, read: Load) -> None:
    store.pipe("/bucket/items.jsonl", CONTENT.encode())
    before = read("memory://bucket/items.jsonl")
    store.pipe("/bucket/items.jsonl", CONTENT.splitlines()[0].encode())
    assert len(read("memory://bucket/items.jsonl")) < len(before)


@pytest.mark.parametrize(
    "url",
    [
        {"url": "memory://bucket/items.jsonl", "sha256": DIGEST},
        f"memory://bucket/{COMMIT}/items.jsonl",
    ],
)
def test_a_file_that_cannot_change_is_fetched_once(url: Any, store: Any, read: Load) -> None:
    for name in ("/bucket/items.jsonl", f"/bucket/{COMMIT}/items.jsonl"):
        store.pipe(name, CONTENT.encode())
    first = read(url)
    store.rm("/bucket", recursive=True)
    assert read(url).digest == first.digest


def test_another_file_than_the_pinned_one_is_refused_and_not_kept(store: Any, read: Load) -> None:
    store.pipe("/bucket/items.jsonl", b'{"id": 1, "q": "?", "a": "2"}\n')
    pinned = {"url": "memory://bucket/items.jsonl", "sha256": DIGEST}
    with pytest.raises(ConfigError, match=f"is another file: its SHA-256 is .*, not {DIGEST}"):
        read(pinned)
    store.pipe("/bucket/items.jsonl", CONTENT.encode())
    assert len(read(pinned)) == 3


def test_parts_are_read_one_after_the_other_and_named(store: Any, read: Load) -> None:
    for part in ("de", "en"):
        store.pipe(f"/mgsm/{part}.tsv", f"{part} 1?\t1\n{part} 2?\t2\n".encode())
    url = {"url": "memory://mgsm/{part}.tsv", "parts": ["en", "de"], "columns": ["q", "a"]}
    fields = {"question": "q", "target": "a", "category": "part"}
    dataset = read(url, fields=fields)
    assert [(i.category, i.question, i.target) for i in dataset] == [
        ("en", "en 1?", "1"), ("en", "en 2?", "2"), ("de", "de 1?", "1"), ("de", "de 2?", "2"),
    ]  # fmt: skip
    store.pipe("/mgsm/de.tsv", b"one\t1\ntwo\t\n")
    with pytest.raises(ConfigError, match=r"de\.tsv:2: the target \(field 'a'\) is empty"):
        read(url, fields=fields)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("items.jsonl", "expected an address such as https://"),
        ("memory://bucket/{part}.jsonl", "`{part}` in `url` and `parts` need each other"),
        ({"url": "memory://b/i.jsonl", "sha256": "12"}, "expected 64 hexadecimal digits"),
        (
            {"url": "memory://b/{part}.jsonl", "parts": ["a"], "sha256": DIGEST},
            "each part has a SHA-256 of its own",
        ),
        ("memory://bucket/gone.jsonl", "there is no file memory://bucket/gone.jsonl"),
        ("nowhere://bucket/gone.jsonl", "cannot fetch nowhere://bucket/gone.jsonl: Protocol not"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(url: Any, message: str, read: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        read(url)
    assert message in str(caught.value)
    assert "quiz.yaml" in str(caught.value)


def test_a_file_on_a_web_server_is_fetched_without_telling_its_password(read: Load) -> None:
    with FakeHub() as hub:
        sha = hub.commit("org/sums", {"items.jsonl": CONTENT})
        address = f"{hub.url}/datasets/org/sums/resolve/{sha}/items.jsonl"
        assert len(read(address)) == 3
        asked = len(hub.requests)
        assert len(read(address)) == 3  # the commit is in the address
        assert len(hub.requests) == asked
        secret = address.replace("//", "//me:s3cret@", 1).replace("items", "gone")
        with pytest.raises(ConfigError, match="there is no file") as caught:
            read(f"{secret}?signature=s3cret")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"cannot fetch http://127\.0\.0\.1:.*Connect"):
        read(secret)  # the server is gone, which says nothing of the file
