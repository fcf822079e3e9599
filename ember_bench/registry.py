"""Cards and code of the registries in force.

A card is a YAML file in `registry/<kind>/`. Registries come in layers, later ones on top: the
built-in one, those of installed packages (entry point group `ember_bench.registry`: a callable
that returns a folder), `registry/` in the working directory, and `registry/` beside a grid file.
A card replaces one of the same name below it only if it says `override: true`. Cards of one name
with equal content are one card. A card that cannot be used is an error where it is needed, and
nowhere else. A `.py` file beside the cards is executed when its registry is read; it registers
code with the decorators that the built-ins use.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, Literal, get_args

from ember_bench import code_identity
from ember_bench.documents import Document, parse_document, read_text
from ember_bench.errors import ConfigError, Location, Problem, UnknownNameError

Kind = Literal["models", "datasets", "suites", "evaluators", "architectures", "signatures"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_SHOWN: Final = 3
_NAME: Final = re.compile(r"""^name:[ \t]*["']?([^\s"'#]+)""", re.MULTILINE)

_YAML: Final = "**/*.y*ml"
_TELLING: Final[Mapping[Kind, Sequence[str]]] = {
    "models": (),
    "datasets": ("source",),
    "suites": ("datasets",),
    "evaluators": ("kind",),
    "architectures": ("graph",),
    "signatures": ("prompt_template",),
}
"""Keys that every card of a kind has."""

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
    packaged = Path(__file__).parent / "_built_in" / "registry"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "registry"


def _package_roots() -> list[Path]:
    return [Path(point.load()()) for point in entry_points(group="ember_bench.registry")]


@dataclass(frozen=True, slots=True)
class BrokenCard:
    """A card that cannot be used.

    Attributes:
        name: As in `Card`; the file's name if the card's own cannot be read.
        problems: The mistakes, with their places.
        below: The registry whose card of the same name it contradicts, if that is the mistake.
    """

    kind: Kind
    name: str
    path: Path
    registry: Path
    problems: tuple[Problem, ...]
    below: Path | None = None


@dataclass
class Cards:
    """The cards of several registries, lowest first.

    Raises:
        ConfigError: on first use, if code beside the cards fails.
    """

    roots: Sequence[Path] = field(default_factory=default_roots)

    def get(self, kind: Kind, name: str, location: Location | None = None) -> Card:
        """Return a card.

        Args:
            kind: The kind of the card.
            name: Its name.
            location: The place that names it, for the error.

        Raises:
            UnknownNameError: if there is none; lists near matches.
            ConfigError: if the card is broken, or may be one of those whose name is unreadable.
        """
        broken = self.broken(kind)
        if name in broken:
            raise ConfigError(*broken[name].problems)
        cards = self.all(kind)
        if name in cards:
            return cards[name]
        hint = misplaced(self.roots, kind, name)
        unknown = UnknownNameError(kind.removesuffix("s"), name, cards, location, hint)
        if broken:
            raise ConfigError(*unknown.problems, *self.problems(kind)[:_SHOWN])
        raise unknown

    def all(self, kind: Kind) -> dict[str, Card]:
        """Return every usable card of `kind` by name, sorted by name."""
        return self._layers.cards[kind]

    def broken(self, kind: Kind) -> dict[str, BrokenCard]:
        """Return every broken card of `kind` by name, sorted by name."""
        return self._layers.broken[kind]

    def problems(self, *kinds: Kind) -> list[Problem]:
        """Return the mistakes in the broken cards of `kinds`, by default of all.

        Cards of one registry that contradict those of another one have one message together.
        """
        found: list[Problem] = []
        twins: dict[tuple[Path, Path], list[BrokenCard]] = {}
        for kind in kinds or KINDS:
            for card in self.broken(kind).values():
                if card.below is None:
                    found += card.problems
                else:
                    twins.setdefault((card.registry, card.below), []).append(card)
        return found + [_contradiction(cards) for cards in twins.values()]

    @cached_property
    def _layers(self) -> _Layers:
        layers = _Layers()
        executed: set[tuple[str, str]] = set()
        for root in _distinct(self.roots):
            for kind in KINDS:
                layers.add(root, kind)
            _import_code(root, executed)
        return layers.sorted()


class _Layers:
    """Cards and broken cards by kind and name, of the registries added so far."""

    def __init__(self) -> None:
        self.cards: dict[Kind, dict[str, Card]] = {kind: {} for kind in KINDS}
        self.broken: dict[Kind, dict[str, BrokenCard]] = {kind: {} for kind in KINDS}

    def add(self, root: Path, kind: Kind) -> None:
        """Put the cards of one kind in a registry on top."""
        here: dict[str, Card] = {}
        for path in sorted((root / kind).glob(_YAML)):
            try:
                card = _read_card(path, kind, root)
            except ConfigError as error:
                name = _name_of(path)
                self.broken[kind][name] = BrokenCard(kind, name, path, root, error.problems)
                continue
            twin = here.setdefault(card.name, card)
            if not _agree(twin, card):
                message = f"{card.name!r} is already defined in {twin.document.path}"
                self._break(card, message, None)
        for card in here.values():
            self._stack(card)

    def _stack(self, card: Card) -> None:
        below = self.cards[card.kind].get(card.name)
        if below is None or card.override:
            self.cards[card.kind][card.name] = card
            if card.override:
                self._mend(card)
        elif not _agree(below, card):
            message = (
                f"{card.name!r} is already defined in {below.document.path}; "
                "rename it, or add `override: true` to replace that one"
            )
            self._break(card, message, below.registry)

    def _mend(self, card: Card) -> None:
        """Forget that a card of a lower registry is broken: this one replaces it."""
        known = self.broken[card.kind].get(card.name)
        if known is not None and known.registry != card.registry:
            del self.broken[card.kind][card.name]

    def _break(self, card: Card, message: str, below: Path | None) -> None:
        problem = card.document.problem(message, "name")
        self.broken[card.kind][card.name] = BrokenCard(
            card.kind, card.name, card.document.path, card.registry, (problem,), below
        )

    def sorted(self) -> _Layers:
        """Return the same, by name."""
        for kind in KINDS:
            broken = self.broken[kind]
            usable = {n: c for n, c in self.cards[kind].items() if n not in broken}
            self.cards[kind] = dict(sorted(usable.items()))
            self.broken[kind] = dict(sorted(broken.items()))
        return self


def misplaced(roots: Sequence[Path], kind: Kind, name: str) -> str:
    """Return a hint at a card of the name in a folder that is not read; "" if there is none.

    Args:
        roots: The registries in force.
        kind: The kind of the card that is missing.
        name: Its name.
    """
    # A folder in the singular, or a card outside any folder or registry, is a common mistake.
    near = ("", kind, kind.removesuffix("s"))
    for root in [root.resolve() for root in reversed(roots)]:
        found = [*root.glob(_YAML), *(p for f in near for p in (root.parent / f).glob("*.y*ml"))]
        for path in sorted(found):
            inside = path.is_relative_to(root / kind)
            if not inside and name in (path.stem, _name_of(path)) and _looks_like(path, kind):
                return f"there is {_shown(path)}, but {kind} are read from {_shown(root / kind)}"
    return ""


def _shown(path: Path) -> str:
    """Return a path, relative to the working directory if it is in it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _looks_like(path: Path, kind: Kind) -> bool:
    """Whether a file has the keys that tell cards of this kind from others."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return all(re.search(rf"^{key}:", text, re.MULTILINE) for key in _TELLING[kind])


def _contradiction(cards: Sequence[BrokenCard]) -> Problem:
    """Return one message for cards of a registry that contradict those of another."""
    first = cards[0]
    if len(cards) == 1:
        return first.problems[0]
    names = ", ".join(card.name for card in cards[:_SHOWN])
    more = ", ..." if len(cards) > _SHOWN else ""
    return Problem(
        f"{len(cards)} cards differ from those of the same names in {first.below} "
        f"({names}{more}); rename them, or add `override: true` to replace those",
        Location(first.registry),
    )


def _agree(one: Card, other: Card) -> bool:
    return one.document.data == other.document.data


def _distinct(roots: Sequence[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for root in roots:
        resolved = root.resolve()
        if resolved not in seen and resolved.is_dir():
            seen.add(resolved)
            yield resolved


def _read_card(path: Path, kind: Kind, root: Path) -> Card:
    return _card_of(read_text(path), path, kind, root)


# A process that opens many studies reads the same hundreds of cards for each.
@lru_cache(maxsize=2048)
def _card_of(text: str, path: Path, kind: Kind, root: Path) -> Card:
    document = parse_document(text, path)
    name, override = document.data.get("name", path.stem), document.data.get("override", False)
    if not isinstance(name, str) or not name:
        raise ConfigError(document.problem("name: expected text", "name"))
    if not isinstance(override, bool):
        raise ConfigError(document.problem("override: expected true or false", "override"))
    data = {k: v for k, v in document.data.items() if k not in ENVELOPE} | {"name": name}
    return Card(kind, name, Document(path, data, document.marks), root, override)


def _name_of(path: Path) -> str:
    """Return the name that a card which cannot be read seems to have."""
    try:
        found = _NAME.search(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        found = None
    return found[1] if found else path.stem


def _import_code(root: Path, executed: set[tuple[str, str]]) -> None:
    """Execute the `.py` files of a registry, once, and again after one of them was edited.

    Args:
        root: The registry.
        executed: Place and digest of the files of lower registries. A copy of one of them is left
            out, as it would register the same names.
    """
    code_identity.forget_edited(root)
    paths = sorted(root.glob("**/*.py"))
    for path in paths:  # before the first is executed, as they may import each other
        _drop_doubtful_bytecode(path)
    for path in paths:
        content = (path.relative_to(root).as_posix(), sha256(path.read_bytes()).hexdigest())
        if content in executed:
            continue
        executed.add(content)
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


def _drop_doubtful_bytecode(path: Path) -> None:
    """Delete the cached bytecode of a file unless it is surely younger than the file.

    Python knows a source by its size and the whole second of its last change, so an edit in the
    second in which it was compiled would run the code from before under the new code's identity.
    """
    cached = Path(importlib.util.cache_from_source(str(path)))
    with suppress(OSError):
        if int(cached.stat().st_mtime) <= int(path.stat().st_mtime):
            cached.unlink()


def _place_in(path: Path, error: Exception) -> Location:
    """Return the line of `path` in which an error was raised, or passed through."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return Location(path, lines[-1] if lines else None)
