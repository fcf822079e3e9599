"""Studies: experiments written in Python.

    study = Study(name="capitals", datasets=[dataset], architectures={"alone": single("openai:o3")})
    study.run()

A study is run as a grid is: it becomes the same spec, and its objects take the place of cards.
Nothing heavy is imported before a run.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from ember_bench.running.study_spec import RunOptions, StudySpec

if TYPE_CHECKING:
    from ember_bench.experiment.prepare import Experiment
    from ember_bench.running.plans import Plan
    from ember_bench.running.results import Results


class Study(StudySpec):
    """Datasets x architectures x their parameters, as a grid has them.

    Attributes:
        name: Names the results folder and the MLflow experiment.
        datasets: `Dataset` objects, names of cards, or entries of a grid as mappings.
        architectures: By label. The name of a card, a graph or another operator, an LM module,
            compact notation, a function `f(query, **fields)` that returns the answer, a factory of
            one of these, or what `architecture` and `single` return.
        baseline: The label of the cell that the others are compared with; by default the first.
        parameters: Values to sweep, for all architectures that have such a parameter.
        evaluators: By dataset, in place of its own: the name of a card or an evaluator.
        purpose: Its purpose, in words.
        seed: Decides the order of items and everything random in the analysis.
        epochs: Number of times that each item is asked.
        failures: How failed trials are scored: `wrong` or `excluded`.
        level: Confidence level of the intervals.
        correction: How p-values are corrected for the number of comparisons: `maxt`, `holm` or
            `bh`.
        shrinkage: Whether accuracies by category, and by dataset of a suite, are also shown drawn
            towards their mean.
        control: The label of a cell that is asked all items, by whose scores the accuracies of
            cells that were asked a part of them are estimated more exactly.
        in_flight: Number of trials under way at once.
        budget_usd: How much one run may spend, in US dollars; also a mapping as in a grid.
        decide: The choice to make, as a grid has it: `{"want": "most_accurate", "within": 1}`. The
            run stops when it is sure; `results.summary.decisions` has it.
        search: The system to find within a budget, as a grid has it: `{"want": "most_accurate",
            "budget_usd": 5}`.
    """

    def run(self, **options: Unpack[RunOptions]) -> Results:
        """Run what is missing of the study and return its results.

        An interrupt (Ctrl-C, the stop button of a notebook) ends it in order: requests in flight
        are finished and stored, and the same call continues later.

        Raises:
            ConfigError: with every mistake in the study.
            KeyboardInterrupt: if it was interrupted.
        """
        from ember_bench.running.run_here import run_here

        return run_here(self.open, options)

    async def arun(self, **options: Unpack[RunOptions]) -> Results:
        """Do as `run`, while the event loop goes on; cancelling ends the run in order."""
        from ember_bench.running.run_here import arun_here

        return await arun_here(self.open, options)

    def plan(self, results: Path | str = "results") -> Plan:
        """Return the calls and the cost of a run in advance, as `ember-bench plan`; asks no model.

        Args:
            results: The results folder whose stored answers count.

        Raises:
            ConfigError: with every mistake in the study.
        """
        from ember_bench.running.plans import plan_study

        return plan_study(self, Path(results))

    def open(self, options: RunOptions | None = None) -> Experiment:
        """Return the experiment, checked and ready to run.

        Raises:
            ConfigError: with every mistake in the study.
        """
        from ember_bench.running.open_study import open_study

        return open_study(self, options or {})

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self.architectures))
        return f"Study({self.name!r}, {len(self.datasets)} datasets, architectures {names})"


def run(grid: Path | str, **options: Unpack[RunOptions]) -> Results:
    """Run what is missing of a grid, by name or path, and return its results; see `Study.run`."""
    from ember_bench.running.run_here import open_grid, run_here

    return run_here(partial(open_grid, str(grid)), options)


async def arun(grid: Path | str, **options: Unpack[RunOptions]) -> Results:
    """Do as `run`, while the event loop goes on; cancelling ends the run in order."""
    from ember_bench.running.run_here import arun_here, open_grid

    return await arun_here(partial(open_grid, str(grid)), options)


def load_results(path: Path | str) -> Results:
    """Return the results in a folder (`results/capitals`), or of a name in `results`.

    Raises:
        ConfigError: if there are none; lists near matches.
    """
    from ember_bench.running import results

    return results.load_results(path)
