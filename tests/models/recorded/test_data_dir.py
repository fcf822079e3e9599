"""The recorded sets that come with cards, against the files themselves."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ember_bench.documents import read_document
from ember_bench.models.call import Call, Request
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers.recorded import Recorded
from ember_bench.models.recorded.finding import tape_of
from ember_bench.models.strand import TrialContext
from tests.models.providers.replay import Subject

if TYPE_CHECKING:
    from ember_bench.models.info import ModelInfo
    from ember_bench.models.types import Completion

PAPERS = Path(__file__).parents[3] / "experiments" / "papers"

pytestmark = pytest.mark.skipif(
    not os.environ.get("EMBER_BENCH_DATA"),
    reason="needs the recorded data: set EMBER_BENCH_DATA to its folder (see docs/models.md)",
)


def models(card: str) -> dict[str, ModelInfo]:
    found = models_of_card(read_document(PAPERS / card))
    return {m.model_id.partition("/")[2]: m for m in found}


def recorded(model: ModelInfo, items: list[str]) -> list[Completion]:
    async def main() -> list[Completion]:
        provider, request = Recorded(model), Request(model, ())
        return [
            await provider.complete(Call(request, TrialContext(Subject(item)), "0", (), b""))
            for item in items
        ]

    return asyncio.run(main())


def test_zeroeval_has_43_models_on_all_questions_and_one_on_681() -> None:
    cards = models("zeroeval_gsm8k/registry/models/zeroeval_gsm8k.yaml")
    assert len(cards) == 44
    Recorded.check(cards.values())
    counts = {name: len(tape_of(m).answers) for name, m in cards.items()}
    assert counts.pop("gemini-1.5-flash-exp-0827") == 681
    assert set(counts.values()) == {1319}
    answer = recorded(cards["gpt-4o-2024-05-13"], ["gsm8k-main-test-#0"])[0]
    assert '"answer": "18"' in answer.text
    assert (answer.cost_usd, answer.latency_seconds) == (None, None)


@pytest.mark.parametrize(
    ("model", "usd", "seconds"),
    # Means over the 1,000 prime questions, computed from the file with the csv module alone.
    [
        ("gpt-4-0314", 0.01383, 8.02),
        ("gpt-4-0613", 0.00107, 3.21),
        ("gpt-3.5-turbo-0301", 0.00052, 6.61),
        ("gpt-3.5-turbo-0613", 0.00066, 16.10),
    ],
)
def test_llmdrift_has_dollars_and_seconds(model: str, usd: float, seconds: float) -> None:
    info = models("chen2023_llmdrift/registry/models/llmdrift.yaml")[model]
    items = [f"prime/{i}" for i in range(500)] + [f"composite/{i}" for i in range(500, 1000)]
    answers = recorded(info, items)
    assert sum(a.cost_usd or 0.0 for a in answers) / 1000 == pytest.approx(usd, abs=5e-6)
    assert sum(a.latency_seconds or 0.0 for a in answers) / 1000 == pytest.approx(seconds, abs=5e-3)
    assert len(recorded(info, [f"counthappynumber/{i}" for i in range(500)])) == 500
