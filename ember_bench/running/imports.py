"""Cards, a recording and a grid of what the logs of another tool have."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ember_bench.datasets.guess import Chosen, guess_card
from ember_bench.documents import yaml_text
from ember_bench.drawing.number_format import count
from ember_bench.errors import ConfigError
from ember_bench.interop.found import Found, FoundAnswer
from ember_bench.registry import Cards
from ember_bench.running.find_grids import grids
from ember_bench.running.new_cards import GRIDS, REGISTRY, attach, check_is_new, write_new

_MEASURED: Final = ("score", "latency", "cost", "input_tokens", "output_tokens")
_MOST_VOTERS: Final = 9
_NO_TARGET: Final = "unknown"


def write_import(found: Found, name: str, cards: Cards) -> list[Path]:
    """Write what was found to the registry of the working directory, and a grid of it.

    Args:
        found: The items and answers.
        name: The name of dataset, recorded set, evaluator and grid.
        cards: The registries in force.

    Returns:
        The files, the grid last.

    Raises:
        ConfigError: if there is nothing to write, or something has the name.
    """
    _check_some(found)
    scored = any(answer.score is not None for answer in found.answers)
    unknown = [item.id for item in found.items.values() if not item.target]
    if unknown and not scored:
        raise ConfigError(
            f"{found.source}: nothing to score by: no answer has a score, and"
            f" {len(unknown):,} of the {count(len(found.items), 'item')} have no right answer, such"
            f" as {unknown[0]!r} (columns of a table are named by --score and --target)"
        )
    for kind in ("datasets", "evaluators") if scored else ("datasets",):
        check_is_new(kind, name, cards)
    check_is_new("models", f"recorded:{name}", cards)
    if name in grids():
        raise ConfigError(f"there is a grid {name!r} already: {grids()[name]}; give another name")
    items = REGISTRY / "datasets" / f"{name}.jsonl"
    answers = REGISTRY / "models" / f"{name}.jsonl"
    grid = GRIDS / f"{name}.yaml"
    write_new({items: _item_lines(found), answers: _answer_lines(found)})
    made = {REGISTRY / "models" / f"{name}.yaml": ("model", _recording(found, name))}
    if scored:
        made[REGISTRY / "evaluators" / f"{name}.yaml"] = ("evaluator", _evaluator(found, name))
    dataset = _dataset(found, items, name, scored)
    made[REGISTRY / "datasets" / f"{name}.yaml"] = ("dataset", dataset)
    made[grid] = ("grid", _grid(found, name, str(dataset["answer_format"])))
    write_new({path: yaml_text(card, compact=True) for path, (_, card) in made.items()})
    for path, (kind, _) in made.items():
        attach(kind, path)
    return [items, answers, *made]


def summary(found: Found) -> list[str]:
    """Return what was found, in lines.

    Raises:
        ConfigError: if that is nothing.
    """
    _check_some(found)
    scored = [answer.score for answer in found.answers if answer.score is not None]
    lines = [
        f"{count(len(found.items), 'item')}, {count(len(found.answers), 'answer')} of "
        f"{count(len(found.models), 'model')}: {', '.join(found.models[:5])}"
        + (", ..." if len(found.models) > 5 else "")
    ]
    if scored:
        lines.append(f"{len(scored):,} of the answers have a score; mean {_mean(scored):.3f}")
    notes = dict.fromkeys([*found.notes, *_notes(found)])
    return [*lines, *(f"note: {note}" for note in notes)]


def _check_some(found: Found) -> None:
    if not found.answers:
        raise ConfigError(f"{found.source}: no answers were found")


def _notes(found: Found) -> Iterator[str]:
    """Yield what is not whole: items without a target, or with fewer samples than others."""
    if unknown := sum(not item.target for item in found.items.values()):
        yield (
            f"{unknown:,} of the {count(len(found.items), 'item')} have no right answer: only the"
            f" source's scores say how good an answer is ({_NO_TARGET!r} is the target)"
        )
    scored, counted = _scored(found), sum(map(_counts, found.answers))
    if 0 < scored < counted:
        yield (
            f"{counted - scored:,} of the {counted:,} answers have no score; it is an error, unless"
            " another answer to the item has the same text and a score"
        )
    if mixed := _mixed(found):
        yield (
            f"texts that got several scores for the same item: {mixed:,}; each counts with their"
            " mean, so that a model's accuracy may be another one than the source's"
        )
    epochs, counts = _epochs(found).get("epochs", 1), _samples(found)
    if other := sum(number != epochs for number in counts.values()):
        yield (
            f"models have {min(counts.values())} to {max(counts.values())} answers to an item, and"
            f" the grid has {count(epochs, 'epoch')}: {other:,} of the {len(counts):,} are others"
        )


def _scored(found: Found) -> int:
    return sum(answer.score is not None for answer in found.answers)


def _mixed(found: Found) -> int:
    """Count the texts that the source did not always give the same score."""
    scores: dict[tuple[str, str], set[float]] = {}
    for answer in found.answers:
        if answer.answer is not None and answer.score is not None:
            scores.setdefault((answer.item, answer.answer), set()).add(answer.score)
    return sum(len(found) > 1 for found in scores.values())


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _item_lines(found: Found) -> str:
    rows = (
        {"id": item.id, "question": item.question, "target": item.target}
        | ({"category": item.category} if item.category else {})
        for item in found.items.values()
    )
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _answer_lines(found: Found) -> str:
    names = ("model", "item", "sample", "answer", *_MEASURED)
    rows = ({name: getattr(answer, name) for name in names} for answer in found.answers)
    kept = ({name: value for name, value in row.items() if value is not None} for row in rows)
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in kept)


def _recording(found: Found, name: str) -> dict[str, Any]:
    def known(measure: str) -> bool:
        return any(getattr(answer, measure) is not None for answer in found.answers)

    fields = {"item": "item", "model": "model", "sample": "sample"}
    fields |= {measure: measure for measure in ("answer", *_MEASURED) if known(measure)}
    card: dict[str, Any] = {
        "name": f"recorded:{name}",
        "purpose": f"Answers from {found.source}.",
        "files": f"{name}.jsonl",
        "fields": fields,
        "models": found.models,
    }
    scores = [answer.score for answer in found.answers if answer.score is not None]
    if scores and (min(scores) < 0 or max(scores) > 1):
        card["score_range"] = [min(scores), max(scores)]
    return card


def _evaluator(found: Found, name: str) -> dict[str, Any]:
    purpose = f"The scores from {found.source}."
    return {"name": name, "kind": "as_recorded", "purpose": purpose, "recorded": f"recorded:{name}"}


def _dataset(found: Found, items: Path, name: str, scored: bool) -> dict[str, Any]:
    known = all(item.target for item in found.items.values())
    if known:
        guess = guess_card(items, Chosen("question", "target", (), "id", None))
        form, ours = guess.rest["answer_format"], guess.rest["evaluator"]
    else:
        form, ours = "text", "quasi_exact_match"
    fields = {"id": "id", "question": "question", "target": "target"}
    if all(item.category for item in found.items.values()):
        fields["category"] = "category"
    return {
        "name": name,
        "purpose": f"Items from {found.source}.",
        "source": {"file": items.name},
        "fields": fields,
        **({} if known else {"empty_target": _NO_TARGET}),
        "answer_format": form,
        "evaluator": name if scored else ours,
    }


def _grid(found: Found, name: str, form: str) -> dict[str, Any]:
    models = [f"recorded:{name}/{model}" for model in found.models]
    parameters: dict[str, Any] = {"temperature": None}
    single = {"model": models, **parameters}
    entries = [{"name": "single", "label": "{model}", "parameters": single}]
    if 3 <= len(models) <= _MOST_VOTERS and _can_agree(found, form):
        vote = {"models": models, "ties": "share", **parameters}
        entries.append({"name": "ensemble_vote", "label": "vote of all", "parameters": vote})
    return {
        "name": name,
        "purpose": f"Answers from {found.source}.",
        **_epochs(found),
        # Items that a model has no answer to are left out of its accuracy.
        "failures": "excluded",
        "too_few_samples": "left_out",
        "datasets": [name],
        "architectures": entries,
    }


def _can_agree(found: Found, form: str) -> bool:
    """Return whether a vote may have a majority: free texts of models are seldom the same.

    Then at least two models gave the same text to at least half of the items.
    """
    texts: dict[str, dict[str, str]] = {}
    for one in found.answers:
        if one.answer:
            texts.setdefault(one.item, {}).setdefault(one.model, one.answer.strip().casefold())
    agreed = sum(len(set(said.values())) < len(said) for said in texts.values())
    return bool(texts) and (form != "text" or 2 * agreed >= len(texts))


def _epochs(found: Found) -> Mapping[str, int]:
    counts = _samples(found)
    epochs = Counter(counts.values()).most_common(1)[0][0] if counts else 1
    return {"epochs": epochs} if epochs > 1 else {}


def _samples(found: Found) -> Counter[tuple[str, str]]:
    """Count the answers of each model to each item."""
    return Counter((a.model, a.item) for a in found.answers if _counts(a))


def _counts(answer: FoundAnswer) -> bool:
    return answer.answer is not None or answer.score is not None


def import_name(path: Path) -> str:
    """Return a name for what is imported from a path."""
    stem = path.name.partition(".")[0]
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", stem).strip("_")
    return plain if plain[:1].isalpha() else f"imported_{plain}".rstrip("_")
