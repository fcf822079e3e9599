"""The numbers of the items of a dataset in a trial store."""

from __future__ import annotations

from array import array

import numpy as np


class ItemNumbers:
    """The numbers that the items of a dataset have in the table of items.

    Args:
        stored: In the order in which the items are asked.
        most: The highest number in the table.
    """

    def __init__(self, stored: array[int], most: int) -> None:
        self.stored = stored
        numbers = np.frombuffer(stored, dtype=np.intc)
        self.index = array("i", [-1]) * (most + 1)
        """Place of the item in the order, by its number; -1 if it is not part of the experiment."""
        self.indices = np.frombuffer(self.index, dtype=np.intc)
        """The same memory as an array."""
        self.indices[numbers] = np.arange(len(numbers), dtype=np.intc)
        self.ascending = bool((np.diff(numbers) > 0).all())
        """Whether the order is that of the numbers."""
