"""Recorded models for tests, and how to ask them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ember_bench.documents import parse_document
from ember_bench.models.call import Call, Request
from ember_bench.models.model_registry import models_of_card
from ember_bench.models.providers.recorded import Recorded
from ember_bench.models.strand import Draw, TrialContext
from ember_bench.models.types import Completion, Message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ember_bench.models.info import ModelInfo


@dataclass(frozen=True)
class Subject:
    id: str
    digest: str = ""
    target: str = ""
    answer_format: str = "text"
    choices: Sequence[str] = ()
    difficulty: float | None = None

    def accepts(self, text: str) -> bool:
        return text == self.target


def card(folder: Path, text: str) -> list[ModelInfo]:
    return models_of_card(parse_document(text, folder / "card.yaml"))


def one(folder: Path, records: Any, fields: str = "{item: id, answer: output}") -> ModelInfo:
    """Return a recorded model over a JSON list of records."""
    (folder / "answers.json").write_text(json.dumps(records))
    return card(folder, f"name: recorded:set\nfiles: answers.json\nfields: {fields}\nmodels: [m]")[
        0
    ]


def ask(
    model: ModelInfo,
    item: str | None,
    replica: str = "0",
    draw: Draw = (),
    *,
    epoch: int = 0,
    epochs: int = 1,
    role: str = "generate",
) -> Completion:
    trial = TrialContext(None if item is None else Subject(item), epoch, epochs=epochs)
    request = Request(model, (Message("user", "whatever"),), role=role)
    return asyncio.run(Recorded(model).complete(Call(request, trial, replica, draw, b"")))
