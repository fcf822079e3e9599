"""`ember-bench show`: an experiment's results, or a card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ember_bench.cli._output import columns, put, put_json, put_text

if TYPE_CHECKING:
    from ember_bench.experiment.results.summary import ExperimentSummary
    from ember_bench.registry import Cards

_EXPERIMENT = "experiment"


def show(
    name: Annotated[str, typer.Argument(help="An experiment, or a card's name.")],
    kind: Annotated[
        str | None, typer.Option(help="Which kind, where a name is in several.")
    ] = None,
    results: Annotated[Path, typer.Option(help="The results folder to look in.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    svg: Annotated[
        Path | None, typer.Option(help="Write an architecture's diagram to this file.")
    ] = None,
) -> None:
    """Print an experiment's table again, or what a card says."""
    from ember_bench.registry import Cards

    cards = Cards()
    found = _kind(name, kind or ("architecture" if svg is not None else None), results, cards)
    if svg is not None:
        _write_diagram(found, name, cards, svg)
    if found == _EXPERIMENT:
        _show_experiment(name, results, as_json=as_json)
        return
    from ember_bench.report.cards import card_facts, card_text

    facts = card_facts(found, name, cards)
    if as_json:
        put_json(facts)
    else:
        put(card_text(facts))


def _write_diagram(kind: str, name: str, cards: Cards, path: Path) -> None:
    """Write the picture of an architecture.

    Raises:
        ConfigError: if it is none, cannot be drawn, or the file cannot be written.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.files import write
    from ember_bench.graph.architecture import load_architecture
    from ember_bench.graph.example import svg_of

    if kind != "architectures":
        raise ConfigError(f"--svg draws architectures, and no {kind.removesuffix('s')}")
    try:
        write(path, svg_of(load_architecture(name, cards)).encode())
    except OSError as error:
        raise ConfigError(f"--svg: {path} cannot be written: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{name} cannot be drawn with default parameters: {error}") from None


def _kind(name: str, wanted: str | None, results: Path, cards: Cards) -> str:
    """Return the kind, in the plural for cards, that `name` is of.

    Raises:
        ConfigError: if it is of none, or of several and none is wanted.
    """
    from ember_bench.errors import ConfigError, UnknownNameError
    from ember_bench.registry import KINDS
    from ember_bench.running.find_grids import grids

    known = {_EXPERIMENT: {*grids(), *_results(results)}}
    known |= {kind: _names(kind, cards) for kind in KINDS}
    if wanted is not None:
        plural = {kind.removesuffix("s"): kind for kind in known} | {kind: kind for kind in known}
        if wanted not in plural:
            raise UnknownNameError("kind", wanted, plural)
        known = {plural[wanted]: known[plural[wanted]]}
    kinds = [kind for kind, names in known.items() if name in names]
    if len(kinds) > 1:
        # A prompt is often called as the architecture that it is for.
        kinds = [kind for kind in kinds if kind != "signatures"]
    if len(kinds) > 1:
        choices = " or ".join(f"--kind {kind.removesuffix('s')}" for kind in kinds)
        raise ConfigError(f"{name!r} is the name of several things: give {choices}")
    if kinds:
        return kinds[0]
    if _EXPERIMENT in known and _is_path(name):
        return _EXPERIMENT
    raise UnknownNameError("name", name, set().union(*known.values()))


def _names(kind: Any, cards: Cards) -> set[str]:
    """Return the names that can be shown of a kind of cards."""
    from ember_bench.models.model_registry import ModelRegistry

    names = set(cards.all(kind))
    if kind == "models":
        names |= {model.model_id for model in ModelRegistry.from_cards(cards)}
    return names


def _is_path(name: str) -> bool:
    path = Path(name).expanduser()
    return path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.is_dir()


def _results(results: Path) -> set[str]:
    """Return the names of the experiments that have results."""
    from ember_bench.running.places import SUMMARY

    return {path.parent.name for path in results.glob(f"*/{SUMMARY}")}


def _show_experiment(name: str, results: Path, *, as_json: bool) -> None:
    """Print the summary of an experiment's results or, where there are none, its grid."""
    from ember_bench.experiment.spec import read_spec
    from ember_bench.running.find_grids import find_grid
    from ember_bench.running.places import SUMMARY

    for folder in (results / name, Path(name)):
        if (folder / SUMMARY).is_file():
            _print_summary(_read_summary(folder / SUMMARY), as_json=as_json)
            return
    path = find_grid(name)
    spec, _ = read_spec(path)
    if (results / spec.name / SUMMARY).is_file():
        _print_summary(_read_summary(results / spec.name / SUMMARY), as_json=as_json)
        return
    from ember_bench.report.cards import card_text, grid_facts

    facts = grid_facts(spec, path)
    if as_json:
        put_json(facts)
    else:
        put(card_text(facts) + f"\n\nno results in {results} yet: ember-bench run {name}")


def _print_summary(summary: ExperimentSummary, *, as_json: bool) -> None:
    if as_json:
        put_json(summary)
        return
    from ember_bench.report import table

    put_text(table(summary, columns()))


def _read_summary(path: Path) -> ExperimentSummary:
    import msgspec

    from ember_bench.errors import ConfigError
    from ember_bench.experiment.results.summary import ExperimentSummary

    try:
        return msgspec.json.decode(path.read_bytes(), type=ExperimentSummary)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{path}: not a summary of this version: {error}") from None
