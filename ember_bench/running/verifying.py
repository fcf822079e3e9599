"""Results computed again from the stored rows alone, and held against what was written."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ember_bench.decisions.certifying import recertify, same_certificate
from ember_bench.experiment.results.analysis import Analysis
from ember_bench.experiment.results.certificate import DECISIONS, Certificate, certificates_in
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.running.find_summary import read_summary
from ember_bench.running.places import SUMMARY

# The rest of a summary follows from rows; these tell who computed it, and of the last run.
_NOT_FROM_ROWS: Final = ("run", "version")
_ROUNDING: Final = 1e-9


class Verification(msgspec.Struct, frozen=True):
    """One result, computed again.

    Attributes:
        what: Its name: a file, or a decision.
        figures: Number of values that were compared.
        differences: Values that differ, with both, as text.
    """

    what: str
    figures: int
    differences: list[str]

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def verify(rows: StoredTrials) -> list[Verification]:
    """Compute the results of an experiment again from its trial store.

    Args:
        rows: The trial store; its summary is beside it.

    Raises:
        ConfigError: if the summary cannot be read.
        StoreError: if the rows cannot.
    """
    found = [_decision(rows, c) for c in certificates_in(rows.fact(DECISIONS))]
    path = rows.path.parent / SUMMARY
    if path.is_file():
        return [*found, _summary(rows, path)]
    return [*found, Verification(SUMMARY, 0, [f"{path}: is not there"])] if found else []


def _decision(rows: StoredTrials, certificate: Certificate) -> Verification:
    again = recertify(rows, certificate)
    differences = [
        f"{name}: {_shown(getattr(certificate, name))} in the certificate,"
        f" {_shown(getattr(again, name))} from the rows"
        for name in same_certificate(certificate, again)
    ]
    what = f"decision on {', '.join(certificate.datasets)}"
    return Verification(what, len(certificate.__struct_fields__), differences)


def _summary(rows: StoredTrials, path: Path) -> Verification:
    written = read_summary(path)
    again = Analysis(rows).summary(written.run)
    # The file itself, so that what this version does not know is not passed over.
    first, second = map(msgspec.json.decode, (path.read_bytes(), msgspec.json.encode(again)))
    for name in _NOT_FROM_ROWS:
        first.pop(name, None)
        second.pop(name, None)
    pairs = list(_values(first, second, ""))
    differences = [
        f"{at}: {_shown(a)} in {path.name}, {_shown(b)} from the rows"
        for at, a, b in pairs
        if not _same(a, b)
    ]
    return Verification(path.name, len(pairs), differences)


def _values(first: Any, second: Any, at: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the place and both values of each leaf of two nested structures."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in first | second:
            yield from _values(first.get(key), second.get(key), f"{at}.{key}" if at else str(key))
    elif isinstance(first, list) and isinstance(second, list):
        named, other = _by_name(first), _by_name(second)
        for name in named | other:
            yield from _values(named.get(name), other.get(name), f"{at}[{name}]")
    else:
        yield at, first, second


def _by_name(values: list[Any]) -> dict[str, Any]:
    """Return the values of a list by their names, if they have some, else by their places."""
    named = {str(v["name"]): v for v in values if isinstance(v, Mapping) and "name" in v}
    return named if len(named) == len(values) else {str(i): v for i, v in enumerate(values)}


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=_ROUNDING, abs_tol=1e-12)
    return bool(first == second)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else text[:79] + "…"
