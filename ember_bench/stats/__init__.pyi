from .attribution import (
    Attribution as Attribution,
    VoteAttribution as VoteAttribution,
    shapley as shapley,
    vote_attribution as vote_attribution,
)
from .betting import (
    NEVER as NEVER,
    first_shown as first_shown,
)
from .bootstrap import (
    bootstrap_interval as bootstrap_interval,
    bootstrap_means as bootstrap_means,
    enough_to_rank as enough_to_rank,
)
from .calibration import (
    CalibrationBin as CalibrationBin,
    accuracy_at_coverage as accuracy_at_coverage,
    auroc as auroc,
    brier_score as brier_score,
    calibration_curve as calibration_curve,
    expected_calibration_error as expected_calibration_error,
)
from .clusters import (
    ClusteredMean as ClusteredMean,
    ItemMeans as ItemMeans,
    VarianceSplit as VarianceSplit,
    cluster_bootstrap_interval as cluster_bootstrap_interval,
    cluster_mean as cluster_mean,
    item_means as item_means,
    split_variance as split_variance,
)
from .combining import (
    CrossFitted as CrossFitted,
    Votes as Votes,
    choose_crossfitted as choose_crossfitted,
    combine_votes as combine_votes,
    crossfitted_weights as crossfitted_weights,
    folds_of as folds_of,
    member_weights as member_weights,
    widened as widened,
)
from .controls import controlled_mean as controlled_mean
from .costs import (
    cost_difference as cost_difference,
    cost_per_correct as cost_per_correct,
    cost_ratio as cost_ratio,
    mean_cost as mean_cost,
)
from .difficulty import (
    DifficultyMixture as DifficultyMixture,
    fit_difficulty as fit_difficulty,
)
from .failures import (
    DifferenceBounds as DifferenceBounds,
    FailureBounds as FailureBounds,
    ScoreRanges as ScoreRanges,
    difference_bounds as difference_bounds,
    failure_bounds as failure_bounds,
    score_ranges as score_ranges,
)
from .families import (
    FamilyTest as FamilyTest,
    max_t as max_t,
    simultaneous_interval as simultaneous_interval,
)
from .halving import CONTENDERS as CONTENDERS
from .halving import Halving as Halving
from .intervals import (
    Estimate as Estimate,
    Interval as Interval,
    clopper_pearson_interval as clopper_pearson_interval,
    proportion as proportion,
    standard_error as standard_error,
    wilson_interval as wilson_interval,
)
from .joint_errors import (
    JointErrors as JointErrors,
    fit_joint_errors as fit_joint_errors,
    predict_policy as predict_policy,
)
from .judges import (
    difference_of_groups as difference_of_groups,
    prediction_powered_mean as prediction_powered_mean,
    rogan_gladen as rogan_gladen,
)
from .labels import (
    balanced_accuracy as balanced_accuracy,
    cohens_kappa as cohens_kappa,
    macro_f1 as macro_f1,
    matthews_correlation as matthews_correlation,
)
from .latency import quantile as quantile
from .margins import (
    Equivalence as Equivalence,
    equivalence as equivalence,
)
from .means import t_interval as t_interval
from .multiplicity import (
    benjamini_hochberg as benjamini_hochberg,
    holm as holm,
)
from .paired import (
    Aligned as Aligned,
    PairedDifference as PairedDifference,
    align as align,
    best_probabilities as best_probabilities,
    paired_difference as paired_difference,
)
from .pairwise import (
    BradleyTerry as BradleyTerry,
    LengthAnchor as LengthAnchor,
    LengthControlled as LengthControlled,
    bradley_terry as bradley_terry,
    length_controlled_win_rate as length_controlled_win_rate,
)
from .pareto import (
    ParetoFront as ParetoFront,
    front_probabilities as front_probabilities,
    front_shares as front_shares,
    pareto_front as pareto_front,
)
from .passk import (
    mean_pass_at_k as mean_pass_at_k,
    mean_pass_hat_k as mean_pass_hat_k,
    pass_at_k as pass_at_k,
    pass_hat_k as pass_hat_k,
)
from .permutation import (
    McNemar as McNemar,
    SignFlip as SignFlip,
    draws_for_family as draws_for_family,
    mcnemar_exact as mcnemar_exact,
    sign_flip_test as sign_flip_test,
)
from .power import (
    detectable_difference_mean as detectable_difference_mean,
    detectable_difference_paired as detectable_difference_paired,
    detectable_difference_unpaired as detectable_difference_unpaired,
    items_needed_mean as items_needed_mean,
    items_needed_paired as items_needed_paired,
    items_needed_unpaired as items_needed_unpaired,
    mcnemar_power as mcnemar_power,
)
from .races import (
    TINY as TINY,
    Goal as Goal,
    Race as Race,
    Shown as Shown,
    Standing as Standing,
    standing as standing,
)
from .remaining import (
    time_left as time_left,
)
from .scores import mean_score as mean_score
from .selection import (
    Confusion as Confusion,
    OracleGap as OracleGap,
    confusion as confusion,
    oracle_gap as oracle_gap,
)
from .sequential import (
    ConfidenceSequence as ConfidenceSequence,
    confidence_sequence as confidence_sequence,
)
from .shares import (
    critical_path as critical_path,
    share as share,
)
from .shrinkage import (
    shrunken_means as shrunken_means,
    shrunken_rates as shrunken_rates,
)
from .strata import (
    stratified_difference as stratified_difference,
    stratified_score as stratified_score,
)
from .surrogate import (
    LinearGuess as LinearGuess,
    guess_linear as guess_linear,
)
from .unpaired import (
    difference_of as difference_of,
    ratio_of as ratio_of,
)
from .vote_fit import (
    VoteFit as VoteFit,
    fit_vote as fit_vote,
    modal_right as modal_right,
)
from .vote_laws import (
    VoteScaling as VoteScaling,
    best_odd_votes as best_odd_votes,
    filter_vote_accuracy as filter_vote_accuracy,
    mixture_vote_accuracy as mixture_vote_accuracy,
    verifier_judge_accuracy as verifier_judge_accuracy,
    vote_accuracy as vote_accuracy,
    vote_scaling as vote_scaling,
)
from .votes import (
    VoteCurve as VoteCurve,
    vote_curve as vote_curve,
)
from .winners import (
    Ranking as Ranking,
    rank_cells as rank_cells,
)
