"""The confidence that a text states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.answers.confidence import stated_confidence

STATED = {
    "Answer: 18\nConfidence: 85%": 0.85,
    "Confidence: 0.85": 0.85,
    "**Confidence:** 85": 0.85,
    "**Confidence**: 8/10": 0.8,
    "Confidence level: 70 / 100": 0.7,
    '{"answer": "B", "confidence": 0.4}': 0.4,
    "<confidence>.25</confidence>": 0.25,
    "I am 90% confident that it is Paris.": 0.9,
    "I'm 60 percent sure.": 0.6,
    "The probability that this is right is 0.3.": 0.3,
    "Confidence: 100%": 1.0,
    "Confidence: 0": 0.0,
    # Models correct themselves: the last one counts.
    "Confidence: 90%. On reflection, confidence: 40%": 0.4,
    "<think>Confidence: 10%</think>Confidence: 20%": 0.2,
}


@pytest.mark.parametrize(("text", "confidence"), STATED.items())
def test_a_stated_confidence_is_read(text: str, confidence: float) -> None:
    assert stated_confidence(text) == pytest.approx(confidence)


@pytest.mark.parametrize(
    "text", ["", "Answer: 18", "Confidence: high", "Confidence: 250%", "18% of all eggs"]
)
def test_what_states_none_has_none(text: str) -> None:
    assert stated_confidence(text) is None


@given(st.integers(0, 100))
def test_every_percentage_is_read(percent: int) -> None:
    assert stated_confidence(f"Confidence: {percent}%") == percent / 100
