"""Imports among the modules of the package, those for type checkers included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter

import grimp


@cache
def imports() -> Mapping[str, set[str]]:
    """Return what each module imports directly."""
    graph = grimp.build_graph("ember_bench", exclude_type_checking_imports=False)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def circle(imported: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the modules of a circle of imports, from one back to itself; none if there is none."""
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]
    return []


def test_a_circle_is_found_also_if_part_of_it_is_for_types_only() -> None:
    assert circle({"a": ["b"], "b": ["c"], "c": ["a"]})
    assert not circle({"a": ["b", "c"], "b": ["c"], "c": []})
    assert "ember_bench.models.types" in imports()["ember_bench.models.strand"]  # for types only


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle(imports()) == []
