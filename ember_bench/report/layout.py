"""Columns of text in a terminal. Numbers are never cut: wide columns are stacked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from ember_bench.drawing.text import width

Line: TypeAlias = Sequence[str]
"""The values of one line, one for each column."""
Block: TypeAlias = Sequence[Line]
"""The lines of one row."""

GAP: Final = "  "
_NARROW_GAP: Final = " "
_SHORTEST_NAME: Final = 16
_BREAKS: Final = re.compile(r"[^(=:/]*[(=:/]|[^(=:/]+$")


def flat(lines: Sequence[Line], left: int) -> list[str]:
    """Return lines in columns, the first `left` of them to the left and the rest to the right.

    The first line is the heading; a column that has nothing below it is left out.
    """
    filled = [any(values) for values in zip(*lines[1:], strict=True)]
    rooms = [room if full else 0 for room, full in zip(_rooms([lines]), filled, strict=True)]
    return [
        GAP.join(
            _padded(value, room, to_left=index < left)
            for index, (value, room) in enumerate(zip(line, rooms, strict=True))
            if room
        ).rstrip()
        for line in lines
    ]


def named(names: Sequence[tuple[str, str]], blocks: Sequence[Block], columns: int) -> list[str]:
    """Return rows with their names to the left or, without room, above the numbers.

    Args:
        names: Name and note of each row; they are wrapped.
        blocks: The numbers of each row.
        columns: The terminal's width.
    """
    rooms = _rooms(blocks)
    blocks = [_trimmed(block) for block in blocks]
    longest = max(width(name) for name, _ in names)
    for gap in (GAP, _NARROW_GAP):
        left = columns - sum(rooms) - len(gap) * len(rooms)
        if left >= min(_SHORTEST_NAME, longest):
            return _beside([_name(*name, left) for name in names], blocks, rooms, gap)
    return [
        "\n".join([*_name(*name, columns), *(_numbers(line, rooms, _NARROW_GAP) for line in block)])
        for name, block in zip(names, blocks, strict=True)
    ]


def stacked(lines: Sequence[Line], under: Sequence[int | None], longest: int) -> list[Block]:
    """Return lines with some columns below others.

    Args:
        lines: The values, one line for each row.
        under: For each column the index of the one that it stands below, or None.
        longest: Texts with blanks that are longer are wrapped; those with a number are not.
    """
    tops = [place for place, below in enumerate(under) if below is None]
    return [_block([_pile(line, top, under, longest) for top in tops]) for line in lines]


def _pile(line: Line, top: int, under: Sequence[int | None], longest: int) -> list[str]:
    """Return a value and all that stands below it."""
    value = line[top]
    words = not any(character.isdigit() for character in value)
    found = wrapped(value, longest) if words and width(value) > longest else [value]
    for place, below in enumerate(under):
        if below == top:
            found += _pile(line, place, under, longest)
    return found


def _block(piles: Sequence[Sequence[str]]) -> Block:
    height = max(map(len, piles))
    return [[pile[row] if row < len(pile) else "" for pile in piles] for row in range(height)]


def _trimmed(block: Block) -> Block:
    """Return the lines of a row up to the last one with a value, at least one."""
    last = max((place for place, line in enumerate(block) if any(line)), default=0)
    return block[: last + 1]


def wrapped(text: str, room: int) -> list[str]:
    """Break `text` at spaces; longer words after any of `(=:/`, else anywhere."""
    lines = [""]
    for word in text.split(" "):
        pieces = [word] if width(word) <= room else _pieces(word, room)
        for number, piece in enumerate(pieces):
            space = " " if lines[-1] and not number else ""
            if lines[-1] and width(lines[-1] + space + piece) > room:
                lines.append(piece)
            else:
                lines[-1] += space + piece
    return [line for line in lines if line]


def _pieces(word: str, room: int) -> list[str]:
    pieces = []
    for piece in _BREAKS.findall(word):
        pieces.append("")
        for character in piece:
            if pieces[-1] and width(pieces[-1] + character) > room:
                pieces.append("")
            pieces[-1] += character
    return pieces


def _name(name: str, note: str, room: int) -> list[str]:
    both = f"{name}{GAP}{note}"
    if note and width(both) <= room:
        return [both]
    return wrapped(name, room) + wrapped(note, room)


def _beside(
    names: Sequence[Sequence[str]], blocks: Sequence[Block], rooms: Sequence[int], gap: str
) -> list[str]:
    left = max(width(line) for lines in names for line in lines)
    found = []
    for name, block in zip(names, blocks, strict=True):
        height = max(len(name), len(block))
        numbers = [_numbers(line, rooms, gap) for line in block]
        first = [*name, *[""] * (height - len(name))]
        second = [*numbers, *[""] * (height - len(numbers))]
        found.append(
            "\n".join(
                f"{_padded(a, left, to_left=True)}{gap}{b}".rstrip()
                for a, b in zip(first, second, strict=True)
            )
        )
    return found


def _numbers(line: Line, rooms: Sequence[int], gap: str) -> str:
    cells = [_padded(value, room, to_left=False) for value, room in zip(line, rooms, strict=True)]
    return gap.join(cells).rstrip()


def _rooms(blocks: Iterable[Block]) -> list[int]:
    """Return the width of each column."""
    lines = [line for block in blocks for line in block]
    return [max(map(width, column)) for column in zip(*lines, strict=True)]


def _padded(value: str, room: int, *, to_left: bool) -> str:
    blank = " " * (room - width(value))
    return value + blank if to_left else blank + value
