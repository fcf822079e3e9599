"""Rules are read as people say them."""

from __future__ import annotations

import pytest

from ember_bench.decisions.rules import EXAMPLES, read_rule
from ember_bench.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "metric", "scale", "limit", "level"),
    [
        ("no worse than 1 point, 95 %", "accuracy", "points", -0.01, 0.95),
        ("accuracy no worse than 2.5 points", "accuracy", "points", -0.025, None),
        ("Accuracy at least 85%, 99%", "accuracy", "percent", 0.85, 0.99),
        ("cost/item at most +5 %", "cost/item", "ratio", 1.05, None),
        ("cost per item at most -20 %, 90 %", "cost/item", "ratio", 0.8, 0.9),
        ("cost at most $0.01", "cost/item", "usd", 0.01, None),
        ("latency at most 10 %", "latency", "ratio", 1.1, None),
        ("latency at most 2 s, 95 %", "latency", "seconds", 2.0, 0.95),
        ("failures at most 1 %", "failures", "percent", 0.01, None),
    ],
)
def test_a_rule_has_a_metric_a_limit_and_a_confidence(
    text: str, metric: str, scale: str, limit: float, level: float | None
) -> None:
    rule = read_rule(text)
    assert (rule.metric, rule.scale, rule.system) == (metric, scale, "*")
    assert rule.limit == pytest.approx(limit)
    assert rule.level == (None if level is None else pytest.approx(level))


def test_a_rule_may_be_for_some_systems() -> None:
    rule = read_rule("vote of *: no worse than 1 point")
    assert rule.concerns("sums/vote(k=3)", "vote of 3")
    assert not rule.concerns("sums/single", "alone")


def test_every_example_is_a_rule() -> None:
    assert len({(rule.metric, rule.scale) for rule in map(read_rule, EXAMPLES)}) == len(EXAMPLES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cost/item at mots +5 %", "did you mean 'cost/item at most +5 %'"),
        ("faster", "rules are `no worse than 1 point, 95 %`"),
        ("no worse than 1 point, 30 %", "between 50 and 100 %"),
        ("accuracy at least 120 %", "120 is not between 0 and 100"),
        ("no worse than -1 points", "-1 is not between 0 and 100"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_would_be_one(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match="rule ") as caught:
        read_rule(text)
    assert said in str(caught.value)
