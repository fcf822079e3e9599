"""Finds and reads the registry's cards.

A card is a YAML file in `registry/<kind>/`. Registries come in layers, later ones on top: the
built-in one, installed packages' (entry point group `ember_bench.registry`: a callable that
returns a folder), the working directory's `registry/`, and the one beside a grid file. A card
replaces one of the same name below it only if it says `override: true`; two of one name in one
registry are an error. A `.py` file beside the cards is imported when its registry is read, and
may register code with the same decorators that the built-ins use.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, Literal, get_args

from ember_bench import code_identity
from ember_bench.documents import Document, read_document
from ember_bench.errors import ConfigError, Location, Problem, UnknownNameError

Kind = Literal["models", "datasets", "evaluators", "architectures", "signatures"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

# What a card carries for the registry itself, not for its kind.
ENVELOPE: Final = ("override",)


@dataclass(frozen=True, slots=True)
class Card:
    """One card: its kind, its name (from `name:`, else the file's), and its content."""

    kind: Kind
    name: str
    document: Document
    registry: Path
    override: bool = False


def default_roots(grid: Path | None = None) -> list[Path]:
    """Return the registries in force, lowest first; `grid` adds the one beside a grid file."""
    roots = [builtin_root(), *_package_roots(), Path.cwd() / "registry"]
    if grid is not None:
        roots.append(grid.resolve().parent / "registry")
    return roots


def builtin_root() -> Path:
    """Return the registry that came with the package, in a checkout or in a wheel."""
    packaged = Path(__file__).parent / "_registry"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "registry"


def _package_roots() -> list[Path]:
    return [Path(point.load()()) for point in entry_points(group="ember_bench.registry")]


@dataclass
class Cards:
    """The cards of several registries, lowest first.

    Raises:
        ConfigError: on first use, if any card is unreadable, two claim one name, or code beside
            them fails.
    """

    roots: Sequence[Path] = field(default_factory=default_roots)

    def get(self, kind: Kind, name: str) -> Card:
        """Return the card, or raise `UnknownNameError` with near matches."""
        cards = self.all(kind)
        try:
            return cards[name]
        except KeyError:
            raise UnknownNameError(kind.removesuffix("s"), name, cards) from None

    def all(self, kind: Kind) -> dict[str, Card]:
        """Return every card of `kind` by name, sorted by name."""
        return self._by_kind[kind]

    @cached_property
    def _by_kind(self) -> dict[Kind, dict[str, Card]]:
        merged: dict[Kind, dict[str, Card]] = {kind: {} for kind in KINDS}
        problems: list[Problem] = []
        for root in _distinct(self.roots):
            for kind in KINDS:
                layer, found = _read_layer(root, kind)
                problems += found
                problems += _stack(merged[kind], layer)
            _import_code(root)
        if problems:
            raise ConfigError(*problems)
        return {kind: dict(sorted(cards.items())) for kind, cards in merged.items()}


def _distinct(roots: Sequence[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for root in roots:
        resolved = root.resolve()
        if resolved not in seen and resolved.is_dir():
            seen.add(resolved)
            yield resolved


def _read_layer(root: Path, kind: Kind) -> tuple[dict[str, Card], list[Problem]]:
    """Read the cards of one kind in one registry, and what is wrong with them."""
    cards: dict[str, Card] = {}
    problems: list[Problem] = []
    for path in sorted((root / kind).glob("**/*.y*ml")):
        try:
            card = _read_card(path, kind, root)
        except ConfigError as error:
            problems += error.problems
            continue
        if (twin := cards.get(card.name)) is not None:
            message = f"{card.name!r} is already defined in {twin.document.path}"
            problems.append(card.document.problem(message, "name"))
        else:
            cards[card.name] = card
    return cards, problems


def _read_card(path: Path, kind: Kind, root: Path) -> Card:
    document = read_document(path)
    name, override = document.data.get("name", path.stem), document.data.get("override", False)
    if not isinstance(name, str) or not name:
        raise ConfigError(document.problem("name: expected text", "name"))
    if not isinstance(override, bool):
        raise ConfigError(document.problem("override: expected true or false", "override"))
    data = {k: v for k, v in document.data.items() if k not in ENVELOPE} | {"name": name}
    return Card(kind, name, Document(path, data, document.marks), root, override)


def _stack(below: dict[str, Card], layer: dict[str, Card]) -> list[Problem]:
    """Put `layer` on top of `below`; return a problem for each card that may not replace one."""
    problems = []
    for name, card in layer.items():
        if name in below and not card.override:
            message = (
                f"{name!r} is already defined in {below[name].document.path}; "
                "rename it, or add `override: true` to replace that one"
            )
            problems.append(card.document.problem(message, "name"))
        else:
            below[name] = card
    return problems


def _import_code(root: Path) -> None:
    """Execute the `.py` files of a registry, once, and again after one of them was edited."""
    code_identity.forget_edited(root)
    for path in sorted(root.glob("**/*.py")):
        # Named after the whole path, so that two registries may each have a `models.py`.
        digest = sha256(str(path).encode()).hexdigest()[:16]
        name = f"{code_identity.REGISTRY_MODULE}{digest}"
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ConfigError(f"{path}: cannot be imported")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        code_identity.note_import(module, f"{root.name}/{path.relative_to(root).as_posix()}")
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            del sys.modules[name]
            if not isinstance(error, Exception):
                raise
            message = f"{type(error).__name__}: {error}"
            raise ConfigError(Problem(message, _place_in(path, error))) from error
    code_identity.note_loaded(root)


def _place_in(path: Path, error: Exception) -> Location:
    """Return the line of `path` in which an error was raised, or passed through."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return Location(path, lines[-1] if lines else None)
