"""The recorded tree search as functions: the proposals for a state, and the value of a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ember_bench.operators import function


@function("game24_proposals")
def proposals(state: str, metadata: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the thoughts that were proposed for a state, in their order."""
    for step in metadata["steps"]:
        if state in step["ys"]:
            new = [text.removeprefix(state) for text in step["new_ys"] if text.startswith(state)]
            return {"responses": new}
    return {"responses": []}


@function("game24_value")
def value(state: str, inputs: Mapping[str, Any]) -> float:
    """Return the sum of the three values that the model gave a state.

    Of a state that was proposed twice in a step it is that of the first: the source gives 0 to the
    others.
    """
    for step in inputs["metadata"]["steps"]:
        if state in step["new_ys"]:
            return float(step["values"][step["new_ys"].index(state)])
    raise ValueError(f"the search never came to {state!r}")
