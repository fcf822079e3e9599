"""Operators that produce many prompts from one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator
from ember_bench.operators.signature import Signature


@operator
class PromptMixin(Operator):
    """Returns variants of a query: every prefix with every template with every suffix.

    It makes no LM call; `PromptMixin(...) >> Map(operator=...)` runs an operator on each variant.
    Voting over paraphrases is called prompt ensembling (Jiang et al. 2020, "How Can We Know What
    Language Models Know?"; Pitis et al. 2023, "Boosted Prompt Ensembles"). Inputs: `query`, and
    the other names in the templates. Outputs: `queries`.

    Args:
        prefixes: Texts before the query; an empty one adds nothing.
        suffixes: Texts behind the query.
        templates: Paraphrases that name `{query}`; `{{` and `}}` are braces.
    """

    kind = OperatorKind.FAN_OUT
    pure = True
    gives = ("queries",)
    signature = Signature(required_inputs=["query"])

    def __init__(
        self,
        *,
        prefixes: Sequence[str] = ("",),
        suffixes: Sequence[str] = ("",),
        templates: Sequence[str] = ("{query}",),
    ) -> None:
        super().__init__()
        for name, texts in ("prefixes", prefixes), ("suffixes", suffixes), ("templates", templates):
            if isinstance(texts, str) or not texts:
                raise ValueError(f"{name}: expected a list of at least one text, found {texts!r}")
        for template in templates:
            if "query" not in Signature(prompt_template=template).placeholders:
                raise ValueError(f"templates: {template!r} does not name {{query}}")
        self.prefixes = list(prefixes)
        self.suffixes = list(suffixes)
        self.templates = list(templates)

    def check_fields(self, given: Inputs) -> Inputs:
        """Check that there is what the templates name."""
        for template in self.templates:
            Signature(prompt_template=template).check_rendering(given)
        return super().check_fields(given)

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Combine the texts."""
        written = [Signature(prompt_template=text).render(inputs) for text in self.templates]
        return {
            "queries": [
                f"{prefix}{text}{suffix}"
                for text, prefix, suffix in product(written, self.prefixes, self.suffixes)
            ]
        }
