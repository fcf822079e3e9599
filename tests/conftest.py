"""What all tests share."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no defect, so no example has a deadline. CI tries the same examples every time:
# a change is judged by what it changed; other runs look for new ones.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
# `--hypothesis-profile=nightly`: 10,000 cases of `tests/fuzz`.
settings.register_profile("nightly", deadline=None, max_examples=2_000)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# In the background (`nohup`, `&`, some runners of CI) SIGINT is ignored, and so it would be in
# every program that tests start and then stop with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What processes of one user share, limits and commands of runs, is not that of the user here.
if "EMBER_BENCH_STATE" not in os.environ:
    os.environ["EMBER_BENCH_STATE"] = tempfile.mkdtemp(prefix="ember-bench-tests-")
    atexit.register(shutil.rmtree, os.environ["EMBER_BENCH_STATE"], ignore_errors=True)

# xdist gives its processes the width of its terminal, which the command would keep to.
os.environ.pop("COLUMNS", None)

# Tests of programs of other frameworks, which CI has in an environment of their own: these files
# cannot be read without them. A skip would be a failure there.
_NEED = {
    "operators/test_dspy_signatures.py": "dspy",
    "optimising/test_optimise.py": "optuna",
    "programs/test_dspy.py": "dspy",
    "programs/test_langgraph.py": "langgraph",
    "serving/test_dspy_client.py": "dspy",
    "serving/test_ray_serve.py": "ray",
}
collect_ignore = [file for file, package in _NEED.items() if find_spec(package) is None]

BESIDE_THE_CHECKOUT = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The recorded responses of published work; skips where they are not."""
    named = os.environ.get("EMBER_BENCH_DATA")
    folder = Path(named) if named else BESIDE_THE_CHECKOUT
    if not folder.is_dir():
        pytest.skip("needs recorded data (experiments/papers/*/README.md): set EMBER_BENCH_DATA")
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out; in CI everything is installed, and a skipped test stopped testing."""
    if terminalreporter.config.option.markexpr == "not slow":
        said = 'slow tests were left out: pytest -m "slow or not slow" runs them all'
        terminalreporter.write_line(said)
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and os.environ.get("CI"):
        terminalreporter.write_line("skipped tests are failures where CI is set", red=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a CI run that skipped anything."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if skipped and os.environ.get("CI") and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
