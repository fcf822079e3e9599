"""A group of commands that are imported when they are run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

LOOK: Final[Mapping[str, Any]] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    # Without rich, whose import costs more than all the rest of `--help`.
    "rich_markup_mode": None,
}
"""The common options of all commands."""


@dataclass(frozen=True, slots=True)
class Later:
    """A command that is not imported yet.

    Attributes:
        home: `module:name` of a function or a `typer.Typer` in this package.
        summary: Its line in the group's help: what its own help begins with.
        alone: Options whose number may be left out, and the number that they stand for then.
    """

    home: str
    summary: str
    alone: Mapping[str, int] = field(default_factory=dict)

    def load(self, name: str) -> Any:
        """Import it, and return it as typer runs it."""
        module, _, attribute = self.home.partition(":")
        found = getattr(import_module(f"ember_bench.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            return get_command(found)
        alone = typer.Typer(**LOOK)
        alone.command(name)(found)
        return get_command(alone)

    def completed(self, arguments: Sequence[str]) -> list[str]:
        """Return the arguments with the numbers that were left out."""
        completed: list[str] = []
        for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
            completed.append(argument)
            if argument in self.alone and not following.isdecimal():
                completed.append(str(self.alone[argument]))
        return completed


class Group(TyperGroup):
    """A group of commands, whose help is quick."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option `--help`, with a value where it is not given.

        Typer has pydantic, whose import takes as long as all the rest, look at a missing value.
        """
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


class LazyGroup(Group):
    """A group that imports a command only when it is run."""

    commands_by_name: ClassVar[Mapping[str, Later]]

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        """Import the command that is named; for a wrong name, suggest a near one."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            later = self.commands_by_name[name]
            command, rest = later.load(name), later.completed(rest)
        return name, command, rest


def announce(app: typer.Typer, commands: Mapping[str, Later]) -> None:
    """Have the app's help name commands that are not imported."""
    for name, command in commands.items():
        app.command(name, help=command.summary)(_stand_in)


def _stand_in() -> None:
    """Stand for a command in its group's help."""
