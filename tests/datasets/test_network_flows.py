"""Generated network flows."""

from __future__ import annotations

import pytest

from ember_bench.datasets import Item
from ember_bench.datasets.generated import check_parameters, generate, get_generator
from ember_bench.errors import ConfigError

BENIGN = {"web", "name_lookup", "mail"}
MALICIOUS = {"port_scan", "flood", "password_guessing", "tunnel"}


def items(**parameters: int) -> tuple[Item, ...]:
    source = get_generator("network_flows")
    return tuple(generate(source, check_parameters(source, parameters)))


def test_the_target_has_a_label_for_each_flow_in_order() -> None:
    for item in items(count=50, flows=6):
        labels = ["1" if kind in MALICIOUS else "0" for kind in item.metadata["kinds"]]
        assert item.target == " ".join(labels)
        assert item.question.count(" packets, ") == 6


def test_every_kind_of_flow_occurs() -> None:
    seen = {kind for item in items(count=100) for kind in item.metadata["kinds"]}
    assert seen == BENIGN | MALICIOUS


def test_half_the_flows_are_malicious() -> None:
    labels = "".join(item.target for item in items(count=500, flows=10)).replace(" ", "")
    assert 0.47 < labels.count("1") / 5_000 < 0.53


def test_more_flows_are_harder() -> None:
    (few,), (many,) = items(count=1, flows=1), items(count=1, flows=40)
    assert few.difficulty == pytest.approx(1 / 11, abs=1e-4)
    assert many.difficulty == pytest.approx(0.8)


def test_items_never_change() -> None:
    first = items(count=1, seed=0)[0]
    assert (first.id, first.target) == ("network_flows-0", "0 0 0 1")
    assert first == items(count=20, seed=0)[0]


def test_a_question_has_a_flow() -> None:
    with pytest.raises(ConfigError, match="flows: must be at least 1"):
        items(flows=0)
