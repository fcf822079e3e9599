"""A group of commands that are imported when they are run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

LOOK: Final[Mapping[str, Any]] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    # Without rich, whose import costs more than all the rest of `--help`.
    "rich_markup_mode": None,
}
"""The common options of all commands."""

_COMPLETION: Final = ("install_completion", "show_completion")


@dataclass(frozen=True, slots=True)
class Later:
    """A command that is not imported yet.

    Attributes:
        home: `module:name` of a function or a `typer.Typer` in this package.
        summary: Its line in the group's help: what its own help begins with.
        section: The heading above that line.
        examples: Command lines, which end its own help.
        alone: Options whose number may be left out, and the number that they stand for then.
    """

    home: str
    summary: str
    section: str = "Commands"
    examples: tuple[str, ...] = ()
    alone: Mapping[str, int] = field(default_factory=dict)

    def load(self, name: str) -> Any:
        """Import it, and return it as typer runs it."""
        module, _, attribute = self.home.partition(":")
        found = getattr(import_module(f"ember_bench.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            command = get_command(found)
        else:
            alone = typer.Typer(**LOOK)
            alone.command(name, cls=Command)(found)
            command = get_command(alone)
        if self.examples:
            command.epilog = examples(*self.examples)
        return command

    def completed(self, arguments: Sequence[str]) -> list[str]:
        """Return the arguments with the numbers that were left out."""
        completed: list[str] = []
        for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
            completed.append(argument)
            if argument in self.alone and not following.isdecimal():
                completed.append(str(self.alone[argument]))
        return completed


def examples(*lines: str) -> str:
    """Return command lines as the end of a command's help."""
    # Without the mark, the lines would be made one paragraph.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


class Command(TyperCommand):
    """A command whose help shows options below the headings that they name as help panels."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options under their headings, in the order of the command."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            title = getattr(parameter, "rich_help_panel", None) or usual
            if (record := parameter.get_help_record(ctx)) is not None:
                sections.setdefault(title, []).append(record)
        # `--help` comes last.
        plain = sections.pop("Options", [])
        for title, records in {**sections, "Options": plain}.items():
            with formatter.section(title):
                formatter.write_dl(records)


class Group(TyperGroup):
    """A group of commands, whose help is quick."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with its whole summary, under the heading of its section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                summary = (command.help or "").partition("\n\n")[0]
                sections.setdefault(self.section_of(name), []).append((name, summary))
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def section_of(self, name: str) -> str:
        """Return the heading of a command in the help."""
        del name
        return "Commands"

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

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; those of completion have a value, as `--help` has."""
        found = super().get_params(ctx)
        for parameter in found:
            if parameter.name in _COMPLETION:
                parameter.default = False
        return found

    def section_of(self, name: str) -> str:
        """Return the heading of a command in the help."""
        return self.commands_by_name[name].section

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
