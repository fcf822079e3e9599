from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ember_bench import registry as registry_module
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.models import ModelRegistry
from ember_bench.registry import KINDS, Cards, builtin_root, default_roots


@pytest.fixture
def low(tmp_path: Path) -> Path:
    return tmp_path / "low"


@pytest.fixture
def high(tmp_path: Path) -> Path:
    return tmp_path / "high"


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def refused(*roots: Path) -> str:
    """Return the messages of all broken cards; none of them can be got."""
    cards = Cards(roots)
    for kind in KINDS:
        for name in cards.broken(kind):
            assert name not in cards.all(kind)
            with pytest.raises(ConfigError):
                cards.get(kind, name)
    return "\n".join(map(str, cards.problems()))


class TestCards:
    def test_are_called_by_name_or_else_by_their_files_name(self, low: Path) -> None:
        write(low, "datasets/one.yaml", "name: named\nx: 1")
        write(low, "datasets/deep/er/two.yml", "x: 2")
        cards = Cards([low]).all("datasets")
        assert list(cards) == ["named", "two"]
        assert cards["two"].document.data == {"name": "two", "x": 2}
        assert (cards["two"].kind, cards["two"].registry) == ("datasets", low)

    def test_of_another_kind_may_have_the_same_name(self, low: Path) -> None:
        for kind in KINDS:
            write(low, f"{kind}/same.yaml", "x: 1")
        assert [Cards([low]).get(kind, "same").kind for kind in KINDS] == list(KINDS)

    def test_keep_their_places(self, low: Path) -> None:
        path = write(low, "datasets/one.yaml", "# a comment\nx: 1")
        card = Cards([low]).get("datasets", "one")
        assert str(card.document.at("x")) == f"{path}:2:1"

    def test_that_are_unknown_list_near_matches(self, low: Path) -> None:
        write(low, "datasets/arithmetic.yaml", "x: 1")
        with pytest.raises(UnknownNameError) as caught:
            Cards([low]).get("datasets", "aritmetic")
        assert str(caught.value) == "unknown dataset 'aritmetic'; did you mean 'arithmetic'?"

    def test_two_of_one_name_in_one_registry_are_refused(self, low: Path) -> None:
        first = write(low, "datasets/a.yaml", "name: same")
        second = write(low, "datasets/b.yaml", "x: 1\nname: same\noverride: true")
        assert refused(low) == f"{second}:2:1: 'same' is already defined in {first}"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("x: 1\nname: 7", ":2:1: name: expected text"),
            ("name: ''", ":1:1: name: expected text"),
            ("x: 1\noverride: maybe", ":2:1: override: expected true or false"),
            ("x: [", ":1:5: not valid YAML"),
        ],
    )
    def test_that_cannot_be_read_are_refused_at_their_place(
        self, low: Path, text: str, message: str
    ) -> None:
        path = write(low, "datasets/a.yaml", text)
        assert refused(low).startswith(f"{path}{message}")

    def test_all_that_is_wrong_is_said_at_once(self, low: Path, high: Path) -> None:
        write(low, "datasets/a.yaml", "name: 7")
        write(low, "models/b.yaml", "x: [")
        write(low, "datasets/c.yaml", "x: 1")
        write(high, "datasets/c.yaml", "x: 2")
        assert len(refused(low, high).splitlines()) == 3


class TestBrokenCards:
    @pytest.mark.parametrize("text", ["x: [", "name: bad\nx: [", "name: bad\noverride: maybe"])
    def test_break_only_what_needs_them(self, low: Path, text: str) -> None:
        bad = write(low, "datasets/bad.yaml", text)
        write(low, "datasets/good.yaml", "x: 1")
        cards = Cards([low])
        assert cards.get("datasets", "good").document.data["x"] == 1
        assert list(cards.all("datasets")) == ["good"]
        with pytest.raises(ConfigError) as caught:
            cards.get("datasets", "bad")
        assert str(caught.value).startswith(f"{bad}:")

    def test_are_named_when_a_name_is_not_found_as_they_may_have_it(self, low: Path) -> None:
        bad = write(low, "datasets/a.yaml", "x: [")
        with pytest.raises(ConfigError) as caught:
            Cards([low]).get("datasets", "wanted")
        unknown, broken = caught.value.problems
        assert "unknown dataset 'wanted'" in str(unknown)
        assert str(broken).startswith(f"{bad}:")

    def test_are_replaced_by_a_card_above_that_says_so(self, low: Path, high: Path) -> None:
        write(low, "datasets/same.yaml", "x: [")
        write(high, "datasets/same.yaml", "x: 2\noverride: true")
        assert Cards([low, high]).get("datasets", "same").document.data["x"] == 2


class TestCopies:
    def test_equal_cards_of_two_registries_are_one_card(self, low: Path, high: Path) -> None:
        for root in (low, high):
            write(root, "datasets/same.yaml", f"# a comment in {root.name}\nx: 1")
        cards = Cards([low, high])
        assert cards.get("datasets", "same").registry == low
        assert cards.problems() == []

    def test_cards_that_differ_have_one_message_for_a_registry(self, low: Path, high: Path) -> None:
        for root in (low, high):
            for number in range(90):
                write(root, f"datasets/d{number}.yaml", f"x: {root.name}")
        (message,) = map(str, Cards([low, high]).problems())
        assert message.startswith(f"{high}: 90 cards differ from those of the same names in {low}")

    def test_equal_code_of_two_registries_is_executed_once(self, low: Path, high: Path) -> None:
        code = (
            "from ember_bench.operators import answer_format\n"
            "@answer_format('copied_format')\n"
            "def parse(text, choices):\n    return text\n"
        )
        for root in (low, high):
            write(root, "formats.py", code)
            write(root, "datasets/same.yaml", "x: 1")
        assert Cards([low, high]).get("datasets", "same")


class TestLayers:
    def test_a_card_replaces_one_below_only_if_it_says_so(self, low: Path, high: Path) -> None:
        below = write(low, "datasets/same.yaml", "x: 1")
        above = write(high, "datasets/same.yaml", "x: 2")
        message = refused(low, high)
        assert message.startswith(f"{above}:1:1: 'same' is already defined in {below}")
        assert "`override: true`" in message
        write(high, "datasets/same.yaml", "x: 2\noverride: true")
        card = Cards([low, high]).get("datasets", "same")
        assert card.document.data == {"x": 2, "name": "same"}
        assert card.registry == high

    def test_an_override_of_nothing_is_allowed(self, low: Path) -> None:
        write(low, "datasets/new.yaml", "override: true")
        assert Cards([low]).get("datasets", "new").override

    def test_each_higher_one_must_say_so(self, tmp_path: Path) -> None:
        roots = [tmp_path / name for name in "abc"]
        write(roots[0], "datasets/same.yaml", "x: 1")
        write(roots[1], "datasets/same.yaml", "x: 2\noverride: true")
        write(roots[2], "datasets/same.yaml", "x: 3")
        assert str(roots[1]) in refused(*roots)

    def test_one_registry_named_twice_is_one(self, low: Path) -> None:
        write(low, "datasets/a.yaml", "x: 1")
        assert list(Cards([low, low / ".." / "low"]).all("datasets")) == ["a"]

    def test_a_registry_that_is_not_there_is_empty(self, low: Path) -> None:
        assert Cards([low]).all("models") == {}

    def test_the_built_in_the_working_directorys_and_the_grids_are_in_force(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert default_roots() == [builtin_root(), tmp_path / "registry"]
        grid = tmp_path / "grids" / "grid.yaml"
        assert default_roots(grid)[-1] == tmp_path / "grids" / "registry"

    def test_installed_packages_can_add_theirs(
        self, low: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Point:
            def load(self) -> Any:
                return lambda: str(low)

        def entry_points(*, group: str) -> list[Point]:
            return [Point()] if group == "ember_bench.registry" else []

        monkeypatch.setattr(registry_module, "entry_points", entry_points)
        assert default_roots()[1] == low

    def test_every_built_in_card_can_be_read(self) -> None:
        cards = Cards([builtin_root()])
        assert all(cards.all(kind) for kind in KINDS)


class TestCode:
    def test_beside_cards_may_register_what_they_use(self, low: Path) -> None:
        write(
            low,
            "models/provider.py",
            "from ember_bench.models import Completion, Provider, provider\n"
            "@provider('besidecards')\n"
            "class Mine(Provider):\n"
            "    async def complete(self, call):\n"
            "        return Completion('mine')\n",
        )
        write(low, "models/mine.yaml", "name: besidecards:m")
        registry = ModelRegistry.from_cards(Cards([low]))
        from ember_bench.models import ModelService

        assert ModelService(registry)("besidecards:m", "q").data == "mine"

    def test_of_two_registries_may_have_the_same_name(self, low: Path, high: Path) -> None:
        seen: list[str] = []
        sys.modules["seen_by_registry_code"] = type(sys)("seen_by_registry_code")
        sys.modules["seen_by_registry_code"].seen = seen  # type: ignore[attr-defined]
        for root in (low, high):
            code = f"from seen_by_registry_code import seen\nseen.append({root.name!r})"
            write(root, "code.py", code)
        try:
            Cards([low, high]).all("models")
            assert seen == ["low", "high"]
            Cards([low, high]).all("models")
            assert seen == ["low", "high"]  # once a process
        finally:
            del sys.modules["seen_by_registry_code"]

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("x = 1\ny = 1 / 0\n", ":2: ZeroDivisionError: division by zero"),
            ("x = 1\nx = = 2\n", ":2: SyntaxError: "),
            ("\nimport no_such_module\n", ":2: ModuleNotFoundError: "),
        ],
    )
    def test_that_fails_is_a_mistake_at_its_place(self, low: Path, code: str, message: str) -> None:
        path = write(low, "code.py", code)
        with pytest.raises(ConfigError) as caught:
            Cards([low]).all("models")
        assert str(caught.value).startswith(f"{path}{message}")
        assert caught.value.__cause__ is not None  # with the traceback of the user's code
        assert not [m for m in sys.modules.values() if getattr(m, "__file__", None) == str(path)]
