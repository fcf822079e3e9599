"""Cells that cannot succeed, whatever their models answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ember_bench.errors import EmberBenchError, ProviderError
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.forecast.rehearsal import Asked
from ember_bench.models.providers.base import provider_class
from ember_bench.models.providers.wanted import Wanted


class Doomed:
    """Watches rehearsed trials for cells of which none can succeed.

    A cell is doomed if all of its rehearsed trials end in an error before any call, or if a request
    has what its model does not take: an image, for example.
    """

    def __init__(self) -> None:
        self._errors: dict[str, str] = {}
        self._fine: set[str] = set()
        self._refused: dict[str, str] = {}
        self._known: dict[tuple[str, Wanted], list[str]] = {}

    def note(self, cell: Cell, asked: Sequence[Asked], error: Exception | None) -> None:
        """Note a rehearsed trial.

        Args:
            cell: Its cell.
            asked: Its calls.
            error: What it ended in; None if it came to its end.
        """
        if error is None or asked or isinstance(error, ProviderError):
            self._fine.add(cell.name)
        else:
            kind = "" if isinstance(error, EmberBenchError) else f"{type(error).__name__}: "
            self._errors.setdefault(cell.name, f"{kind}{error}")
        for entry in asked:
            for message in self._unsupported(entry):
                self._refused.setdefault(message, cell.name)

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each doomed cell, and for each thing that a model does not take."""
        for name, error in self._errors.items():
            if name not in self._fine:
                yield f"cell {name} fails on every item before it asks a model: {error}"
        for message, name in self._refused.items():
            yield f"{message}, which it would be sent in cell {name}"

    def _unsupported(self, asked: Asked) -> list[str]:
        request = asked.call.request
        key = (request.model.fingerprint, Wanted.of(request))
        if (known := self._known.get(key)) is None:
            known = provider_class(request.model.provider_name).unsupported(request)
            self._known[key] = known
        return known
