from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tracking import summaries

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

if TYPE_CHECKING:
    from ember_bench.tracking.mlflow_store import Store


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of a module that uses made-up summaries with both kinds of them."""
    used = vars(metafunc.module).values()
    if any(getattr(value, "__module__", None) == summaries.__name__ for value in used):
        metafunc.parametrize("made", summaries.KINDS, indirect=True)


@pytest.fixture(autouse=True)
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have summaries of one kind made."""
    monkeypatch.setattr(summaries, "kind", getattr(request, "param", "plain"))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables: making one takes seconds, copying it nothing."""
    from ember_bench.tracking.messages import Open
    from ember_bench.tracking.mlflow_store import open_store

    folder = tmp_path_factory.mktemp("migrated")
    uri = f"sqlite:///{folder}/mlflow.db"
    open_store(Open(uri, "first", str(folder / "mlartifacts"))).close()
    return folder / "mlflow.db"


@pytest.fixture
def results(migrated: Path, tmp_path: Path) -> Path:
    """A folder of results, with its database and a grid."""
    shutil.copy(migrated, tmp_path / "mlflow.db")
    (tmp_path / "demo.yaml").write_text("name: demo\n")
    return tmp_path


@pytest.fixture
def open_experiment(results: Path) -> Callable[..., Store]:
    from ember_bench.tracking.messages import Open
    from ember_bench.tracking.mlflow_store import open_store

    def opened(name: str = "demo") -> Store:
        return open_store(
            Open(f"sqlite:///{results}/mlflow.db", name, str(results / "mlartifacts"))
        )

    return opened
