"""An installed wheel does in an empty folder what a checkout does."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # Without isolation: hatchling is among the test dependencies, so nothing is downloaded.
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, ROOT], folder)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_the_built_in_registry_and_the_quick_start(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    cards = {
        str(Path("ember_bench/_built_in") / path.relative_to(ROOT))
        for path in (ROOT / "registry").glob("*/*.yaml")
    }
    assert cards
    assert cards <= names
    assert "ember_bench/_built_in/experiments/quickstart.yaml" in names
    assert "ember_bench/_built_in/experiments/papers/zeroeval_gsm8k/published.csv" in names
    assert "ember_bench/py.typed" in names
    assert {f"ember_bench/report/assets/report.{kind}" for kind in ("css", "js")} <= names
    assert not any(name.startswith(("tests/", "registry/", "experiments/")) for name in names)


def test_an_installed_wheel_runs_the_quick_start_from_an_empty_folder(
    wheel: Path, tmp_path: Path
) -> None:
    environment, folder = tmp_path / "venv", tmp_path / "empty"
    folder.mkdir()
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    # This environment's pip, as giving that one its own takes as long as all the rest.
    pip = [sys.executable, "-m", "pip", "--python", python]
    run([*pip, "install", "--quiet", "--no-deps", wheel], folder)
    borrow_dependencies(python)
    done = run([environment / "bin" / "ember-bench", "run", "quickstart"], folder)
    assert "vote" in done.stdout
    assert "simulated" in done.stdout
    assert (folder / "results" / "quickstart" / "summary.json").is_file()
    where = run([python, "-c", "import ember_bench; print(ember_bench.__file__)"], folder).stdout
    assert str(environment) in where


def borrow_dependencies(python: Path) -> None:
    """Let the environment see this one's packages, but for the checkout's own."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    theirs = Path(run([python, "-c", code], python.parent).stdout.strip())
    ours = run([sys.executable, "-c", code], python.parent).stdout.strip()
    # Added by code, not as a path line: `.pth` files over there (the editable install) stay unread.
    (theirs / "borrowed.pth").write_text(f"import sys; sys.path.append({ours!r})\n")


def run(command: list[Path | str], folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done
