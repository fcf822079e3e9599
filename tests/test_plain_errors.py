"""Mistakes in values are told in plain words, one for each value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from ember_bench.documents import Document
from ember_bench.errors import ConfigError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: Annotated[int, Field(ge=1, le=9)] = 1


class Card(BaseModel):
    name: str = ""
    many: list[int] | int = 0
    kind: Literal["wrong", "excluded"] = "wrong"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    entries: Annotated[list[str], Field(min_length=1)] = ["a"]
    inner: Inner | str = ""
    on: bool = True


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"name": 5}, ["name: expected a text, in quotes (found 5)"]),
        ({"name": ["a"]}, ["name: expected a text"]),
        ({"many": "x"}, ["many: expected a list or a whole number (found 'x')"]),
        ({"many": [1, "x"]}, ["many.1: expected a whole number (found 'x')"]),
        (
            {"kind": "wrnog"},
            ["kind: expected 'wrong' or 'excluded'; did you mean 'wrong'? (found "],
        ),
        ({"kind": "other"}, ["kind: expected 'wrong' or 'excluded' (found 'other')"]),
        ({"share": 95}, ["share: must be less than 1 (found 95)"]),
        ({"share": 0}, ["share: must be greater than 0 (found 0)"]),
        ({"entries": []}, ["entries: needs at least 1 entry"]),
        (
            {"inner": {"size": 10}},
            ["inner.size: must be at most 9 (found 10)"],
        ),
        ({"on": "perhaps"}, ["on: expected true or false (found 'perhaps')"]),
        ({"name": 1, "on": 7}, ["name: expected a text", "on: expected true or false"]),
    ],
)
def test_values_of_the_wrong_kind(data: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Document(Path("card.yaml"), data, {}).parse(Card)
    messages = [problem.message for problem in caught.value.problems]
    assert len(messages) == len(said)
    assert all(message.startswith(start) for message, start in zip(messages, said, strict=True))
