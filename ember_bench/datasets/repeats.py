"""Which of very many texts have come before, in some 16 bytes of memory for each."""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class SeenTexts:
    """Texts as they come, numbered from 0, by their hashes alone.

    Where two hashes are the same, the earlier text is made again and compared, so the answer is
    exact.

    Args:
        most: How many there will be at most.
        text_of: Returns the text that was noted under a number.
    """

    def __init__(self, most: int, text_of: Callable[[int], str]) -> None:
        size = 1 << max(4, (2 * most).bit_length())  # at most half of it is taken
        self._numbers = array("i", bytes(4 * size))  # one more than the number; 0 is free
        self._hashes = array("q")
        self._text_of = text_of

    def note(self, text: str) -> bool:
        """Note `text` under the next number unless it came before; return whether it is new."""
        found, numbers, hashes = hash(text), self._numbers, self._hashes
        last = len(numbers) - 1
        slot = found & last
        while number := numbers[slot]:
            if hashes[number - 1] == found and self._text_of(number - 1) == text:
                return False
            slot = (slot + 1) & last
        hashes.append(found)
        numbers[slot] = len(hashes)
        return True


def repeated(texts: Callable[[], Iterable[str]]) -> list[str]:
    """Return the texts that come more than once, in the order in which they first do.

    Args:
        texts: Gives them all, each time that it is called.
    """
    # Sorted they take a quarter of what a set would.
    hashes = sorted(map(hash, texts()))
    suspicious = {one for one, next_one in pairwise(hashes) if one == next_one}
    del hashes
    if not suspicious:
        return []
    counts = Counter(text for text in texts() if hash(text) in suspicious)
    return [text for text, count in counts.items() if count > 1]
