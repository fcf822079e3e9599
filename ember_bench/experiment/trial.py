"""A trial: one cell on one item in one epoch - the unit that is run, scored, stored, resumed."""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any, Final, cast

import msgspec

from ember_bench import bridge
from ember_bench.answers.formats import get_answer_format, parse
from ember_bench.datasets.item import Item
from ember_bench.errors import (
    EmberBenchError,
    SignatureError,
    StoreError,
    UnjudgedError,
    UnlabelledError,
)
from ember_bench.evaluators.as_recorded import AsRecorded
from ember_bench.evaluators.base import (
    Evaluator,
    Score,
    baseline_output,
    scored,
)
from ember_bench.evaluators.kinds import evaluator_identity
from ember_bench.evaluators.several import further_of
from ember_bench.experiment import evaluation
from ember_bench.experiment.cells import Cell
from ember_bench.experiment.evaluation import (
    Evaluation,
    EvaluationResult,
    FurtherScore,
    evaluated,
)
from ember_bench.experiment.item_subject import ItemSubject
from ember_bench.experiment.results.summary import Outcome
from ember_bench.experiment.trial_calls import CallEntry, critical_path, entries, in_order
from ember_bench.models import interception
from ember_bench.models import strand as strands
from ember_bench.models.strand import Purse, Strand, TrialContext
from ember_bench.operators.base import Operator
from ember_bench.operators.fields import names, outputs_of
from ember_bench.secrets import without_secrets

# Part of every fingerprint: raise it when the harness gives other results for the same inputs.
HARNESS_VERSION: Final = 2
_LONGEST_ERROR: Final = 4_000


class Trial(msgspec.Struct, frozen=True, gc=False):
    """A trial to run.

    Attributes:
        cell: Index of the cell in the experiment.
        item: Index of the item in its dataset's order.
    """

    cell: int
    item: int
    epoch: int


class TrialResult(msgspec.Struct, frozen=True):
    """The result of a trial.

    Attributes:
        score: In [0, 1]; 0 where there is none.
        cost_usd: Cost of all calls, shared ones included; None if a price is unknown.
        latency_seconds: Critical path over the calls' durations; None if one is unknown.
        spend_usd: Cost of the requests made by this trial, as far as it is known, with those whose
            answers could not be used.
        error: The error, with the traceback of the user's code; None without one.
        wasted_calls: Requests whose answers could not be used, beside `calls`.
        stated: Whether the response states its answer as the format wants; else it was guessed at.
            None if the answer is not one that a format read out of one response.
        evaluation: The calls of its evaluator's judges, which are no part of any other field.
        further: The scores of further evaluators, of those that have one.
    """

    trial: Trial
    fingerprint: bytes
    outcome: Outcome
    score: float
    answer: str | None
    explanation: str
    error: str | None
    cost_usd: float | None
    latency_seconds: float | None
    spend_usd: float
    calls: tuple[CallEntry, ...]
    wasted_calls: int = 0
    stated: bool | None = None
    evaluation: EvaluationResult | None = None
    further: tuple[FurtherScore, ...] = ()

    @property
    def all_calls(self) -> tuple[CallEntry, ...]:
        """The calls of the architecture, and those of the judges."""
        return self.calls if self.evaluation is None else self.calls + self.evaluation.calls


def fingerprint(cell: Cell, item: Item, evaluator: Evaluator, epoch: int) -> bytes:
    """Return the identity of a trial, which changes with anything that can change its result."""
    reading = get_answer_format(item.answer_format).full_identity
    content = _common_content(cell.digest, evaluator_identity(evaluator), reading).copy()
    content.update(f"{item.digest}\n{epoch}".encode())
    return content.digest()


@lru_cache(maxsize=1024)
def _common_content(cell: str, evaluator: str, reading: str) -> blake2b:
    """Return a hash over the common parts of the trials of a cell."""
    return blake2b(f"{HARNESS_VERSION}\n{cell}\n{evaluator}\n{reading}\n".encode(), digest_size=16)


def run_trial(
    trial: Trial,
    cell: Cell,
    item: Item,
    evaluator: Evaluator,
    identity: bytes,
    purse: Purse,
    baseline: Cell | None = None,
) -> TrialResult | None:
    """Run and score one trial; call it in a greenlet of the bridge.

    Whatever goes wrong in it is its result, but for two things: a trial for which there was no
    money has none, nor has one whose calls were given up as the run is to stop.

    Raises:
        StoreError: if answers cannot be kept; then going on would lose what is being paid for.
    """
    subject = ItemSubject(item, evaluator)
    context = TrialContext(subject, trial.epoch, purse=purse, epochs=cell.epochs)
    strand = Strand(context)
    token = strands.current.set(strand)
    judged = Evaluation(purse)
    if baseline is not None:
        judged.rival = partial(output_of, baseline, item, evaluator, trial.epoch, judged)
    error: str | None = None
    score, stated = Score(0.0, None, ""), None
    further: tuple[FurtherScore, ...] = ()
    outcome: Outcome = "error"
    try:
        outputs = cell.prepared.run(graph_inputs(item, evaluator, cell))
        output = outputs[cell.graph.output]
        score = _score(evaluator, item, output, judged)
        stated = states_answer(evaluator, item, output, score)
        outcome = score.outcome
        further = tuple(_further(evaluator, item, output, judged))
    except StoreError:
        raise
    except asyncio.CancelledError as raised:
        if (task := asyncio.current_task()) is None or task.cancelling():
            raise
        error = _describe(raised)  # something inside was cancelled; nobody cancelled the trial
    except Exception as raised:  # a failed trial is a result, shown and counted
        error = _describe(raised)
        if judged.failed or isinstance(raised, UnjudgedError):
            outcome = "unjudged"
    finally:
        strands.current.reset(token)
    if purse.exhausted:  # also if an operator made something of the error
        return None
    result = _result(trial, identity, outcome, score, error, strand, stated)
    if further:
        result = msgspec.structs.replace(result, further=further)
    if not judged.calls and not judged.wasted_calls:
        return result
    return msgspec.structs.replace(result, evaluation=evaluated(judged))


def missing_field(graph: Operator) -> str | None:
    """Return in words what a node of a graph needs, and neither items nor nodes before it give.

    A prompt may also name fields of an item's record, which are not known here.
    """
    given = names("query", "answer_format", "choices", "turns", "images", "metadata", "normalise")
    try:
        outputs_of(graph, given)
    except SignatureError as error:
        return f"{error} ({', '.join(getattr(error, '__notes__', ()))})"
    return None


def graph_inputs(
    item: Item, evaluator: Evaluator | None = None, cell: Cell | None = None
) -> dict[str, Any]:
    """Return the inputs of a graph for an item.

    Args:
        item: The item.
        evaluator: If it `Normalises`, the graph's votes count as the same what it does.
        cell: Its prompt and examples make the question.
    """
    query, turns = (item.question, ()) if cell is None else cell.ask(item)
    inputs: dict[str, Any] = {
        "query": query,
        "answer_format": item.answer_format,
        "choices": item.choices,
        **({"turns": turns} if turns else {}),
        **({"images": [image.load() for image in item.images]} if item.images else {}),
        **({"metadata": item.metadata} if item.metadata else {}),
    }
    normal = getattr(evaluator, "normal", None)
    return inputs if normal is None else {**inputs, "normalise": partial(normal, item)}


def _score(evaluator: Evaluator, item: Item, output: Any, judged: Evaluation) -> Score:
    """Score, and let other trials go on meanwhile if the evaluator takes its time."""
    token, rival = evaluation.current.set(judged), baseline_output.set(judged.rival)
    try:
        if getattr(evaluator, "blocking", False):
            return bridge.wait(bridge.compute(score_output, evaluator, item, output))
        return score_output(evaluator, item, output)
    finally:
        baseline_output.reset(rival)
        evaluation.current.reset(token)


def output_of(cell: Cell, item: Item, evaluator: Evaluator, epoch: int, judged: Evaluation) -> str:
    """Return the output of another cell for an item, from its own calls, made once for all.

    Args:
        cell: The other cell.
        item: The item.
        evaluator: That of the trials of both cells.
        epoch: The epoch.
        judged: The evaluation that needs it, which pays for calls that were not made before.

    Raises:
        UnjudgedError: if it gives none.
        StoreError: if its answers cannot be kept.
    """
    context = TrialContext(
        ItemSubject(item, evaluator), epoch, purse=judged.purse, epochs=cell.epochs
    )
    strand = Strand(context)
    token, ban = strands.current.set(strand), interception.banned.set(None)
    try:
        outputs = cell.prepared.run(graph_inputs(item, evaluator, cell))
        return _output_text(outputs[cell.graph.output])
    except StoreError:
        raise
    except Exception as error:
        raise UnjudgedError(f"the baseline gave no output: {error}") from error
    finally:
        interception.banned.reset(ban)
        strands.current.reset(token)
        spent = (call.spend_usd for call in in_order(strand.trial.calls))
        judged.wasted_usd = math.fsum([judged.wasted_usd, strand.trial.wasted_usd, *spent])


def _further(
    evaluator: Evaluator, item: Item, output: Any, judged: Evaluation
) -> Iterator[FurtherScore]:
    """Yield the scores of the further evaluators that have one.

    Raises:
        StoreError: if answers of judges cannot be kept.
    """
    for name, other in further_of(evaluator).items():
        outcome: Outcome = "error"
        judged.failed = False
        try:
            score = _score(other, item, output, judged)
            outcome = score.outcome
        except StoreError:
            raise
        except UnlabelledError:
            continue
        except Exception as raised:  # of this evaluator alone; shown and counted
            score = Score(0.0, None, _describe(raised))
            outcome = "unjudged" if judged.failed else outcome
        answer = None if score.answer is None else str(score.answer)
        length = len(_output_text(output))
        yield FurtherScore(name, outcome, score.value, answer, score.explanation, length)


def _output_text(output: Any) -> str:
    """Return what is scored of an output, as far as it is one text."""
    if not isinstance(output, Mapping):
        return _text(output)
    if output.get("final_answer") is not None:
        return _text(output["final_answer"])
    return "".join(map(_text, output.get("responses", ())))


def score_output(evaluator: Evaluator, item: Item, output: Any) -> Score:
    """Score the output of the last node: a text, or a mapping with `final_answer` or `responses`.

    Where it gives several `answers`, their scores make the score by its `credit`: the `mean` of
    those that tie, the `best` for an oracle.

    Raises:
        EmberBenchError: if there is nothing to score.
    """
    if not isinstance(output, Mapping):
        return scored(evaluator, item, _text(output))
    if len(answers := output.get("answers", ())) > 1:
        scores = [scored(evaluator, item, answer) for answer in answers]
        if output.get("credit") == "best":
            return max(scores, key=lambda score: score.value)
        value = math.fsum(score.value for score in scores) / len(scores)
        names = ", ".join(repr(score.answer) for score in scores)
        return Score(value, scores[0].answer, f"tie of {names}: the credit is shared")
    if "final_answer" in output:
        if output["final_answer"] is None:
            return Score(0.0, None, "no answer could be read out of any response")
        return scored(evaluator, item, _text(output["final_answer"]))
    responses = output.get("responses", ())
    if len(responses) != 1:
        fields = ", ".join(map(repr, output)) or "nothing"
        raise EmberBenchError(
            f"the last node gives no `final_answer` and not one response; it gives {fields}"
        )
    return scored(evaluator, item, responses[0])


def states_answer(evaluator: Evaluator, item: Item, output: Any, score: Score) -> bool | None:
    """Return whether a response states the answer that was scored, or it was guessed at.

    None if a node made the answer, if the evaluator reads answers in another way, or if the score
    is the one that was recorded of the response, whatever it states.
    """
    if isinstance(evaluator, AsRecorded):
        return None
    if isinstance(output, Mapping):
        responses = output.get("responses", ())
        if "final_answer" in output or "answers" in output or len(responses) != 1:
            return None
        output = responses[0]
    try:
        found = parse(_text(output), item.answer_format, item.choices)
    except Exception:  # of a user's format, which the evaluator may not use at all
        return None
    return found.stated if found.answer is not None and found.answer == score.answer else None


def _text(output: Any) -> str:
    """Return an output as text; one that was cut off still says so."""
    return output if isinstance(output, str) else str(output)


def _result(
    trial: Trial,
    identity: bytes,
    outcome: Outcome,
    score: Score,
    error: str | None,
    strand: Strand,
    stated: bool | None,
) -> TrialResult:
    calls = in_order(strand.trial.calls)
    costs = [call.cost_usd for call in calls]
    return TrialResult(
        trial=trial,
        fingerprint=identity,
        outcome=outcome,
        score=score.value,
        # Of a user's evaluator it may be the output itself, which may be a `CutOff`.
        answer=None if score.answer is None else str(score.answer),
        explanation=score.explanation,
        error=error,
        # fsum is exact, so the order in which calls ended does not change the last digit.
        cost_usd=None if None in costs else math.fsum(cast("list[float]", costs)),
        latency_seconds=critical_path(calls, strand.clock),
        spend_usd=math.fsum([*(call.spend_usd for call in calls), strand.trial.wasted_usd]),
        calls=entries(calls),
        wasted_calls=strand.trial.wasted_calls,
        stated=stated,
    )


def _describe(error: BaseException) -> str:
    """Return an error for the trial's row: our own in one line, a user's with its traceback."""
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    try:
        line = f"{type(error).__name__}: {error}{notes}"
    except Exception:  # a user's own exception may not be able to say what it is
        line = f"{type(error).__name__}{notes}"
    line = without_secrets(line)[:_LONGEST_ERROR]
    if isinstance(error, EmberBenchError):
        return line
    text = without_secrets("".join(traceback.format_exception(error)))
    return f"{line}\n{text[-_LONGEST_ERROR:]}"
