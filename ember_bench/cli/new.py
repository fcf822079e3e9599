"""`ember-bench new`: a study, a card, or code of one's own, from a small template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ember_bench.cli._group import LOOK, Command, Group, examples
from ember_bench.cli._output import confirmed, put
from ember_bench.running.messages import say

if TYPE_CHECKING:
    from ember_bench.datasets.guess import Chosen, Guess
    from ember_bench.experiment.dataset_check import DatasetCheck
    from ember_bench.registry import Cards

new = typer.Typer(cls=Group, no_args_is_help=True, **LOOK)

_NONE = "-"

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what is guessed.")]


@new.callback()
def _new() -> None:
    """Write a study, a card, or code of your own from a template."""


@new.command(
    "dataset",
    cls=Command,
    epilog=examples(
        "ember-bench new dataset sums.csv", "ember-bench new dataset quiz.jsonl --target gold --yes"
    ),
)
def dataset(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, TSV, JSON, JSONL or Parquet.")],
    name: Annotated[str | None, typer.Option(help="Name of the dataset [as the file].")] = None,
    question: Annotated[str | None, typer.Option(help="Field of the question.")] = None,
    target: Annotated[str | None, typer.Option(help="Field of the right answer.")] = None,
    choices: Annotated[
        list[str] | None, typer.Option(help="Field of the choices; again for one field each.")
    ] = None,
    item_id: Annotated[str | None, typer.Option("--id", help="Field of unique names.")] = None,
    evaluator: Annotated[str | None, typer.Option(help="Evaluator card that scores it.")] = None,
    yes: Yes = False,
) -> None:
    """Write the card of a dataset for a file of items.

    The fields of question, target, choices and id are guessed, and three items are shown as a
    model would see them.
    """
    from ember_bench.datasets.guess import Chosen, guess_card
    from ember_bench.experiment.dataset_check import check_guess
    from ember_bench.registry import Cards
    from ember_bench.running.new_cards import dataset_name, new_dataset

    cards = Cards()
    named = name or dataset_name(file)
    chosen = Chosen(question, target, tuple(choices) if choices else None, item_id, evaluator)
    guess = guess_card(file, chosen)
    if not yes:
        guess = guess_card(file, _asked(guess, chosen))
    _show(guess, check_guess(guess, file, cards, name=named))
    if not (yes or confirmed(f"write the card of {named!r}?")):
        raise typer.Exit
    written = new_dataset(guess, file, named, cards)
    put(str(written))
    say(f"next: ember-bench new study NAME --dataset {named}")


def _asked(guess: Guess, chosen: Chosen) -> Chosen:
    """Return the fields that a person chooses, with the guesses as defaults."""
    from dataclasses import replace

    say(f"fields of the file: {', '.join(guess.columns)}")
    question = _ask("field of the question", str(guess.fields["question"]))
    target = _ask("field of the target, the right answer", str(guess.fields["target"]))
    given = guess.fields.get("choices", _NONE)
    shown = given if isinstance(given, str) else " ".join(given)
    choices = _ask(f"field of the choices, or a field for each ({_NONE} for none)", shown)
    item_id = _ask(f"field of unique names ({_NONE} for none)", guess.fields.get("id", _NONE))
    fields = (choices,) if choices in guess.columns else (*choices.split(),)
    return replace(
        chosen,
        question=question,
        target=target,
        choices=() if choices == _NONE else fields,
        id="" if item_id == _NONE else item_id,
    )


def _show(guess: Guess, check: DatasetCheck) -> None:
    """Print the guess and the first items, or end with what is wrong with the items.

    Raises:
        ConfigError: if the file gives no dataset.
    """
    from ember_bench.errors import ConfigError
    from ember_bench.report.dataset_text import items_text

    if not check.items:
        raise ConfigError(*check.problems)
    shown = {**guess.fields, **{k: v for k, v in guess.rest.items() if k != "prompt"}}
    say("\n".join(f"{key}: {value}" for key, value in shown.items()))
    for item in items_text(check):
        say(f"\n{item}")
    say(f"\n{check.items:,} items")
    for note in check.notes:
        say(f"note: {note}")
    for problem in check.problems:
        say(f"problem: {problem}")


@new.command(
    "study",
    cls=Command,
    epilog=examples("ember-bench new study pilot --dataset sums --model openai:gpt-4o-mini"),
)
def study(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the experiment.")],
    datasets: Annotated[
        list[str] | None,
        typer.Option("--dataset", help="Name of a dataset; again for another [your own ones]."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model that is asked [simulated:small].")
    ] = None,
    architectures: Annotated[
        list[str] | None,
        typer.Option("--architecture", help="Its name; again for another [single, vote]."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Write a grid that compares architectures on datasets."""
    from ember_bench.registry import Cards
    from ember_bench.running.new_cards import DEFAULT_ARCHITECTURES, DEFAULT_MODEL, new_study

    cards = Cards()
    if not datasets:
        own = _own_datasets(cards)
        datasets = own if yes else _ask("datasets", " ".join(own)).split()
    if model is None:
        model = DEFAULT_MODEL if yes else _ask("model", DEFAULT_MODEL)
    written = new_study(name, datasets, model, cards, architectures or DEFAULT_ARCHITECTURES)
    put(str(written))
    say(f"next: ember-bench plan {name}\n      ember-bench run {name}")


def _own_datasets(cards: Cards) -> list[str]:
    """Return the datasets of the working directory's registry; else a generated one."""
    from ember_bench.running.new_cards import DEFAULT_DATASET, REGISTRY

    home = REGISTRY.resolve()
    own = [name for name, card in cards.all("datasets").items() if card.registry == home]
    return own or [DEFAULT_DATASET]


@new.command(
    "model",
    cls=Command,
    epilog=examples("ember-bench new model openai:mine --base-url http://127.0.0.1:8000/v1"),
)
def model(
    model_id: Annotated[str, typer.Argument(metavar="MODEL", help="Its id, `provider:model`.")],
    base_url: Annotated[
        str | None, typer.Option(help="Address of a server of your own, such as http://host/v1.")
    ] = None,
    input_price: Annotated[
        float | None, typer.Option(min=0, help="US dollars per million tokens of input.")
    ] = None,
    output_price: Annotated[
        float | None, typer.Option(min=0, help="US dollars per million tokens of output.")
    ] = None,
) -> None:
    """Write a model's card."""
    from ember_bench.errors import ConfigError
    from ember_bench.registry import Cards
    from ember_bench.running.new_cards import new_model

    if (input_price is None) != (output_price is None):
        raise ConfigError("--input-price and --output-price need each other")
    prices = None
    if input_price is not None and output_price is not None:
        prices = input_price, output_price
    put(str(new_model(model_id, Cards(), base_url=base_url, prices=prices)))
    say(f"next: ember-bench new study NAME --model {model_id}")


@new.command("architecture", cls=Command, epilog=examples("ember-bench new architecture my_vote"))
def architecture(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the architecture.")],
) -> None:
    """Write an architecture's card: a graph of operators, and its parameters."""
    from ember_bench.registry import Cards
    from ember_bench.running.new_cards import new_architecture

    put(str(new_architecture(name, Cards())))
    say(f"next: ember-bench show {name}")


@new.command("evaluator", cls=Command, epilog=examples("ember-bench new evaluator same_words"))
def evaluator(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the evaluator.")],
) -> None:
    """Write an evaluator of your own: its code and its card."""
    from ember_bench.registry import Cards
    from ember_bench.running.new_cards import new_evaluator

    put("\n".join(map(str, new_evaluator(name, Cards()))))
    say(f"next: name it in a dataset's card or a grid: `evaluator: {name}`")


@new.command("operator", cls=Command, epilog=examples("ember-bench new operator longest"))
def operator(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the operator.")],
) -> None:
    """Write an operator of your own, and an architecture that uses it."""
    from ember_bench.registry import Cards
    from ember_bench.running.new_cards import new_operator

    put("\n".join(map(str, new_operator(name, Cards()))))
    say(f"next: ember-bench new study NAME --architecture single --architecture {name}")


def _ask(question: str, default: str) -> str:
    """Return what a person answers.

    Raises:
        ConfigError: if nobody answers.
    """
    from ember_bench.errors import ConfigError

    try:
        return str(typer.prompt(question, default=default, err=True)).strip()
    except typer.Abort:
        raise ConfigError("nothing is written; --yes takes what is guessed") from None
