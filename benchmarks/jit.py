"""What `@jit` makes of a plain loop: `python -m benchmarks.jit`.

Sixteen independent calls, written as a `for` loop, to a model that takes 100 ms; then the same
loop on a model that answers at once, to see what jit itself costs. Read the least of the repeats
on a machine that does other things too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from ember_bench import LMModule, LMModuleConfig, ModelInfo, ModelRegistry, jit
from ember_bench.operators.asking import ask_all

CALLS = 16


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jit", description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    slow, instant = models()
    slow("warm"), instant("warm")  # starts the background loop, imports the provider

    print(f"Python {sys.version.split()[0]}, {CALLS} calls written as a plain loop")
    loop = jit(loop_over(slow))
    print(f"100 ms each, eager:        {milliseconds(loop.function, 1)}")
    print(f"100 ms each, first call:   {milliseconds(loop, 1)}")
    print(f"100 ms each, later calls:  {milliseconds(loop, repeats)}")

    jitted = jit(loop_over(instant))
    planning = [clock(lambda _: jit(jitted.function).plan("x")) for _ in range(repeats)]
    print(f"planning:                  {show(planning)}")
    jitted("x")
    jit_time, together = [], []
    for _ in range(repeats * 10):  # side by side, as the machine's speed changes
        jit_time.append(clock(jitted))
        together.append(clock(lambda q: ask_all([(instant, f"{q} {n}") for n in range(CALLS)])))
    print(f"0 ms each, later calls:    {show(jit_time)}")
    print(f"0 ms each, `ask_all`:      {show(together)}")
    print(f"overhead of a later call:  {(min(jit_time) - min(together)) * 1000:.2f} ms")


def models() -> tuple[LMModule, LMModule]:
    registry = ModelRegistry()
    slow = {"sleep": True, "latency_seconds": 0.1, "spread": 0}
    registry.register_model(ModelInfo(model_id="simulated:slow", options=slow))
    registry.register_model(ModelInfo(model_id="simulated:instant"))
    first, second = (LMModule(LMModuleConfig(model_name=n), registry) for n in ("slow", "instant"))
    return first, second


def loop_over(lm: LMModule) -> Callable[[str], list[str]]:
    def ask(question: str) -> list[str]:
        answers = []
        for number in range(CALLS):
            answers.append(lm(f"{question} {number}"))  # noqa: PERF401 - a plain loop
        return answers

    return ask


def clock(function: Callable[[str], Any]) -> float:
    started = time.perf_counter()
    function("question")
    return time.perf_counter() - started


def milliseconds(function: Callable[[str], Any], repeats: int) -> str:
    return show([clock(function) for _ in range(repeats)])


def show(seconds: list[float]) -> str:
    least, most = min(seconds) * 1000, max(seconds) * 1000
    return f"{least:.2f} ms" + (f" (to {most:.2f})" if len(seconds) > 1 else "")


if __name__ == "__main__":
    main()
