"""Outputs and annotations of AlpacaEval, as the package writes them.

`model_outputs.json` has a model's outputs: instruction, output, generator. `annotations.json` has
comparisons of `output_2` of `generator_2` with `output_1` of the reference `generator_1`; the
preference is from 1 (the reference) to 2 (the model), and 1.5 is a tie.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ember_bench.errors import ConfigError, Location, Problem
from ember_bench.interop.found import (
    Found,
    FoundAnswer,
    FoundItem,
    as_number,
    chosen_scorer,
    files_of,
    read_json,
    text_of,
)


@dataclass(frozen=True, slots=True)
class _Output:
    """What a model answered to an instruction, and where that stands.

    Attributes:
        reference: What it was compared with; "" without a comparison.
        annotator: The judge; "" without a comparison.
        preference: From 1 to 2; None without one.
    """

    place: Location
    instruction: str
    dataset: str
    model: str
    text: str
    reference: str = ""
    annotator: str = ""
    preference: float | None = None


def read(paths: Sequence[Path], scorer: str | None = None) -> Found:
    """Return the instructions and outputs of files, and of those in folders.

    An output is scored 1 if it is preferred to the reference, 0 if the reference is, and between if
    the annotator is not sure. The mean over instructions is the win rate.

    Args:
        paths: Files of annotations or outputs, or folders of them.
        scorer: The annotator whose preferences count, if there are several.

    Raises:
        ConfigError: if there are none, one cannot be read, or there is no such annotator.
    """
    files = files_of(paths, "annotations.json", "model_outputs.json", "outputs.json")
    if not files:
        raise ConfigError(f"{paths[0]}: no annotations.json or model_outputs.json of AlpacaEval")
    outputs = [output for file in files for output in _outputs(file)]
    annotators = dict.fromkeys(output.annotator for output in outputs if output.annotator)
    counting = chosen_scorer(scorer, annotators, Location(files[0]))
    found = Found("AlpacaEval")
    if len(annotators) > 1:
        others = ", ".join(name for name in annotators if name != counting)
        found.notes.append(f"preferences are those of {counting}, and not of {others}")
    judged = [output for output in outputs if output.annotator == (counting or "")]
    seen = {(output.model, output.instruction, output.text) for output in judged}
    # A model's file of outputs adds those that were not compared.
    judged += [
        output
        for output in outputs
        if not output.annotator and (output.model, output.instruction, output.text) not in seen
    ]
    _add(found, judged if counting else outputs)
    return found


def _add(found: Found, outputs: Sequence[_Output]) -> None:
    ids: dict[str, str] = {}
    references = {one.instruction: one.reference for one in outputs if one.reference}
    sample: Counter[tuple[str, str]] = Counter()
    for output in outputs:
        item = ids.setdefault(output.instruction, str(len(ids)))
        target = references.get(output.instruction, "")
        known = FoundItem(item, output.instruction, target, output.dataset or None)
        found.add_item(known, output.place)
        score = None if output.preference is None else output.preference - 1
        found.answers.append(
            FoundAnswer(output.model, item, sample[output.model, item], output.text, score)
        )
        sample[output.model, item] += 1


def _outputs(file: Path) -> Iterator[_Output]:
    """Yield the outputs of a file, in its order.

    Raises:
        ConfigError: if it is neither a file of annotations nor one of outputs.
    """
    records = read_json(file)
    if not isinstance(records, list):
        raise ConfigError(Problem("expected a list of annotations or outputs", Location(file)))
    for number, record in enumerate(records):
        if not isinstance(record, Mapping) or "instruction" not in record:
            message = f"record {number}: expected an annotation or an output with an instruction"
            raise ConfigError(Problem(message, Location(file)))
        yield _output(record, number, file)


def _output(record: Mapping[str, Any], number: int, file: Path) -> _Output:
    place, instruction = Location(file), text_of(record["instruction"])
    dataset = str(record.get("dataset") or "")
    if "output_2" in record:
        preference = as_number(record.get("preference"))
        if preference is not None and not 1 <= preference <= 2:
            message = f"record {number}: expected a preference from 1 to 2, found {preference}"
            raise ConfigError(Problem(message, place))
        return _Output(
            place, instruction, dataset, str(record.get("generator_2") or file.parent.name),
            text_of(record["output_2"]), text_of(record.get("output_1") or ""),
            str(record.get("annotator") or "annotator"), preference,
        )  # fmt: skip
    if "output" not in record:
        message = f"record {number}: expected `output`, or `output_1` and `output_2`"
        raise ConfigError(Problem(message, place))
    model = str(record.get("generator") or file.parent.name)
    return _Output(place, instruction, dataset, model, text_of(record["output"]))
