"""AlpacaEval's standard errors, and its length-controlled win rates (Dubois et al. 2024).

For each model a logistic regression of the preference y in [0, 1], without an intercept:
logit E[y] = w_length tanh(d) + w_difficulty difficulty[item] + w_model, where d is the reference's
length minus the model's in characters, over its standard deviation. The controlled rate is the mean
prediction at d = 0. Beside a model's own items the fit has the 2 x 805 comparisons of the reference
with its verbose and concise twins, of weight 0.1; the files have their lengths, and preferences
with the sums that the published weights determine. The source penalises the weights a little and
chooses how much by cross-validation; this is plain maximum likelihood.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from ember_bench.models.recorded.data_dir import data_dir
from ember_bench.running.reproduce import Measure
from ember_bench.running.results import Results

REFERENCE = "gpt4_1106_preview"
TWIN_WEIGHT = 0.1
STEPS = 50
RIDGE = 1e-9
Z = 1.959964


def measures(found: Sequence[Results]) -> Iterator[Measure]:
    """Yield standard errors and length-controlled win rates, in percent."""
    (results,) = found
    folder = (data_dir() or Path()) / "alpaca_eval"
    # Not in the repository, and so not in what is fetched.
    lengths = _Lengths(folder) if (folder / "lc_difficulty.csv").is_file() else None
    models = {cell.name: cell.label.partition("/")[2] for cell in results.summary.cells}
    for cell, rows in results.trials.groupby("cell"):
        model = models[cell]
        scored = rows[rows["score"].notna()]
        scores = dict(zip(scored["item"], scored["score"].astype(float), strict=True))
        values = np.array(list(scores.values()))
        yield Measure(model, "standard_error", 100 * values.std(ddof=1) / np.sqrt(len(values)))
        if lengths is None:
            continue
        if model == REFERENCE:
            yield Measure(model, "lc_win_rate", 50.0)
            continue
        predicted = _controlled(lengths, model, scores)
        rate, half = predicted.mean(), Z * predicted.std(ddof=1) / np.sqrt(len(predicted))
        yield Measure(model, "lc_win_rate", 100 * rate, 100 * (rate - half), 100 * (rate + half))


class _Lengths:
    """Lengths of outputs in characters, difficulties of items, and the comparisons of the twins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows = _lines(folder / "items.jsonl.gz")
        self.reference = {str(row["id"]): len(row["reference_output"]) for row in rows}
        with (folder / "lc_difficulty.csv").open(encoding="utf-8", newline="") as file:
            self.difficulty = np.array([float(row["difficulty"]) for row in csv.DictReader(file)])
        twins = list(_lines(folder / "lc_gamed_surrogate.jsonl.gz"))
        places = [int(row["id"]) for row in twins]
        self.twin_inputs = np.column_stack(
            (
                [row["tanh_std_delta_len"] for row in twins],
                self.difficulty[places],
                np.zeros(len(twins)),
            )
        )
        self.twin_preferences = np.array([row["preference_surrogate"] for row in twins])

    def of(self, model: str) -> dict[str, int]:
        """Return the lengths of a model's outputs by item."""
        rows = _lines(self.folder / f"outputs__{model}.jsonl.gz")
        return {str(row["id"]): len(row["output"]) for row in rows}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def _controlled(lengths: _Lengths, model: str, scores: Mapping[str, float]) -> np.ndarray:
    """Return the predicted preferences at equal length, shape (n_items,)."""
    own = lengths.of(model)
    items = sorted((item for item in scores if item in own), key=int)
    shorter = np.array([lengths.reference[item] - own[item] for item in items], dtype=float)
    # The source looks difficulties up by row, also where a model has fewer rows than items.
    difficulty = lengths.difficulty[: len(items)]
    ones = np.ones(len(items))
    own_inputs = np.column_stack((np.tanh(shorter / shorter.std(ddof=1)), difficulty, ones))
    inputs = np.vstack((own_inputs, lengths.twin_inputs))
    preferences = np.concatenate(([scores[item] for item in items], lengths.twin_preferences))
    weights = np.concatenate((ones, np.full(len(lengths.twin_preferences), TWIN_WEIGHT)))
    fitted = _logistic(inputs, preferences, weights)
    return special.expit(fitted[1] * difficulty + fitted[2])


def _logistic(inputs: np.ndarray, preferences: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weights of a logistic regression, shape (3,), by Newton's method."""
    fitted = np.zeros(inputs.shape[1])
    for _ in range(STEPS):
        predicted = special.expit(inputs @ fitted)
        gradient = inputs.T @ (weights * (preferences - predicted))
        curvature = inputs.T @ (inputs * (weights * predicted * (1 - predicted))[:, None])
        # A tiny ridge keeps separable data, such as one constant output, from running away.
        fitted = fitted + np.linalg.solve(curvature + RIDGE * np.eye(len(fitted)), gradient)
    return fitted
