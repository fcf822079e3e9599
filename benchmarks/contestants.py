"""Who is measured over HTTP, and on how many items of each job.

Sizes differ as speeds do: each job takes some seconds of whoever does it. What a harness does once
a run, whatever its size, weighs the less the more calls there are; inspect-ai, the slowest, has
the fewest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CALLS: Final = "calls"
EFFICIENCY: Final = "efficiency"
LONG: Final = "efficiency_1s"
VOTE: Final = "vote"
LONG_VOTE: Final = "vote_5s"
WARM_UP: Final = "warm-up"
WARM_UP_ITEMS: Final = 20


@dataclass(frozen=True)
class Kind:
    """A job that several contestants do.

    Attributes:
        concurrency: Calls that may be in flight; of votes it is items.
    """

    latency_ms: int
    concurrency: int
    draws: int = 1


KINDS: Final[Mapping[str, Kind]] = {
    WARM_UP: Kind(0, 20),
    CALLS: Kind(0, 100),
    EFFICIENCY: Kind(200, 100),
    LONG: Kind(1000, 1000),
    VOTE: Kind(50, 500, draws=5),
    LONG_VOTE: Kind(5000, 500, draws=5),
}


@dataclass(frozen=True)
class Contestant:
    """A program that is measured.

    Attributes:
        name: How tables call it.
        module: What is run with `python -m`.
        environment: In `environments.toml`; None for the one that this runs in.
        what: How it is used.
        items: Of each job that it does, by name of the job.
        card: Of ours, the fields that choose the transport.
    """

    name: str
    module: str
    environment: str | None
    what: str
    items: Mapping[str, int]
    arguments: tuple[str, ...] = ()
    card: Mapping[str, str] | None = None

    def command(self, environments: Path, work: Path) -> list[str]:
        """Return how it is run; ours keep their results in `work`."""
        python = sys.executable
        if self.environment is not None:
            python = str(environments / self.environment / "bin" / "python")
        more = list(self.arguments)
        if self.card is not None:
            more += ["--work", str(work), "--card", json.dumps(dict(self.card))]
        return [python, "-m", self.module, *more]


DIRECT: Final = "ember-bench, direct"
SDK: Final = "ember-bench, SDK"
BARE: Final = "openai SDK"
BARE_AIOHTTP: Final = "openai SDK on aiohttp"
INSPECT: Final = "inspect-ai"

CONTESTANTS: Final = (
    Contestant(
        DIRECT,
        "benchmarks.ours",
        None,
        "a grid, `transport: direct`",
        {CALLS: 10_000, EFFICIENCY: 5_000, LONG: 20_000, VOTE: 2_000, LONG_VOTE: 1_000},
        card={"transport": "direct"},
    ),
    Contestant(
        SDK,
        "benchmarks.ours",
        None,
        "a grid, `transport: sdk`",
        {CALLS: 1_500, EFFICIENCY: 1_500, VOTE: 300},
        card={"transport": "sdk"},
    ),
    Contestant(
        BARE,
        "benchmarks.peers.openai_sdk",
        "openai",
        "`AsyncOpenAI` in asyncio workers, default transport",
        {CALLS: 1_500, EFFICIENCY: 1_000},
    ),
    Contestant(
        BARE_AIOHTTP,
        "benchmarks.peers.openai_sdk",
        "openai",
        "the same with `DefaultAioHttpClient`",
        {CALLS: 2_000, EFFICIENCY: 1_000},
        arguments=("--aiohttp",),
    ),
    Contestant(
        INSPECT,
        "benchmarks.peers.inspect_eval",
        "inspect-ai",
        "`eval`: generate, match; `Epochs(5, 'mode')` for the vote",
        {CALLS: 150, EFFICIENCY: 100, VOTE: 40},
    ),
    Contestant(
        "dspy",
        "benchmarks.peers.dspy_evaluate",
        "dspy",
        "`Evaluate` of a `Predict`, 100 threads, `cache=False`",
        {CALLS: 800, EFFICIENCY: 500},
    ),
    Contestant(
        "langgraph",
        "benchmarks.peers.langgraph_batch",
        "langgraph",
        "a one-node graph on `ChatOpenAI`, `abatch` with `max_concurrency`",
        {CALLS: 500, EFFICIENCY: 400},
    ),
    Contestant(
        "litellm",
        "benchmarks.peers.litellm_acompletion",
        "litellm",
        "`acompletion` in asyncio workers",
        {CALLS: 500, EFFICIENCY: 400},
    ),
    Contestant(
        "lm-eval",
        "benchmarks.peers.lm_eval_local",
        "lm-eval",
        "`simple_evaluate` of `local-chat-completions`, `num_concurrent`",
        {CALLS: 1_500, EFFICIENCY: 1_000},
    ),
)
