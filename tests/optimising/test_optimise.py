"""`optimise`: better prompts are found, and what they are worth is not overstated."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ember_bench.errors import ConfigError
from ember_bench.optimising.curve import curve_plot, read_optimised
from ember_bench.optimising.optimise import METHODS, optimise, optimise_experiment
from ember_bench.optimising.outcome import OPTIMISED, OPTIMISED_PAGE, Optimised, as_text
from ember_bench.optimising.task import Options
from ember_bench.running.session import Options as RunOptions
from ember_bench.running.session import open_experiment, run_experiment
from tests.support import instructed
from tests.support.counted import LOG, requests

pytestmark = pytest.mark.extra

ROOT = Path(__file__).parents[2]
BEST = "Add with care, check twice."
MODEL = {
    "name": "instructed:a",
    "options": {"base": 0.3, "gain": 0.3, "words": ["care", "twice"]},
    "cost": {"input_cost_per_thousand": 0.001, "output_cost_per_thousand": 0.001},
    "max_output_tokens": 100,
}
CALL_USD = 15e-6  # of a sum; that of a proposal is 70e-6


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))


def sums(folder: Path, name: str, *, items: int, first: int) -> str:
    """Write a dataset of sums from a number on; returns its name."""
    rows = [
        {"id": f"s{n}", "question": f"{n} + {7 * n} = ?", "answer": str(8 * n)}
        for n in range(first, first + items)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write(folder / f"registry/datasets/{name}.jsonl", lines)
    fields = {"id": "id", "question": "question", "target": "answer"}
    source = {"source": {"file": f"{name}.jsonl"}, "fields": fields}
    scoring = {"answer_format": "number", "evaluator": "numeric_match"}
    card = {"name": name, "purpose": "Sums.", **source, **scoring}
    write(folder / f"registry/datasets/{name}.yaml", card)
    return name


def study(folder: Path, *, items: int = 120, first: int = 0, **model: Any) -> None:
    """Write a study of one call a sum, by a model that answers as it is told."""
    sums(folder, "sums", items=items, first=first)
    options = {**MODEL["options"], **model}  # type: ignore[dict-item]
    write(folder / "registry/models/a.yaml", {**MODEL, "options": options})
    entry = {"name": "single", "parameters": {"model": "instructed:a"}}
    write(folder / "grid.yaml", {"name": "trip", "datasets": ["sums"], "architectures": [entry]})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    study(tmp_path)
    return tmp_path


def run(method: str, **options: Any) -> Optimised:
    outcome, _ = optimise(
        "grid.yaml",
        Options(
            method,
            **{"train": 20, "validation": 30, "demonstrations": 0, "candidates": 12} | options,
        ),
    )
    return outcome


@pytest.mark.parametrize("method", ["gepa", "mipro"])
def test_the_better_prompt_is_found_and_tested_on_items_not_used_before(
    here: Path, method: str
) -> None:
    outcome = run(method)
    assert outcome.prompts == {"answer": BEST}
    assert outcome.tested is not None
    assert (outcome.train, outcome.validation, outcome.tested.items) == (20, 30, 70)
    interval = outcome.tested.difference.interval
    assert interval is not None
    assert interval[0] <= 0.6 <= interval[1]  # two words at 0.3
    scores = [point.score for point in outcome.curve]
    assert outcome.optimistic == pytest.approx(max(scores) - scores[0])
    spent = [point.spent_usd for point in outcome.curve]
    assert None not in spent
    assert spent == sorted(spent, key=float)
    assert f"{100 * outcome.tested.before:.1f} -> {100 * outcome.tested.after:.1f}" in as_text(
        outcome
    )


def test_demonstrations_are_trials_with_full_marks(here: Path) -> None:
    # Its own answers tell it to take care, as demonstrations are text before the question.
    study(here, base=0.2, gain=0.7, words=["Answer:"])
    outcome = run("bootstrap_few_shot", demonstrations=2)
    shown = outcome.prompts["answer"]
    assert shown.count("= ?") == 2
    for line in shown.splitlines():
        if " = ?" in line:
            a, b = (int(part) for part in line.removesuffix(" = ?").split(" + "))
            assert f"Answer: {a + b}" in shown
    assert outcome.tested is not None
    assert outcome.tested.difference.interval is not None
    assert outcome.tested.difference.interval[0] <= 0.7 <= outcome.tested.difference.interval[1]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_asked_again_by_the_same_command(here: Path, method: str) -> None:
    first = run(method)
    asked = requests()
    assert set(asked.values()) == {1}
    assert run(method) == first
    assert requests() == asked


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_search_goes_on_with_no_call_repeated(here: Path, method: str) -> None:
    # Slow enough that it is killed in the middle; its own answers help as demonstrations.
    study(here, base=0.2, gain=0.35, words=["care", "Answer:"], seconds=0.02)
    program = (
        "import sys\n"
        "from tests.support import instructed\n"
        "from ember_bench.cli import main\n"
        f"main(['optimise', 'grid.yaml', '--with', '{method}', '--train', '20',"
        " '--validation', '30', '--demonstrations', '2', '--candidates', '4',"
        " '--in-flight', '4', '--quiet', '--no-mlflow'])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], env=environment(here))
    while process.poll() is None and len(requests("answer")) < 50:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    stored = len(calls(here))
    assert stored >= 40
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(here), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # Only what was in flight when it was killed, and not stored, was asked again.
    asked = requests()
    assert sum(asked.values()) - len(asked) <= 4
    assert len(asked) == len(calls(here)) > stored
    found = json.loads(next(here.glob(f"results/*/{OPTIMISED}")).read_text())
    assert found["tested"]["after"] > found["tested"]["before"]


def environment(folder: Path) -> Mapping[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT), LOG: str(folder / "log")}


@pytest.mark.parametrize("method", METHODS)
def test_the_budget_is_kept_to_the_call_and_enough_is_left_for_the_test(
    here: Path, method: str
) -> None:
    study(here, base=0.2, gain=0.35, words=["care", "Answer:"])  # demonstrations help too
    budget = 420 * CALL_USD
    options = Options(method, train=20, validation=30, demonstrations=2, candidates=12)
    outcome, _ = optimise("grid.yaml", options, budget_usd=budget)
    spent = sum(70e-6 if kind != "generate" else CALL_USD for kind in calls(here))
    assert spent <= budget
    assert outcome.spent_usd is not None
    assert outcome.tested is not None
    if method != "bootstrap_few_shot":  # which needs less
        assert outcome.ended == "the rest of the budget is for the test"


def calls(folder: Path) -> list[str]:
    import sqlite3

    with sqlite3.connect(folder / "results/responses.db") as database:
        return [row[0] for row in database.execute("SELECT role FROM responses")]


def test_a_budget_for_less_than_one_candidate_says_so(here: Path) -> None:
    with pytest.raises(ConfigError, match="before the prompts as they are were scored"):
        optimise("grid.yaml", Options("gepa", train=20, validation=30), budget_usd=10 * CALL_USD)


def test_the_new_card_is_an_architecture_with_the_prompts(here: Path) -> None:
    _, written = optimise("grid.yaml", Options("gepa", train=20, validation=30, name="careful"))
    card = here / "registry/architectures/careful.yaml"
    write(card, written.card.read_text())
    entry = {"name": "careful"}
    write(here / "new.yaml", {"name": "new", "datasets": ["sums"], "architectures": [entry]})
    (cell,) = open_experiment(here / "new.yaml").cells
    (lm,) = cell.graph.lm_modules()
    assert lm.model.model_id == "instructed:a"
    signature = cell.graph.nodes["answer"].signature
    assert signature is not None
    assert signature.render({"query": "1 + 1 = ?"}) == f"{BEST}\n\n1 + 1 = ?"


def test_before_and_after_run_in_a_grid_at_once_on_the_calls_of_the_test(here: Path) -> None:
    asked = {"model": "instructed:a", "prompt": "The sum: {question}"}
    entries = [{"name": "single", "parameters": asked}]
    write(here / "grid.yaml", {"name": "trip", "datasets": ["sums"], "architectures": entries})
    outcome, written = optimise("grid.yaml", Options("gepa", train=20, validation=30))
    assert outcome.tested is not None
    assert written.grid is not None
    made = sum(requests().values())
    compared = run_experiment(
        open_experiment(written.grid), RunOptions(here / "results", mlflow=False)
    )
    before, after = compared.summary.cells
    assert (before.label, after.label) == ("before", "after")
    assert after.accuracy is not None
    assert before.accuracy is not None
    assert after.accuracy.value > before.accuracy.value
    # Of the 120 items, the validation and test items have their answers of both systems, and some
    # of the 20 training items.
    assert sum(requests().values()) - made <= 2 * 20


def test_the_curve_is_a_page_and_a_figure(here: Path) -> None:
    outcome, written = optimise("grid.yaml", Options("gepa", train=20, validation=30))
    page = (written.folder / OPTIMISED_PAGE).read_text()
    assert page.count("candidate ") >= len(outcome.curve)
    assert "<svg" in page
    assert BEST in page
    assert "<script" not in page
    read = read_optimised(written.folder.name, here / "results")
    assert read == outcome
    frame = curve_plot(read).frame
    assert list(frame["validation_score"]) == [point.score for point in outcome.curve]
    assert list(frame["chosen"]).index(True) == outcome.chosen
    with pytest.raises(ConfigError, match=r"trip-singel: no result .*there are trip-single_gepa"):
        read_optimised("trip-singel", here / "results")


def test_no_better_prompt_is_said_and_needs_no_test(here: Path) -> None:
    study(here, gain=0.0)
    outcome = run("gepa", evaluations=60)
    if outcome.chosen == 0:
        assert outcome.tested is None
        assert "No better prompt was found" in as_text(outcome)
    else:  # by luck on the validation items; the test shows it
        assert outcome.tested is not None
        assert outcome.tested.difference.interval is not None
        assert outcome.tested.difference.interval[0] <= 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options("gepo"), "--with gepo: expected gepa, bootstrap_few_shot, mipro; did you mean"),
        (Options("gepa", cell="double"), "--cell 'double': trip has no such system"),
        (Options("gepa", train=200), "needs 5"),
        (Options("gepa", reflect="nobody:x"), "unknown model 'nobody:x'"),
        (Options("gepa", name="vote"), "--name vote: there is such an architecture"),
        (Options("gepa", name="a/b"), "--name a/b: "),
        (Options("gepa", mlflow=True, tracking_uri="flow"), "--tracking-uri: 'flow' is not"),
    ],
)
def test_mistakes_are_told_before_anything_is_asked(
    here: Path, options: Options, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        optimise("grid.yaml", options)
    assert not requests()


# Searches, those of them that may cover at the least with a probability of 1 %
# (`scipy.stats.binom.ppf(0.01, runs, 0.95)`), and what each of the words is worth.
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("method", "runs", "least", "gain"),
    [("gepa", 40, 34, 0.0), ("mipro", 12, 9, 0.1), ("bootstrap_few_shot", 20, 16, 0.1)],
)
def test_the_test_estimate_covers_and_the_optimistic_one_is_too_high(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    runs: int,
    least: int,
    gain: float,
) -> None:
    """Many searches, in which the worth of each prompt is known by its words."""
    monkeypatch.chdir(tmp_path)
    covered, optimistic, words = 0, [], ("care", "Answer:")
    study(tmp_path, gain=gain, base=0.5, words=words)
    names = [sums(tmp_path, f"sums_{n}", items=140, first=1_000 * n) for n in range(runs)]
    entry = {"name": "single", "parameters": {"model": "instructed:a"}}
    grid = {"name": "trip", "datasets": names, "architectures": [entry]}
    write(tmp_path / "grid.yaml", grid)
    experiment = open_experiment(tmp_path / "grid.yaml")
    for number, cell in enumerate(experiment.cells):
        options = Options(
            method, cell.name, train=20, validation=30, evaluations=240, demonstrations=1,
            candidates=4, seed=number, name=f"n{number}",
        )  # fmt: skip
        outcome, _ = optimise_experiment(experiment, options)
        truth = gain * sum(word in outcome.prompts["answer"] for word in words)
        optimistic.append(outcome.optimistic - truth)
        if outcome.tested is None:
            covered += 1  # nothing was chosen, and nothing claimed
            continue
        interval = outcome.tested.difference.interval
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert covered >= least
    if method != "bootstrap_few_shot":  # which compares one candidate
        assert sum(optimistic) / runs > 0.03


def test_the_pool_has_what_the_tests_look_for() -> None:
    assert BEST in instructed.POOL
