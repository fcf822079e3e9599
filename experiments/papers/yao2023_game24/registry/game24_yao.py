"""The expression that an answer to the Game of 24 states, so that votes can count equal ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ember_bench.operators import answer_format

if TYPE_CHECKING:
    from collections.abc import Sequence

_MARK = "Answer:"


@answer_format("game24_yao", version=1)
def game24_yao(text: str, _: Sequence[str]) -> str | None:
    """Return what stands after the last `Answer:`, before an equals sign and without blanks."""
    _, mark, stated = text.rpartition(_MARK)
    expression = "".join((stated if mark else text).partition("=")[0].split())
    return expression if expression and expression != "None" else None
