"""Identity of user code: it changes with every user file that the code depends on, and no other."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ember_bench.code_identity import code_of, forget_edited, note_loaded, qualified_name
from ember_bench.operators import MostCommonOperator

USERS = """\
import users_helper
from users_package.part import LIMIT
PROMPT = "Be brief."
class Base:
    attribute = 1
class Mine(Base):
    def run(self, by=2):
        from users_lazy import late
        return users_helper.tidy(PROMPT) * LIMIT * by
def function():
    return Mine().run()
"""
FILES = {
    "users_main.py": USERS,
    "users_helper.py": "from users_deep import WORD\ndef tidy(text):\n    return text + WORD\n",
    "users_deep.py": "WORD = 'x'\n",
    "users_lazy.py": "late = 1\n",
    "users_package/__init__.py": "",
    "users_package/part.py": "from . import other\nLIMIT = 3\n",
    "users_package/other.py": "OTHER = 1\n",
    "users_unrelated.py": "nothing = 1\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    forget()


def forget() -> None:
    """Do as a new process does."""
    for name in [name for name in sys.modules if name.startswith("users_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def load() -> ModuleType:
    return importlib.import_module("users_main")


def test_names_the_file_and_the_user_files_that_it_imports(folder: Path) -> None:
    assert list(code_of(load().Mine)) == [
        "users_deep.py",
        "users_helper.py",
        "users_lazy.py",
        "users_main.py",
        "users_package/__init__.py",
        "users_package/other.py",
        "users_package/part.py",
    ]


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("thing", ["Mine", "function"])
def test_changes_with_each_of_these_files_and_with_no_other(
    folder: Path, name: str, thing: str
) -> None:
    before = code_of(getattr(load(), thing))
    with (folder / name).open("a") as file:
        file.write("# edited\n")
    forget()
    after = code_of(getattr(load(), thing))
    changed = {label for label in before if before[label] != after[label]}
    assert changed == ({name} if name != "users_unrelated.py" else set())


def test_is_that_of_the_code_that_is_loaded_until_it_is_loaded_anew(folder: Path) -> None:
    users = load()
    before = code_of(users.Mine)
    (folder / "users_helper.py").write_text("def tidy(text):\n    return ''\n")
    assert code_of(users.Mine) == before
    importlib.reload(sys.modules["users_helper"])
    assert code_of(users.Mine) != before


def test_edited_files_of_a_folder_are_imported_anew_together(folder: Path) -> None:
    load()
    note_loaded(folder)
    forget_edited(folder)
    assert "users_main" in sys.modules
    (folder / "users_deep.py").write_text("WORD = 'another'\n")
    forget_edited(folder)
    assert "users_main" not in sys.modules


def test_a_module_that_is_found_by_other_means_counts(folder: Path) -> None:
    (folder / "users_main.py").write_text(
        "import importlib\nhelper = importlib.import_module('users_' + 'deep')\ndef f(): pass\n"
    )
    assert list(code_of(load().f)) == ["users_deep.py", "users_main.py"]


def test_an_installed_distribution_counts_by_its_version(folder: Path) -> None:
    import yaml

    (folder / "users_main.py").write_text("import yaml\nimport json\ndef f(): pass\n")
    code = code_of(load().f)
    assert code["PyYAML"] == yaml.__version__
    assert list(code) == ["PyYAML", "users_main.py"]


@pytest.mark.parametrize("thing", [MostCommonOperator, len, dict, Path, sys, Path.exists])
def test_the_package_and_the_standard_library_have_none(thing: Any) -> None:
    assert code_of(thing) == {}


def test_a_subclass_of_a_built_in_class_depends_on_its_own_file_only(folder: Path) -> None:
    (folder / "users_main.py").write_text(
        "from ember_bench.operators import MostCommonOperator\n"
        "class Mine(MostCommonOperator):\n    pass\n"
    )
    assert list(code_of(load().Mine)) == ["users_main.py"]


class TestCodeWithoutAFile:
    """A notebook's definitions stand in `__main__`, and that has no file."""

    SOURCE = (
        "import re\n"
        "PROMPT = 'a'\n"
        "PATTERN = re.compile('x')\n"
        "def helper(x):\n    return PROMPT + x\n"
        "class Mine:\n"
        "    size = 1\n"
        "    def run(self, by=2):\n        return helper('y') * by if PATTERN else {'a', 'b'}\n"
    )

    def code(self, source: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        module = types.ModuleType("notebook")
        monkeypatch.setitem(sys.modules, "notebook", module)
        exec(compile(source, "<cell>", "exec"), module.__dict__)
        return code_of(module.Mine)

    def test_is_the_same_for_the_same_definitions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = self.code(self.SOURCE, monkeypatch)
        assert list(before) == ["notebook.Mine", "notebook.Mine.run", "notebook.helper"]
        assert before == self.code("\n\n" + self.SOURCE, monkeypatch)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("'a'\n", "'b'\n"),
            ("compile('x')", "compile('z')"),
            ("+ x", "+ x + x"),
            ("size = 1", "size = 2"),
            ("by=2", "by=3"),
            ("{'a', 'b'}", "{'a', 'c'}"),
        ],
    )
    def test_changes_with_all_that_a_definition_names(
        self, old: str, new: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = self.code(self.SOURCE, monkeypatch)
        assert before != self.code(self.SOURCE.replace(old, new), monkeypatch)

    def test_is_unique_where_a_value_cannot_be_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        source = self.SOURCE.replace("PROMPT = 'a'", "PROMPT = object()")
        assert self.code(source, monkeypatch) != self.code(source, monkeypatch)

    def test_an_lm_module_that_it_names_counts_by_model_and_parameters_and_not_by_its_use(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = self.SOURCE.replace(
            "PROMPT = 'a'",
            "from ember_bench import LMModule, LMModuleConfig\n"
            "PROMPT = LMModule(LMModuleConfig(model_name='simulated:small', temperature=0.5))\n"
            "PROMPT('Hello.')",
        )
        assert self.code(source, monkeypatch) == self.code(source, monkeypatch)
        other = source.replace("0.5", "0.6")
        assert self.code(source, monkeypatch) != self.code(other, monkeypatch)


def test_a_registrys_file_is_called_by_its_place_in_the_registry(tmp_path: Path) -> None:
    from ember_bench.operators.base import operator_class
    from ember_bench.registry import Cards

    names = []
    for clone in ("one", "two"):
        registry = tmp_path / clone / "registry"
        registry.mkdir(parents=True)
        (registry / "ops.py").write_text(
            "from ember_bench.operators import Operator, operator\n"
            "@operator\nclass CalledByPlace(Operator):\n    pass\n"
        )
        Cards([registry]).all("models")
        names.append(qualified_name(operator_class("CalledByPlace")))
    assert names == ["registry/ops.py.CalledByPlace"] * 2
