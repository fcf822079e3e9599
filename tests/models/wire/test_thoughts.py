"""Thoughts in the ids of tool calls."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.models.wire import contents
from ember_bench.models.wire.thoughts import id_with, split_id

IDS = st.from_regex(r"[a-zA-Z0-9_-]{0,40}", fullmatch=True)
BLOCKS = st.dictionaries(st.text(max_size=5), st.text(), min_size=1, max_size=3)


@given(IDS, st.lists(BLOCKS, max_size=3))
def test_an_id_gives_back_what_was_put_into_it(call_id: str, thoughts: list[object]) -> None:
    assert split_id(id_with(call_id, thoughts)) == (call_id, thoughts)


@given(st.text())
def test_an_id_of_anybody_elses_has_no_thoughts(call_id: str) -> None:
    own, thoughts = split_id(call_id)
    assert (own, thoughts) == (call_id.partition("~thoughts:")[0], [])


def test_what_cannot_be_read_is_no_thought() -> None:
    assert split_id('a~thoughts:[{"type"') == ("a", [])
    assert split_id("a~thoughts:7") == ("a", [])


@pytest.mark.parametrize(("written", "text"), [(None, ""), (3, ""), (True, ""), ("so", "so")])
def test_fields_are_looked_up_in_objects_alone(
    written: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An answer without thoughts, as most are, would else take hundreds of look-ups.
    monkeypatch.setattr(contents, "field", None)
    assert contents.written_thoughts(written) == text
