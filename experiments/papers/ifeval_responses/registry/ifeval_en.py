"""IFEval's instructions under the names that M-IFEval gives them: `en:punctuation:no_comma`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ember_bench.evaluators import evaluator
from ember_bench.evaluators.instructions.following import InstructionFollowing

if TYPE_CHECKING:
    from ember_bench.datasets import Item

_LANGUAGE = "en:"


@evaluator("ifeval_en", version=1)
@dataclass(frozen=True)
class IfevalEnglish(InstructionFollowing):
    """IFEval's instructions, whose ids begin with their language."""

    def _instructions(self, item: Item) -> list[tuple[str, dict[str, Any]]]:
        bare = [name.removeprefix(_LANGUAGE) for name in item.metadata[self.instructions]]
        metadata = {**item.metadata, self.instructions: bare}
        return super()._instructions(replace(item, metadata=metadata))
