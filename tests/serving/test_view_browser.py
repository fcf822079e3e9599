"""The live view in a browser beside a real run: buttons are clicked, trials opened meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.serving.test_view import PAYLOAD
from tests.support.chromium import chromium
from tests.support.programs import started
from tests.support.workspace import Workspace, vote

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="sends SIGINT: needs POSIX"),
]


def command(root: Path, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    checkout = str(Path(__file__).parents[2])
    return started(
        [sys.executable, "-m", "ember_bench", *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": checkout, "EMBER_BENCH_STATE": str(root / "state")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


GATED = """
import asyncio
from itertools import count
from pathlib import Path

from ember_bench.models.providers.base import Provider, provider
from ember_bench.models.types import Completion, Usage

numbers = count()


@provider("gated")
class Gated(Provider):
    async def complete(self, call):
        number = next(numbers)
        while number >= int(Path("gate").read_text() or 0):
            await asyncio.sleep(0.02)
        return Completion("Answer: 1", Usage(1, 1))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Votes of three over a model that answers as many calls as the file `gate` says."""
    workspace = Workspace(tmp_path)
    workspace.sums([PAYLOAD] * 6)
    workspace.write("registry/models/gated.py", GATED)
    workspace.write("registry/models/gated.yaml", {"name": "gated:m"})
    workspace.write("gate", "0")
    workspace.grid(architectures=[vote([3], "gated:m", label=PAYLOAD)], in_flight=2)
    return workspace


@pytest.fixture
def page(workspace: Workspace, tmp_path: Path) -> Iterator[Any]:
    """A browser at the view of the results."""
    with command(workspace.root, "view") as served:
        assert served.stderr is not None
        url = served.stderr.readline().split()[1]
        with chromium(tmp_path / "profile") as browser:
            browser.get(url)
            yield browser


def wait(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)
    return found


def shown(page: Any) -> str:
    return str(page.execute_script("return document.querySelector('main').innerText"))


def click(page: Any, text: str) -> None:
    """Click what has a text; what the page replaces in the same moment is looked for again."""
    from selenium.common.exceptions import StaleElementReferenceException

    path = f"//main//*[self::button or self::a or self::summary][contains(., {text!r})]"
    for _ in range(5):
        (element, *_rest) = wait(lambda: page.find_elements("xpath", path))
        try:
            element.click()
        except StaleElementReferenceException:
            continue
        return
    raise AssertionError(f"{text} is replaced again and again")


def test_a_run_is_looked_into_stopped_and_resumed_by_clicks(
    page: Any, workspace: Workspace
) -> None:
    first = page.current_url
    with command(workspace.root, "run", "grid.yaml", "--no-mlflow", "--quiet") as run:
        click(page, "trials under way")
        wait(lambda: "3 x gated:m (sent)" in shown(page))
        click(page, "sums-")
        wait(lambda: "3 waited for" in shown(page))
        click(page, "generate gated:m: sent")
        wait(lambda: "user" in shown(page) and PAYLOAD in shown(page))
        workspace.write("gate", "6")
        wait(lambda: "outcome" in shown(page))
        # The page was replaced meanwhile, and the call is still open.
        assert "Answer: 1" in shown(page)
        page.get(first)
        click(page, "Stop")
        page.switch_to.alert.dismiss()
        click(page, "Stop")  # a run that was told to has no such button
        page.switch_to.alert.accept()
        wait(lambda: "Stopping" in shown(page))
        workspace.write("gate", "12")
        assert run.wait(60) == 3
    wait(lambda: "4 of 6 trials" in shown(page))
    assert "ember-bench run grid.yaml --no-mlflow --quiet" in shown(page)
    click(page, "Resume")
    asked = page.switch_to.alert
    assert "ember-bench run grid.yaml" in asked.text
    asked.accept()
    wait(lambda: "6 of 6 trials" in shown(page) and "finished" in shown(page))
    made = "return document.querySelectorAll('main img, main script').length"
    assert page.execute_script(made) == 0
    assert page.get_log("browser") == []
