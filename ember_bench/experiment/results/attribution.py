"""Statistics of the nodes that choose among responses, computed from stored answers.

If a node receives several responses, the score of each response is known as well as the score of
the node's answer. The graphs run again on stored answers, as in `rescoring`, without a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from ember_bench import bridge, stats
from ember_bench.evaluators.base import judges_of, scored
from ember_bench.experiment.item_subject import ItemSubject
from ember_bench.experiment.prepare import Experiment
from ember_bench.experiment.rescoring import fitting_trials
from ember_bench.experiment.results.figures import Quantity
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.experiment.trial import Trial, graph_inputs, score_output
from ember_bench.models import strand as strands
from ember_bench.models.strand import Strand, TrialContext
from ember_bench.operators.candidates import alike
from ember_bench.operators.fields import merge_inputs

_AT_ONCE = 200


class MemberSummary(msgspec.Struct, frozen=True):
    """One candidate's place before a choice, such as the third member of an ensemble.

    Attributes:
        member: Its place among the responses, from 0.
        accuracy: Accuracy of its own answer.
        shapley: Its share of the accuracy of the plurality vote of all; they sum to it.
        leave_one_out: The vote's accuracy lost without it; negative if it harms.
        agrees: Share of the items on which each candidate, this one too, gives the same answer as
            it. One that could not be read is the same as none.
        both_wrong: Share of the items that it and each candidate score 0 on.
    """

    member: int
    accuracy: Quantity
    shapley: Quantity
    leave_one_out: Quantity
    agrees: list[float] = []
    both_wrong: list[float] = []


class VotePoint(msgspec.Struct, frozen=True):
    """The expected scores of k of the responses before a choice, over all subsets of size k.

    Attributes:
        vote: Score of their plurality vote.
        best: Score of the best of them.
    """

    k: int
    vote: Quantity
    best: Quantity


class ChoiceSummary(msgspec.Struct, frozen=True):
    """A node that makes one answer of several responses.

    Attributes:
        operator: Class of its operator.
        items: Items it was seen on.
        judged: Its decisions: a verifier's verdicts; other nodes accept the responses
            whose answer it gives. Counts of (right and accepted, wrong and accepted, right and
            refused, wrong and refused) responses.
        sensitivity: Share of the right responses that are accepted; None if there were none.
        specificity: Share of the wrong ones that are refused.
        precision: Share of the accepted ones that are right.
        chosen: Score of its answer.
        random: Score of a response taken at random.
        oracle: Score of the best response, or of its own answer where that is better.
        gap: Oracle less chosen: what a perfect choice would add.
        recovered: Share of the way from random to oracle that it goes; None if they are equal.
        beyond: Items on which its answer scores more than every response.
        members: Each candidate, from the first epoch; empty if items have unequal numbers of
            responses.
        votes: The same, for every k up to their number.
    """

    node: str
    operator: str
    items: int
    judged: tuple[int, int, int, int]
    sensitivity: Quantity | None
    specificity: Quantity | None
    precision: Quantity | None
    chosen: Quantity
    random: Quantity
    oracle: Quantity
    gap: Quantity
    recovered: float | None
    beyond: int
    members: list[MemberSummary]
    votes: list[VotePoint] = []


@dataclass(slots=True)
class _Seen:
    """Inputs and answers of one node, by trial."""

    item: list[int] = field(default_factory=list)
    epoch: list[int] = field(default_factory=list)
    chosen: list[float] = field(default_factory=list)
    cluster: list[Hashable] = field(default_factory=list)
    """Of each trial: its item's, or the item itself."""
    scores: list[list[float]] = field(default_factory=list)
    answers: list[list[str | None]] = field(default_factory=list)
    accepted: list[list[bool]] = field(default_factory=list)


async def attribute(
    experiment: Experiment, stored: StoredTrials, cells: Collection[str]
) -> dict[str, list[ChoiceSummary]]:
    """Return the choices that each of `cells` makes, by the cell's name, in graph order.

    Only trials that are stored and did not fail count.

    Args:
        experiment: As it is now; its service must be offline, and have the response store.
        stored: Its results.
        cells: Names of the cells that are wanted.
    """
    before, trials = fitting_trials(experiment, stored)
    seen: dict[tuple[int, str], _Seen] = {}
    deciding = {
        number: names
        for number, cell in enumerate(before.cells)
        if cell.name in cells and (names := [node.name for node in cell.graph if node.inputs])
    }
    chosen = sorted(
        (trial for trial in trials if trial.cell in deciding),
        key=lambda trial: (trial.cell, trial.item, trial.epoch),
    )
    for start in range(0, len(chosen), _AT_ONCE):
        batch = chosen[start : start + _AT_ONCE]
        found = await asyncio.gather(*(bridge.run(observe, before, trial) for trial in batch))
        for trial, outputs in zip(batch, found, strict=True):
            for name in deciding[trial.cell] if outputs is not None else ():
                note = seen.setdefault((trial.cell, name), _Seen())
                _note(note, before, trial, name, outputs or {})
    summaries: dict[str, list[ChoiceSummary]] = {}
    for (number, name), noted in sorted(seen.items(), key=lambda entry: entry[0][0]):
        if noted.item:
            cell = before.cells[number]
            operator = type(cell.graph.nodes[name]).__name__
            summary = _summary(name, operator, noted, stored.description.level)
            summaries.setdefault(cell.name, []).append(summary)
    return summaries


def observe(experiment: Experiment, trial: Trial) -> dict[str, Any] | None:
    """Run one trial; return the outputs of every node, None if it fails."""
    cell = experiment.cells[trial.cell]
    questions = experiment.questions[cell.dataset]
    item = questions.items[trial.item]
    subject = ItemSubject(item, questions.evaluator)
    strand = Strand(TrialContext(subject, trial.epoch, epochs=cell.epochs))
    token = strands.current.set(strand)
    try:
        return cell.prepared.run(graph_inputs(item, questions.evaluator, cell))
    except Exception:  # it failed when it was run, too, or its answers are gone
        return None
    finally:
        strands.current.reset(token)


def _note(
    seen: _Seen, experiment: Experiment, trial: Trial, name: str, outputs: Mapping[str, Any]
) -> None:
    """Record the answer of a node and the scores of its responses, if it had several."""
    cell = experiment.cells[trial.cell]
    questions = experiment.questions[cell.dataset]
    item, evaluator = questions.items[trial.item], questions.evaluator
    if judges_of(evaluator):
        return  # nobody is asked about answers that were not given in the end
    output = outputs[name]
    given = merge_inputs(graph_inputs(item), outputs, cell.graph.edges[name]).get("responses", ())
    if len(given) < 2 or not isinstance(output, Mapping) or "final_answer" not in output:
        return
    final = score_output(evaluator, item, output)
    texts = [str(response) for response in given]
    by_text = {text: scored(evaluator, item, text) for text in dict.fromkeys(texts)}
    scores = [by_text[text] for text in texts]
    read = [*(score.answer for score in scores), final.answer]
    # What counts as the same answer has the same text here, whichever of them was written.
    keys = alike(read, graph_inputs(item, evaluator))
    verdicts = output.get("accepted")
    if verdicts is None or len(verdicts) != len(given):
        verdicts = [key is not None and key == keys[-1] for key in keys[:-1]]
    seen.item.append(trial.item)
    seen.epoch.append(trial.epoch)
    seen.cluster.append(trial.item if item.cluster is None else item.cluster)
    seen.chosen.append(final.value)
    seen.scores.append([score.value for score in scores])
    seen.answers.append(keys[:-1])
    seen.accepted.append([bool(verdict) for verdict in verdicts])


def _summary(name: str, operator: str, seen: _Seen, level: float) -> ChoiceSummary:
    chosen = np.asarray(seen.chosen)
    best = np.asarray([max(scores) for scores in seen.scores])
    blind = np.asarray([float(np.mean(scores)) for scores in seen.scores])
    oracle = np.maximum(best, chosen)

    cluster_of = dict(zip(seen.item, seen.cluster, strict=True))

    def mean(values: np.ndarray) -> Quantity:
        by_item = stats.item_means(values, seen.item)
        found = stats.mean_score(
            by_item.means, clusters=_clusters([cluster_of[i] for i in cluster_of]), level=level
        )
        assert found is not None  # noqa: S101 - there are items
        return Quantity.of(found)

    judged = stats.confusion(
        [verdict for verdicts in seen.accepted for verdict in verdicts],
        [score >= 1 for scores in seen.scores for score in scores],
        # Candidates of an item are not independent, whether items have clusters or not.
        clusters=[
            cluster
            for cluster, scores in zip(seen.cluster, seen.scores, strict=True)
            for _ in scores
        ],
        level=level,
    )
    room = float(oracle.mean() - blind.mean())
    return ChoiceSummary(
        node=name,
        operator=operator,
        items=len(set(seen.item)),
        judged=(
            judged.true_positives,
            judged.false_positives,
            judged.false_negatives,
            judged.true_negatives,
        ),
        sensitivity=Quantity.of(judged.sensitivity) if judged.sensitivity else None,
        specificity=Quantity.of(judged.specificity) if judged.specificity else None,
        precision=Quantity.of(judged.precision) if judged.precision else None,
        chosen=mean(chosen),
        random=mean(blind),
        oracle=mean(oracle),
        gap=mean(oracle - chosen),
        recovered=float(chosen.mean() - blind.mean()) / room if room > 1e-12 else None,
        beyond=len({i for i, c, b in zip(seen.item, chosen, best, strict=True) if c > b}),
        members=list(_members(seen, level)),
        votes=list(_votes(seen, level)),
    )


def _members(seen: _Seen, level: float) -> Iterator[MemberSummary]:
    """Yield the value of each place among the responses, if all items have the same number."""
    first = _of_first_epoch(seen)
    if not first:
        return
    scores = np.asarray([seen.scores[row] for row in first])
    clusters = _clusters([seen.cluster[row] for row in first])
    answers = [seen.answers[row] for row in first]
    found = stats.vote_attribution(answers, scores, clusters=clusters, level=level)
    if found is None:
        return
    # Each answer by its number on its item; NaN is unequal to itself.
    numbers = np.asarray(
        [[np.nan if key is None else float(read.index(key)) for key in read] for read in answers]
    )
    for member in range(scores.shape[1]):
        accuracy = stats.mean_score(scores[:, member], clusters=clusters, level=level)
        assert accuracy is not None  # noqa: S101 - there are items
        yield MemberSummary(
            member=member,
            accuracy=Quantity.of(accuracy),
            shapley=Quantity.with_interval(
                found.shapley[member], found.shapley_intervals[member], "t"
            ),
            leave_one_out=Quantity.with_interval(
                found.leave_one_out[member], found.leave_one_out_intervals[member], "t"
            ),
            agrees=(numbers == numbers[:, [member]]).mean(axis=0).tolist(),
            both_wrong=((scores == 0) & (scores[:, [member]] == 0)).mean(axis=0).tolist(),
        )


def _votes(seen: _Seen, level: float) -> Iterator[VotePoint]:
    """Yield the expected scores of smaller votes, if all items have as many responses."""
    first = _of_first_epoch(seen)
    scores = [seen.scores[row] for row in first]
    if not first:
        return
    found = stats.vote_curve(
        [seen.answers[row] for row in first],
        scores,
        clusters=_clusters([seen.cluster[row] for row in first]),
        level=level,
    )
    assert found is not None  # noqa: S101 - there are items
    for number, k in enumerate(found.k.tolist()):
        yield VotePoint(
            k=k,
            vote=Quantity.with_interval(found.vote[number], found.vote_intervals[number], "wilson"),
            best=Quantity.with_interval(
                found.oracle[number], found.oracle_intervals[number], "clopper-pearson"
            ),
        )


def _clusters(labels: list[Hashable]) -> list[Hashable] | None:
    """Return the labels; None if each is another, so that each item stands for itself."""
    return labels if len(set(labels)) < len(labels) else None


def _of_first_epoch(seen: _Seen) -> list[int]:
    """Return the rows of the first epoch; none if they have not all as many responses."""
    first = [row for row, epoch in enumerate(seen.epoch) if epoch == 0]
    return first if len({len(seen.scores[row]) for row in first}) == 1 else []
