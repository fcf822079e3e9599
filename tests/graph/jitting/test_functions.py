"""Functions, pure and impure, give jitted what they give eagerly, and ask the same."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from ember_bench import jit
from ember_bench.models.call import Call
from ember_bench.operators import LMModule
from tests.graph.jitting import functions
from tests.graph.jitting.functions import FUNCTIONS, World
from tests.graph.programs import Models
from tests.support.models import in_trial, keys, module, scripted, serve

Case = Callable[[World, str], Any]


# What of several calls at once was answered before one failed depends on the time it took, and so
# does which of them failed first.
AT_ONCE = (
    functions.votes_of_operators, functions.graphs, functions.parallel_functions,
    functions.mapped_functions, functions.asked_together,
)  # fmt: skip


def exactly(value: Any) -> Any:
    """Return a value with the types of all its parts, for comparison."""
    kind = type(value)
    if kind in (list, tuple, deque) or isinstance(value, tuple):
        return kind, [exactly(part) for part in value]
    if kind in (dict, defaultdict, Counter):
        return kind, [(exactly(key), exactly(part)) for key, part in value.items()]
    if kind is set:
        return kind, sorted(exactly(part) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return kind, [exactly(getattr(value, field.name)) for field in fields(value)]
    return (kind, repr(value)) if not isinstance(value, LMModule) else kind


def forget() -> None:
    """Undo what functions keep outside their world."""
    functions.LATEST = None
    functions.KEPT.clear()
    World.best = None
    World.shared.clear()
    functions.remembered.cache_clear()
    defaults = functions.collecting.__defaults__
    assert defaults is not None
    defaults[0].clear()
    vars(functions.helper).clear()


def played(
    function: Case, models: Models, folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[list[Any], list[Any], list[list[bytes]]]:
    """Return what a function gives, what it leaves behind, and the keys of its calls."""
    forget()
    folder.mkdir()
    world = World(models.lms, folder / "file.txt")
    results, asked = [], []
    for question in ("a", "b", "a"):
        found, strand = in_trial(lambda q=question: outcome(lambda: function(world, q)))
        results.append(exactly(found))
        asked.append(sorted(keys(strand)))
    left = [
        exactly([getattr(world, f.name) for f in fields(World) if f.name not in ("path", "lms")]),
        exactly([functions.LATEST, functions.KEPT, World.best, World.shared]),
        exactly(functions.collecting.__defaults__),
        exactly(vars(functions.helper)),
        {path.name: path.read_text() for path in folder.iterdir()},
        capsys.readouterr(),
    ]
    return results, left, asked


def outcome(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        return repr(error)


def without_keys(results: list[Any]) -> list[Any]:
    """Return results without the keys of calls in their errors."""
    return [(kind, re.sub("[0-9a-f]{32}", "", str(value))) for kind, value in results]


def test_there_are_enough() -> None:
    assert len(FUNCTIONS) >= 65


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_it_gives_the_same_asks_the_same_and_leaves_the_same(
    function: Case,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = Models([3, 0, 5, 1])
    with caplog.at_level(logging.WARNING, logger="functions"):
        expected = played(function, models, tmp_path / "eager", capsys)
        told = [(r.name, r.getMessage(), r.lineno) for r in caplog.records if r.name == "functions"]
        caplog.clear()
        found = played(jit(function), models, tmp_path / "jitted", capsys)
        again = [
            (r.name, r.getMessage(), r.lineno) for r in caplog.records if r.name == "functions"
        ]
    expected[1][4] = {k: v.replace("eager", "jitted") for k, v in expected[1][4].items()}
    assert found == expected
    assert again == told


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_it_fails_as_it_fails_eagerly(
    function: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = Models([3, 0, 5, 1], failing=True)
    expected, _, eagerly = played(function, models, tmp_path / "eager", capsys)
    found, _, asked = played(jit(function), models, tmp_path / "jitted", capsys)
    if function in AT_ONCE:
        assert without_keys(found) == without_keys(expected)
        return
    assert found == expected
    for one, other in zip(eagerly, asked, strict=True):
        assert set(one) <= set(other)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_its_plan_asks_nothing_and_changes_nothing(
    function: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forget()
    models = Models()
    world = World(models.lms, tmp_path / "file.txt")
    before = exactly(world)
    jitted = jit(function)
    outcome(lambda: jitted.plan(world, "a"))
    assert models.asked == []
    assert exactly(world) == before
    assert exactly([functions.LATEST, functions.KEPT, World.best, World.shared]) == exactly(
        [None, [], None, []]
    )
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


class Echo:
    """A model that answers by the prompt alone, from any thread, and knows who asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        info = scripted(self._answer)
        self.lm = module(serve(info), info)

    async def _answer(self, call: Call) -> str:
        self.asked.append(call.request.messages[-1].content)
        return f"({self.asked[-1]})"


def threads(lm: LMModule, q: str) -> Any:
    first, found = lm(q), []
    thread = threading.Thread(target=lambda: found.append(lm(f"thread {first}")))
    thread.start()
    thread.join()
    return found, lm("after")


def pools(lm: LMModule, q: str) -> Any:
    first = lm(q)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lm, [f"{first} {n}" for n in range(3)]))
        future = pool.submit(lambda: lm(f"{answers[0]}?"))
    return answers, future.result()


def loops(lm: LMModule, q: str) -> Any:
    first = lm(q)

    return asyncio.run(several(lm, first)), lm(f"after {first}")


async def several(lm: LMModule, first: str) -> list[str]:
    return await asyncio.gather(*[lm.acall(f"{first} {n}") for n in range(3)])


def services(lm: LMModule, q: str) -> Any:
    first = lm(q)
    return lm.service(
        lm.model, f"direct {first}"
    ).data, lm.service.usage_service.summary().total.calls


@pytest.mark.parametrize("function", [threads, pools, loops, services])
def test_threads_loops_and_services_are_asked_as_eagerly(function: Any) -> None:
    eager, jitted = Echo(), Echo()
    expected, found = function(eager.lm, "q"), jit(function)(jitted.lm, "q")
    assert found == expected
    assert sorted(jitted.asked) == sorted(eager.asked)


def test_a_plan_of_code_with_threads_asks_nothing() -> None:
    for function in (threads, pools, loops, services):
        echo = Echo()
        assert len(jit(function).plan(echo.lm, "q")) == 1
        assert echo.asked == []


def test_a_plan_ends_whatever_the_code_catches() -> None:
    echo = Echo()

    def asks(q: str) -> Any:
        for _ in range(3):
            try:
                if len(echo.lm(q)) > 3:
                    echo.asked.append("changed")
            except BaseException:
                echo.asked.append("caught")
        return echo.lm("last")

    assert len(jit(asks).plan("q")) == 1
    assert echo.asked == []
