"""Honest statistics of networks of LM calls: pure functions, numpy arrays in, results out.

Importing this package imports nothing else; each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ember_bench.stats.attribution import (
        Attribution,
        VoteAttribution,
        shapley,
        vote_attribution,
    )
    from ember_bench.stats.bootstrap import bootstrap_interval, bootstrap_means, enough_to_rank
    from ember_bench.stats.clusters import (
        ClusteredMean,
        ItemMeans,
        VarianceSplit,
        cluster_bootstrap_interval,
        cluster_mean,
        item_means,
        split_variance,
    )
    from ember_bench.stats.costs import cost_difference, cost_per_correct, cost_ratio, mean_cost
    from ember_bench.stats.difficulty import DifficultyMixture, fit_difficulty
    from ember_bench.stats.failures import (
        DifferenceBounds,
        FailureBounds,
        ScoreRanges,
        difference_bounds,
        failure_bounds,
        score_ranges,
    )
    from ember_bench.stats.intervals import (
        Estimate,
        Interval,
        clopper_pearson_interval,
        proportion,
        standard_error,
        wilson_interval,
    )
    from ember_bench.stats.latency import quantile
    from ember_bench.stats.means import t_interval
    from ember_bench.stats.multiplicity import benjamini_hochberg, holm
    from ember_bench.stats.paired import (
        Aligned,
        PairedDifference,
        align,
        best_probabilities,
        paired_difference,
    )
    from ember_bench.stats.pareto import (
        ParetoFront,
        front_probabilities,
        front_shares,
        pareto_front,
    )
    from ember_bench.stats.passk import mean_pass_at_k, pass_at_k
    from ember_bench.stats.permutation import (
        McNemar,
        SignFlip,
        draws_for_family,
        mcnemar_exact,
        sign_flip_test,
    )
    from ember_bench.stats.power import (
        detectable_difference_paired,
        detectable_difference_unpaired,
        items_needed_mean,
        items_needed_paired,
        items_needed_unpaired,
        mcnemar_power,
    )
    from ember_bench.stats.scores import mean_score
    from ember_bench.stats.selection import Confusion, OracleGap, confusion, oracle_gap
    from ember_bench.stats.sequential import ConfidenceSequence, confidence_sequence
    from ember_bench.stats.shares import critical_path, share
    from ember_bench.stats.vote_fit import VoteFit, fit_vote, modal_right
    from ember_bench.stats.vote_laws import (
        VoteScaling,
        best_odd_votes,
        filter_vote_accuracy,
        mixture_vote_accuracy,
        verifier_judge_accuracy,
        vote_accuracy,
        vote_scaling,
    )
    from ember_bench.stats.votes import VoteCurve, vote_curve

_MODULES = {
    "attribution": ("Attribution", "VoteAttribution", "shapley", "vote_attribution"),
    "bootstrap": ("bootstrap_interval", "bootstrap_means", "enough_to_rank"),
    "clusters": (
        "ClusteredMean",
        "ItemMeans",
        "VarianceSplit",
        "cluster_bootstrap_interval",
        "cluster_mean",
        "item_means",
        "split_variance",
    ),
    "costs": ("cost_difference", "cost_per_correct", "cost_ratio", "mean_cost"),
    "difficulty": ("DifficultyMixture", "fit_difficulty"),
    "failures": (
        "DifferenceBounds",
        "FailureBounds",
        "ScoreRanges",
        "difference_bounds",
        "failure_bounds",
        "score_ranges",
    ),
    "intervals": (
        "Estimate",
        "Interval",
        "clopper_pearson_interval",
        "proportion",
        "standard_error",
        "wilson_interval",
    ),
    "latency": ("quantile",),
    "means": ("t_interval",),
    "multiplicity": ("benjamini_hochberg", "holm"),
    "paired": ("Aligned", "PairedDifference", "align", "best_probabilities", "paired_difference"),
    "pareto": ("ParetoFront", "front_probabilities", "front_shares", "pareto_front"),
    "passk": ("mean_pass_at_k", "pass_at_k"),
    "permutation": ("McNemar", "SignFlip", "draws_for_family", "mcnemar_exact", "sign_flip_test"),
    "power": (
        "detectable_difference_paired",
        "detectable_difference_unpaired",
        "items_needed_mean",
        "items_needed_paired",
        "items_needed_unpaired",
        "mcnemar_power",
    ),
    "scores": ("mean_score",),
    "selection": ("Confusion", "OracleGap", "confusion", "oracle_gap"),
    "sequential": ("ConfidenceSequence", "confidence_sequence"),
    "shares": ("critical_path", "share"),
    "vote_fit": ("VoteFit", "fit_vote", "modal_right"),
    "vote_laws": (
        "VoteScaling",
        "best_odd_votes",
        "filter_vote_accuracy",
        "mixture_vote_accuracy",
        "verifier_judge_accuracy",
        "vote_accuracy",
        "vote_scaling",
    ),
    "votes": ("VoteCurve", "vote_curve"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "Aligned",
    "Attribution",
    "ClusteredMean",
    "ConfidenceSequence",
    "Confusion",
    "DifferenceBounds",
    "DifficultyMixture",
    "Estimate",
    "FailureBounds",
    "Interval",
    "ItemMeans",
    "McNemar",
    "OracleGap",
    "PairedDifference",
    "ParetoFront",
    "ScoreRanges",
    "SignFlip",
    "VarianceSplit",
    "VoteAttribution",
    "VoteCurve",
    "VoteFit",
    "VoteScaling",
    "align",
    "benjamini_hochberg",
    "best_odd_votes",
    "best_probabilities",
    "bootstrap_interval",
    "bootstrap_means",
    "clopper_pearson_interval",
    "cluster_bootstrap_interval",
    "cluster_mean",
    "confidence_sequence",
    "confusion",
    "cost_difference",
    "cost_per_correct",
    "cost_ratio",
    "critical_path",
    "detectable_difference_paired",
    "detectable_difference_unpaired",
    "difference_bounds",
    "draws_for_family",
    "enough_to_rank",
    "failure_bounds",
    "filter_vote_accuracy",
    "fit_difficulty",
    "fit_vote",
    "front_probabilities",
    "front_shares",
    "holm",
    "item_means",
    "items_needed_mean",
    "items_needed_paired",
    "items_needed_unpaired",
    "mcnemar_exact",
    "mcnemar_power",
    "mean_cost",
    "mean_pass_at_k",
    "mean_score",
    "mixture_vote_accuracy",
    "modal_right",
    "oracle_gap",
    "paired_difference",
    "pareto_front",
    "pass_at_k",
    "proportion",
    "quantile",
    "score_ranges",
    "shapley",
    "share",
    "sign_flip_test",
    "split_variance",
    "standard_error",
    "t_interval",
    "verifier_judge_accuracy",
    "vote_accuracy",
    "vote_attribution",
    "vote_curve",
    "vote_scaling",
    "wilson_interval",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
