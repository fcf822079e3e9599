"""Every import of the tests of identities that is not from the face of a package."""

from __future__ import annotations

from ember_bench.answers.formats import answer_format_names, get_answer_format
from ember_bench.experiment.prepare import Experiment, prepare
from ember_bench.experiment.trial import fingerprint
from ember_bench.graph.architecture import Architecture, load_architecture
from ember_bench.models.call import Call
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators.base import operator_class
from ember_bench.operators.parameters import ImpliedParameter

__all__ = [
    "Architecture",
    "Call",
    "Experiment",
    "ImpliedParameter",
    "Strand",
    "TrialContext",
    "answer_format_names",
    "fingerprint",
    "get_answer_format",
    "load_architecture",
    "operator_class",
    "prepare",
]
