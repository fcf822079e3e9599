"""Server-sent events as the standard has them, and as servers write them."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.models.transport.events import Event, EventReader, begun

LINES = [
    b"data: a",
    b"data:b",
    b"data",
    b"event: e",
    b": ping",
    b"id: 1",
    b"retry: 3",
    b"",
    b"x: y",
]


def read(*parts: bytes) -> list[Event]:
    reader = EventReader()
    found = [event for part in parts for event in reader.feed(part)]
    return [*found, *reader.close()]


class TestEvents:
    @pytest.mark.parametrize(
        ("stream", "events"),
        [
            (b"data: one\n\ndata:two\n\n", [Event(b"", b"one"), Event(b"", b"two")]),
            (b"event: named\ndata: x\n\n", [Event(b"named", b"x")]),
            (b"event: named\n\ndata: x\n\n", [Event(b"", b"x")]),
            (b"data: first\ndata: second\n\n", [Event(b"", b"first\nsecond")]),
            (b"data:  kept space\n\n", [Event(b"", b" kept space")]),
            (b"data\n\n", [Event(b"", b"")]),
            (b": ping\n\n: ping\n\n", []),
            (b"id: 7\nretry: 9\ndata: x\nunknown: y\n\n", [Event(b"", b"x")]),
            (b"data: without a last line", [Event(b"", b"without a last line")]),
            (b"data: \xff\xfe\n\n", [Event(b"", b"\xff\xfe")]),
            ("data: \u2028\x85\x0b\n\n".encode(), [Event(b"", "\u2028\x85\x0b".encode())]),
            (b"", []),
        ],
    )
    def test_are_split(self, stream: bytes, events: list[Event]) -> None:
        assert read(stream) == events

    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
    def test_have_lines_with_any_end(self, end: bytes) -> None:
        stream = end.join([b"event: e", b"data: 1", b"data: 2", b"", b"data: 3", b"", b""])
        assert read(stream) == [Event(b"e", b"1\n2"), Event(b"", b"3")]

    def test_may_be_json_without_a_field_name(self) -> None:
        stream = b'data: {}\n\n{\n  "error": {\n    "code": 503\n  }\n}\n'
        assert read(stream) == [Event(b"", b"{}"), Event(b"", stream[10:-1])]

    def test_may_be_an_error_field(self) -> None:
        assert read(b'error: {"code": 500}\n\n') == [Event(b"error", b'{"code": 500}')]

    @given(
        st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from([b"\n", b"\r\n", b"\r"]))),
        st.lists(st.integers(0, 200)),
    )
    def test_are_the_same_however_the_stream_is_cut(
        self, lines: list[tuple[bytes, bytes]], cuts: list[int]
    ) -> None:
        stream = b"".join(line + end for line, end in lines)
        places = sorted({0, *(cut for cut in cuts if cut < len(stream)), len(stream)})
        parts = [stream[a:b] for a, b in pairwise(places)]
        assert read(*parts) == read(stream)

    @pytest.mark.slow
    def test_that_never_end_take_no_more_than_their_bytes(self) -> None:
        reader = EventReader()
        tracemalloc.start()
        try:
            for _ in range(500_000):
                assert not list(reader.feed(b"xy"))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 5_000_000


class TestBeginning:
    @pytest.mark.parametrize("body", [b"data: x", b"event: x", b": ping", b"id: 1", b"retry: 1"])
    @pytest.mark.parametrize("before", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \r\n"])
    def test_of_events(self, before: bytes, body: bytes) -> None:
        assert begun(before + body) == (body, True)

    @pytest.mark.parametrize("body", [b"{}", b"[1]", b"<html>", b"null", b'"x"', b"\xff\xfe"])
    def test_of_anything_else(self, body: bytes) -> None:
        assert begun(b"\xef\xbb\xbf\n" + body) == (body, False)

    @pytest.mark.parametrize("body", [b"", b"\n \r", b"\xef", b"\xef\xbb", b"\xef\xbb\xbf"])
    def test_that_tells_nothing(self, body: bytes) -> None:
        assert begun(body)[1] is None
