"""Unit tests in words: a model writes them for a query, and checks responses with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from ember_bench.errors import SignatureError
from ember_bench.operators.asking import ask_requests
from ember_bench.operators.base import Inputs, OperatorKind, operator
from ember_bench.operators.candidates import candidates_of, read_answer
from ember_bench.operators.fan_in import LMFanIn, says_yes
from ember_bench.operators.fields import joined, names
from ember_bench.operators.lm import LMModule
from ember_bench.operators.signature import Signature, required_input

_BULLET: Final = re.compile(r"^[ \t]*(?:[-*\u2022]|\d{1,3}[.)])[ \t]+")


@operator
class UnitTestGenerator(LMFanIn):
    """Has a model write unit tests for the answers to a query, as statements in words.

    Archon's unit test generator (Saad-Falcon et al. 2024). Inputs: `query`, and optionally
    `responses`, which are passed on. Outputs: `unit_tests`, at most `count` texts; and `responses`
    if there are any.

    Args:
        lm_modules: The writer, one LM module.
        count: Maximum number of unit tests.
        signature: Its prompt names `query` and `count`, and requests one test per line.
    """

    kind = OperatorKind.FAN_OUT
    needs = ()
    fills = ("count",)
    gives = ("unit_tests",)
    default_signature = "unit_tests"

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        count: int = 5,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1, found {count}")
        super().__init__(lm_modules=lm_modules, signature=signature)
        self.count = count

    def check_fields(self, given: Inputs) -> Inputs:
        """Check what the model is shown; `responses` are passed on."""
        passed_on = names("responses") if "responses" in given else {}
        return joined(super().check_fields(given), passed_on)

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Call the model."""
        said = self.lms[0](self._prompt({**inputs, "count": self.count}), role=self.role)
        lines = [_BULLET.sub("", line).strip() for line in said.splitlines()]
        tests = list(dict.fromkeys(line for line in lines if line))[: self.count]
        passed_on = {"responses": list(inputs["responses"])} if "responses" in inputs else {}
        return {**passed_on, "unit_tests": tests}


@operator
class UnitTestEvaluator(LMFanIn):
    """Has a model check each response with each unit test; the response that passes most is taken.

    Archon's unit test evaluator (Saad-Falcon et al. 2024), with one call for each response and
    test. Inputs: `query`, `responses`, `unit_tests`. Outputs: `responses`, the best `k`, best
    first, responses that pass equally many in the given order; `passed`, the number of tests that
    each of them passes; and `final_answer`, that of the best.

    Args:
        lm_modules: The model that checks, one LM module.
        k: Number of responses that are kept; by default all.
        answer_format: Format of the final answer; by default the `answer_format` of the inputs.
        signature: Its prompt names `query`, `response` and `unit_test`, and requests a line
            "Verdict: yes" or "Verdict: no".
    """

    role = "verify"
    reads = ("yes_no",)
    needs = ("responses", "unit_tests")
    fills = ("response", "unit_test")
    gives = ("responses", "passed", "final_answer")
    default_signature = "check_unit_test"

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        k: int | None = None,
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        if k is not None and k < 1:
            raise ValueError(f"k must be at least 1, found {k}")
        super().__init__(lm_modules=lm_modules, answer_format=answer_format, signature=signature)
        self.k = k

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Make all checks at the same time."""
        texts = [candidate.text for candidate in candidates_of(inputs, "exact")]
        tests = required_input("unit_tests", inputs)
        if isinstance(tests, str) or not isinstance(tests, Sequence):
            raise SignatureError(f"unit_tests: expected a list, found {type(tests).__name__}")
        lm, requests = self.lms[0], []
        for text in texts:
            about = [read_answer(text, inputs, self.answer_format) or text]
            for test in tests:
                prompt = self._prompt({**inputs, "response": text, "unit_test": test})
                requests.append((lm, lm.request(prompt, role=self.role, about=about)))
        verdicts = iter([says_yes(response.data) for response in ask_requests(requests)])
        passed = [sum(next(verdicts) for _ in tests) for _ in texts]
        order = sorted(range(len(texts)), key=lambda i: -passed[i])[: self.k]
        best = texts[order[0]] if order else None
        return {
            "responses": [texts[i] for i in order],
            "passed": [passed[i] for i in order],
            "final_answer": None if best is None else self._parse(best, inputs),
        }
