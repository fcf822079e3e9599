"""The scores of a run that goes on are those of the results."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.running.scores import Scores
from ember_bench.serving.progress import Watch
from tests.experiment.conftest import workspace
from tests.support.workspace import Workspace, single, vote

__all__ = ["workspace"]


@pytest.mark.parametrize("fields", [
    {}, {"failures": "excluded"}, {"epochs": 3}, {"level": 0.8},
])  # fmt: skip
@pytest.mark.parametrize("clusters", [False, True])
def test_they_are_those_of_the_live_view(
    workspace: Workspace, fields: dict[str, Any], clusters: bool
) -> None:
    workspace.sums(12, **({"cluster": lambda number: str(number // 3)} if clusters else {}))
    workspace.grid(architectures=[single(), vote([3])], **fields)
    workspace.run()
    (seen,) = Watch(workspace.root / "results").experiments()
    with closing(StoredTrials(workspace.root / "results/trip/trials.db")) as rows:
        found = dict(Scores(rows).best(10))
    assert found == {cell.label: cell.accuracy for cell in seen.cells}


def test_the_best_come_first(workspace: Workspace) -> None:
    workspace.model("counted:right", right=1.0)
    workspace.model("counted:wrong", right=0.0)
    workspace.grid(architectures=[single("counted:wrong"), single("counted:right")])
    workspace.run()
    with closing(StoredTrials(workspace.root / "results/trip/trials.db")) as rows:
        ((label, mean),) = Scores(rows).best(1)
    assert "right" in label
    assert mean.value == 1.0
