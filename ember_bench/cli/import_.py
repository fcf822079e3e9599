"""`ember-bench import`: logs and tables of other tools as cards, a recording and a grid."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ember_bench.cli._output import confirmed, put, put_json
from ember_bench.running.messages import say

if TYPE_CHECKING:
    from ember_bench.interop.found import Found

_LOGS: Final = {
    "alpaca-eval": "alpaca_eval",
    "every-eval-ever": "every_eval_ever",
    "inspect": "inspect_logs",
    "lm-eval": "lm_eval_samples",
    "promptfoo": "promptfoo_results",
}
"""Kinds of logs by the module of `interop` that reads them."""
_KINDS: Final = ("archive", "completions", "mlflow", *_LOGS)
_COLUMNS: Final = "Columns of a table"


def _column(help_: str, *names: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        *names, metavar="COLUMN", rich_help_panel=_COLUMNS, help=help_
    )
    return option


def import_(
    what: Annotated[
        str,
        typer.Argument(metavar="|".join(_KINDS), help="The kind of logs."),
    ],
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Files, or folders of logs; of mlflow its runs."),
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of dataset, recording and grid [as the file].")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option(help="The scorer or metric of a log that counts [its first].")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Name of the model, if a table has no column for it.")
    ] = None,
    item: Annotated[str | None, _column("The item's id.", "--item")] = None,
    question: Annotated[str | None, _column("The question.", "--question")] = None,
    answer: Annotated[str | None, _column("The model's answer, or a list.", "--answer")] = None,
    target: Annotated[str | None, _column("The right answer.", "--target")] = None,
    model_column: Annotated[str | None, _column("The model.", "--model-column")] = None,
    score: Annotated[str | None, _column("The score, or true and false.", "--score")] = None,
    results: Annotated[
        Path, typer.Option(help="With archive and mlflow: the folder of results.")
    ] = Path("results"),
    tracking_uri: Annotated[
        str | None, typer.Option(help="With mlflow: its store [mlflow.db in the results].")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: take the guesses, and code.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the files as JSON.")] = False,
) -> None:
    """Take the results of another tool, or of another machine.

    Of another tool, cards, a recording and a grid are written: prompts, answers, scores, tokens,
    seconds and dollars as far as the log has them. The source's scores are the dataset's evaluator;
    `rescore --evaluator` scores by another. Of another machine, `archive` has an experiment whole.
    """
    from ember_bench.errors import UnknownNameError

    if what not in _KINDS:
        raise UnknownNameError("kind of logs", what, _KINDS)
    if what == "mlflow":
        runs = _runs(paths, results, tracking_uri, scorer)
        _write(runs, name, paths[0], ask=False, as_json=as_json)
        return
    _check_paths(paths)
    if what == "archive":
        _unpack(paths, results, yes=yes, as_json=as_json)
        return
    columns = {
        "item": item, "question": question, "answer": answer, "target": target,
        "model": model_column, "score": score,
    }  # fmt: skip
    chosen = {meaning: column for meaning, column in columns.items() if column is not None}
    found = _read(what, paths, chosen, model, scorer)
    _write(found, name, paths[0], ask=what == "completions" and not yes, as_json=as_json)


def _runs(names: list[Path], results: Path, tracking_uri: str | None, scorer: str | None) -> Found:
    from ember_bench.running.logged_evaluations import read
    from ember_bench.tracking.uris import default_uri

    return read([str(name) for name in names], tracking_uri or default_uri(results), scorer)


def _check_paths(paths: list[Path]) -> None:
    from ember_bench.errors import ConfigError

    for path in paths:
        if not path.exists():
            raise ConfigError(f"{path}: there is no such file or folder")


def _write(found: Found, name: str | None, path: Path, *, ask: bool, as_json: bool) -> None:
    from ember_bench.registry import Cards
    from ember_bench.running.imports import import_name, summary, write_import

    for line in summary(found):
        say(line)
    named = name or import_name(path)
    if ask and not confirmed(f"write {named!r}?"):
        raise typer.Exit
    written = write_import(found, named, Cards())
    if as_json:
        put_json([str(file) for file in written])
    else:
        put("\n".join(map(str, written)))
    say(f"next: ember-bench run {named}")


def _unpack(paths: list[Path], results: Path, *, yes: bool, as_json: bool) -> None:
    from ember_bench.drawing.number_format import count
    from ember_bench.running.archives import code_in, unpack

    for path in paths:
        if code := code_in(path):
            say(f"{path} has code, which runs with the next command: {', '.join(code)}")
            if not (yes or confirmed("write it?")):
                raise typer.Exit
        found = unpack(path, results)
        written = [str(file) for file in found.written]
        if as_json:
            put_json({"experiment": found.experiment, "merged": found.merged, "files": written})
        else:
            put("\n".join([*written, str(results / found.experiment)]))
        done = "was here, and is merged" if found.merged else "is here"
        say(f"{found.experiment} {done}, with {count(len(written), 'new file')} of its definition")
        say(f"next: ember-bench show {found.experiment} --kind experiment")


def _read(
    what: str, paths: list[Path], chosen: dict[str, str], model: str | None, scorer: str | None
) -> Found:
    from ember_bench.errors import ConfigError

    if what == "completions":
        from ember_bench.interop import completions

        if len(paths) > 1 or scorer is not None:
            raise ConfigError("completions are read from one file, and --score names the column")
        found, columns = completions.read(paths[0], chosen, model)
        say("\n".join(f"{meaning}: {column}" for meaning, column in columns.given().items()))
        return found
    if chosen or model:
        raise ConfigError(f"columns and --model are for `import completions`, not for {what}")
    read: Callable[..., Found] = import_module(f"ember_bench.interop.{_LOGS[what]}").read
    return read(paths, scorer)
