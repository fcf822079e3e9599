"""Bad input is one clear error at its place, exit status 2, and nothing is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command, program
from tests.support import counted
from tests.support.workspace import Workspace, single

pytestmark = pytest.mark.slow

GRID = """\
name: trip
datasets:
  - name: sums
architectures:
  - name: vote
    parameters:
      model: counted:a
      k: [1, 3]
"""


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("sums", "sumz", "3:5", "unknown dataset 'sumz'; did you mean 'sums'?"),
        ("vote", "vot", "5:5", "unknown architecture 'vot'; did you mean 'vote'"),
        ("counted:a", "counted:b", "7:7", "did you mean 'counted:a'"),
        ("model:", "modle:", "7:7", "did you mean 'model'?"),
        ("[1, 3]", "[1, many]", "8:14", "expected a whole number"),
        ("[1, 3]", "[1, 1]", "5:5", "duplicate cell"),
        ("[1, 3]", "[]", "8:7", "the list is empty"),
        ("  - name: sums\n", "  []\n", "2:1", "at least 1 entry"),
        ("  - name: sums\n", "  - name: sums\n  - name: sums\n", "4:5", "duplicate dataset"),
        ("name: trip\n", "name: trip\nname: tour\n", "2:1", "duplicate key 'name'"),
        ("name: trip\n", "nam: trip\n", "1:1", "did you mean 'name'?"),
        ("[1, 3]", "[1, 3", "9:1", "not valid YAML"),
    ],
)
def test_a_mistake_in_a_grid(
    command: Command, sums: Workspace, old: str, new: str, place: str, said: str
) -> None:
    sums.write("grid.yaml", GRID.replace(old, new, 1))
    result = command("run", "grid.yaml")
    assert result.status == 2
    (line,) = [line for line in result.err.splitlines() if said in line]
    assert line.startswith(f"error: grid.yaml:{place}: ")
    assert not result.out
    assert not (sums.root / "results").exists()
    assert not counted.requests()


def test_a_missing_target_is_placed_in_the_data(command: Command, sums: Workspace) -> None:
    sums.edit("registry/datasets/sums.jsonl", '"answer": "24"', '"answer": ""')
    result = command("run", "grid.yaml")
    assert result.status == 2
    assert "registry/datasets/sums.jsonl:4" in result.err
    assert "target" in result.err


def test_two_cards_of_one_name(command: Command, sums: Workspace) -> None:
    sums.write("registry/models/twin.yaml", {"name": "counted:a"})
    result = command("run", "grid.yaml")
    assert result.status == 2
    assert "registry/models/twin.yaml:1:1: 'counted:a' is already defined in" in result.err


def test_a_card_that_replaces_a_built_in_one_must_say_so(command: Command, sums: Workspace) -> None:
    sums.write("registry/models/mine.yaml", {"name": "simulated:small"})
    assert command("run", "grid.yaml").status == 0  # which does not use the model
    sums.grid(architectures=[single("simulated:small")])
    result = command("run", "grid.yaml")
    assert result.status == 2
    assert "override: true" in result.err


def test_a_grid_that_is_a_folder(command: Command, sums: Workspace) -> None:
    (sums.root / "folder").mkdir()
    result = command("run", "folder")
    assert result.status == 2
    assert "folder: a folder, and there is no grid.yaml in it" in result.err


def test_a_grid_that_is_not_there(command: Command, sums: Workspace) -> None:
    result = command("run", "gird.yaml")
    assert result.status == 2
    assert "gird.yaml: there is no such file; did you mean 'grid.yaml'?" in result.err


def test_an_unknown_grid_lists_near_matches(command: Command, sums: Workspace) -> None:
    result = command("run", "quickstar")
    assert result.status == 2
    assert "unknown grid 'quickstar'; did you mean 'quickstart'?" in result.err


def test_a_grid_that_is_not_text(command: Command, sums: Workspace) -> None:
    (sums.root / "grid.yaml").write_bytes(b"\xff\xfe\x00")
    result = command("run", "grid.yaml")
    assert result.status == 2
    assert "not UTF-8 text" in result.err


def test_a_missing_key_is_said_before_anything_starts(
    command: Command, sums: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    sums.grid(architectures=[{"name": "single", "parameters": {"model": "openai:gpt-4o"}}])
    result = command("run", "grid.yaml")
    assert result.status == 2
    assert "OPENAI_API_KEY" in result.err
    assert not (sums.root / "results").exists()


def test_missing_recordings_name_the_repository_and_commit(
    command: Command, here: Workspace
) -> None:
    result = command("run", Path(__file__).parents[2] / "experiments/papers/zeroeval_gsm8k")
    assert result.status == 2
    assert "github.com/WildEval/ZeroEval at commit " in result.err
    assert "--data-dir" in result.err


def test_a_tracking_uri_that_is_none(command: Command, sums: Workspace) -> None:
    result = command("run", "grid.yaml", "--tracking-uri", "results/mlflow.db")
    assert result.status == 2
    assert "--tracking-uri: 'results/mlflow.db' is not a tracking URI" in result.err
    assert not (sums.root / "results").exists()


def test_a_mistake_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text("name: x\ndatasets: 3\narchitectures: []\n")
    ran = program("run", "grid.yaml", cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert all(line.startswith("error: grid.yaml:") for line in ran.stderr.splitlines())
    assert len(ran.stderr.splitlines()) == 2


def test_a_working_directory_that_is_gone_is_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = command("list", "models")
    assert result.status == 2
    assert result.err.startswith("error: the working directory cannot be used: No such file")
