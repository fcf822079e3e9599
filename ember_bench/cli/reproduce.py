"""`ember-bench reproduce`: published numbers beside what comes out of a paper's grids."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ember_bench.cli._output import Status, fail, put, put_json
from ember_bench.cli._run_options import DataDir, Quiet, Results
from ember_bench.running.messages import say

if TYPE_CHECKING:
    from ember_bench.errors import DataMissingError
    from ember_bench.running.papers import Paper
    from ember_bench.running.reproduce import Reproduction, Verdict

_ALL = "all"


def reproduce(
    paper: Annotated[
        str,
        typer.Argument(metavar="PAPER|all", help="A paper's name or folder, or all of them."),
    ],
    results: Results = Path("results"),
    data_dir: DataDir = None,
    whole: Annotated[bool, typer.Option("--whole", help="Show also what is equal.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every number and its verdict as JSON.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run a paper's grids, and compare its published numbers with what comes out.

    A number is equal at the printed precision, within the interval of ours, or different. A table
    with all of them is written to RESULTS/reproductions/PAPER.md. Exit status 1 if a difference is
    not explained in the paper's differences.yaml, or the data of one of all papers is not here.
    """
    from ember_bench.errors import DataMissingError
    from ember_bench.running.papers import find_paper, papers
    from ember_bench.running.places import use_data_dir
    from ember_bench.running.session import RunStoppedError

    if data_dir is not None:
        use_data_dir(data_dir)
    chosen = list(papers().values()) if paper == _ALL else [find_paper(paper)]
    found: list[Reproduction] = []
    missing: list[Paper] = []
    for each in chosen:
        try:
            found.append(_one(each, results, whole=whole, as_json=as_json, quiet=quiet))
        except DataMissingError as error:
            if paper != _ALL:
                fail(_with_hint(each, error))
                raise typer.Exit(Status.BAD_INPUT) from None
            say(str(_with_hint(each, error)))
            missing.append(each)
        except (RunStoppedError, KeyboardInterrupt):
            say(f"{each.name}: stopped; the same command goes on")
            raise typer.Exit(Status.STOPPED) from None
    if as_json:
        put_json([_as_json(each) for each in found])
    elif paper == _ALL:
        put(_in_all(found, missing))
    if missing or not all(each.holds for each in found):
        raise typer.Exit(Status.FAILURES)


def _one(paper: Paper, results: Path, *, whole: bool, as_json: bool, quiet: bool) -> Reproduction:
    from ember_bench.files import write
    from ember_bench.running import reproduction_text
    from ember_bench.running.reproduce import reproduce, stale_note

    found = reproduce(paper, results, quiet=quiet)
    path = results / reproduction_text.REPRODUCTIONS / f"{paper.name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, reproduction_text.markdown(found).encode())
    for known in found.stale:
        say(f"warning: {stale_note(paper, known)}")
    if not as_json:
        put(reproduction_text.text(found, whole=whole))
    if not quiet:
        say(f"table: {path}")
    return found


def _in_all(found: list[Reproduction], missing: list[Paper]) -> str:
    from ember_bench.running.reproduce import totals_line

    total: Counter[Verdict] = Counter()
    for each in found:
        total += each.totals
    without = f"; {len(missing):,} papers without their data" if missing else ""
    return f"all: {totals_line(total)}{without}"


def _with_hint(paper: Paper, error: DataMissingError) -> DataMissingError:
    from ember_bench.errors import DataMissingError, Problem

    return DataMissingError(Problem(f"{error}; get it with: {_fetch(paper)}"))


def _fetch(paper: Paper) -> str:
    return f"ember-bench data fetch {paper.name}"


def _as_json(found: Reproduction) -> dict[str, Any]:
    return {
        "paper": found.paper.name,
        "holds": found.holds,
        "totals": {name: found.totals.get(name, 0) for name in ("equal", "within", "different")},
        "numbers": [
            {
                "dataset": each.row.dataset or None,
                "system": each.row.system,
                "category": each.row.category or None,
                "metric": each.row.metric,
                "published": each.row.printed,
                "ours": None if each.ours is None else each.ours.value,
                "low": None if each.ours is None else each.ours.low,
                "high": None if each.ours is None else each.ours.high,
                "verdict": each.verdict,
                "why": each.why,
            }
            for each in found.compared
        ],
    }
