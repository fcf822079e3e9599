"""What importing costs: each in a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from types import ModuleType

import pytest

import ember_bench

HEAVY = {
    "aiohttp", "anthropic", "datasets", "google", "httpx", "httpx2", "litellm", "matplotlib",
    "mlflow", "numpy", "openai", "pandas", "plotly", "pyarrow", "ray", "rich", "scipy", "sklearn",
    "torch", "typer",
}  # fmt: skip


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that are loaded after running `code`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = loaded_by("import ember_bench; ember_bench.__version__; dir(ember_bench)")
    third_party = {"greenlet", "msgspec", "orjson", "pydantic", "yaml"}
    assert not loaded & (HEAVY | third_party)


def test_operators_and_simulated_models_need_no_sdk_and_no_numpy() -> None:
    code = (
        "from ember_bench import *\n"
        "registry = ModelRegistry()\n"
        "registry.register_model(ModelInfo(model_id='simulated:m'))\n"
        "lm = LMModule(LMModuleConfig(model_name='m'), registry)\n"
        "graph = NoNGraphData()\n"
        "graph.add_node(name='e', operator=EnsembleOperator(lm_modules=[lm, lm]))\n"
        "graph.add_node(name='v', operator=MostCommonOperator(), inputs=['e'])\n"
        "assert GraphExecutorService().run(graph_data=graph, input_data={'query': 'q'})['v']\n"
    )
    loaded = loaded_by(code)
    assert "pydantic" in loaded  # the code has run
    assert not loaded & HEAVY


PACKAGES = ["", ".datasets", ".evaluators", ".report", ".stats", ".tracking"]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_face_offers_each_name_that_its_stub_has(package: str) -> None:
    face = import_module(f"ember_bench{package}")
    assert {*dir(face), "__version__"} >= {*face.__all__}  # tab completion shows all of them
    for name in face.__all__:
        assert getattr(face, name) is getattr(import_module(f"ember_bench{package}"), name)


def test_a_public_name_stays_when_a_module_of_its_name_is_imported() -> None:
    module = import_module("ember_bench.report.markdown")
    assert import_module("ember_bench.report").markdown is module.markdown


def test_the_package_and_its_rooms_offer_the_same_things() -> None:
    for room in ("errors", "graph", "models", "operators"):
        home = import_module(f"ember_bench.{room}")
        for name in set(vars(home)) & set(ember_bench.__all__):
            # A module may have the name of something that is offered elsewhere.
            if not isinstance(getattr(home, name), ModuleType):
                assert getattr(ember_bench, name) is getattr(home, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="No ember_bench attribute Opertor"):
        _ = ember_bench.Opertor
    with pytest.raises(ImportError):
        exec("from ember_bench import Opertor")
