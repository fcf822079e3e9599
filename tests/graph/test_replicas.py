"""The replicas of LM modules in a graph."""

from __future__ import annotations

import pytest

from ember_bench.graph import NoNGraphData
from ember_bench.graph.data import PreparedGraph
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators import EnsembleOperator, VerifierOperator
from tests.support.models import modules, serve, telling


@pytest.mark.parametrize("generators", [1, 3, 9])
def test_the_replica_of_a_verifier_does_not_depend_on_the_number_of_generators(
    generators: int,
) -> None:
    model = telling()
    service = serve(model)
    graph = NoNGraphData()
    drafts = EnsembleOperator(lm_modules=modules(service, model, generators))
    graph.add_node(name="drafts", operator=drafts)
    verifier = VerifierOperator(lm_modules=modules(service, model, 1))
    graph.add_node(name="verify", operator=verifier, inputs=["drafts"])
    replicas = PreparedGraph(graph).replicas(Strand(TrialContext()))
    assert list(replicas["drafts"].values()) == [str(n) for n in range(generators)]
    assert list(replicas["verify"].values()) == ["verify.0"]
