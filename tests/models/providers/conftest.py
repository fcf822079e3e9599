"""What the tests of providers share: the adapters, and the mock of their wire protocols."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from tests.models.providers.wires import Adapter
from tests.models.providers.wires.adapters import ADAPTERS, as_parameters
from tests.support.aimock import INSTALL, AIMock, command


@pytest.fixture(params=as_parameters(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    if importlib.util.find_spec(chosen.package) is None:
        pytest.skip(f"needs the package {chosen.package}")
    return chosen


@pytest.fixture(scope="session")
def aimock_process() -> Iterator[AIMock]:
    """One process for all tests of a worker: it takes half a second to start."""
    start = command()
    if start is None:
        pytest.skip(f"needs aimock: {INSTALL}")
    running = AIMock(start)
    yield running
    running.close()


@pytest.fixture
def aimock(aimock_process: AIMock) -> AIMock:
    """An aimock that knows nothing yet."""
    aimock_process.reset()
    return aimock_process
