"""Cells that make the calls of their baseline."""

from __future__ import annotations

import pytest

from tests.support.workspace import Workspace, single, vote


@pytest.mark.parametrize("k", [1, 3])
def test_a_vote_of_one_makes_the_baselines_own_calls(workspace: Workspace, k: int) -> None:
    workspace.model("counted:b")
    workspace.grid(architectures=[single(), single("counted:b"), vote(k)])
    _, other, voted = (cell.comparison for cell in workspace.run().summary.cells)
    assert other is not None
    assert voted is not None
    assert voted.same_calls == (k == 1)
    if voted.same_calls:
        assert (voted.difference.value, voted.difference.low, voted.difference.high) == (
            0.0, None, None,
        )  # fmt: skip
        assert (voted.p_value, voted.p_adjusted, voted.sign) == (None, None, 0)
        assert other.p_adjusted == other.p_value, "it is no part of the family"


def test_a_cascade_that_did_not_go_on_makes_no_same_calls(workspace: Workspace) -> None:
    workspace.model("counted:b")
    cascade = {"name": "cascade", "parameters": {"cheap": ["counted:a"], "dear": ["counted:b"]}}
    workspace.grid(architectures=[single("counted:a"), cascade])
    first, second = workspace.run().summary.cells
    assert second.calls == first.calls
    assert second.comparison is not None
    assert second.comparison.shared_draws
    assert not second.comparison.same_calls
