"""`ember-bench plan`: exact where it can be, honest where it cannot, and it touches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

RUN = ("run", "grid.yaml", "--no-mlflow", "--json")
PLAN = ("plan", "grid.yaml", "--json")


def files(root: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in root.glob("results/**/*") if p.is_file()}


def exactly(number: int) -> dict[str, float]:
    return {"low": number, "high": number}


def test_a_plan_asks_nobody_and_writes_nothing(command: Command, sums: Workspace) -> None:
    result = command("plan", "grid.yaml")
    assert result.status == 0
    assert "\nsingle " in result.out
    assert "10 calls before sharing, 10 after it, 0 of them stored; 10 new calls" in result.out
    assert not (sums.root / "results").exists()
    assert not counted.requests()


def test_the_plan_is_what_the_run_then_does(command: Command, sums: Workspace) -> None:
    sums.model("simulated:a")
    architectures = [
        single(["counted:a", "simulated:a"]),
        vote([1, 3, 5]),
        {
            "name": "verifier_judge",
            "parameters": {"model": "simulated:a", "verifier": "simulated:small", "k": [1, 3]},
        },
    ]
    sums.grid(architectures=architectures, epochs=2)
    plan = command(*PLAN).json
    ran = command(*RUN).json
    assert plan["trials"] == sum(cell["scheduled"] for cell in ran["cells"])
    assert plan["calls"] == exactly(sum(cell["calls"] for cell in ran["cells"]))
    assert plan["made"] == exactly(ran["run"]["calls_made"])
    assert [cell["made"] for cell in plan["cells"]] == [
        exactly(cell["calls_made"]) for cell in ran["cells"]
    ]


def test_stored_answers_are_deducted_and_the_store_left_alone(
    command: Command, sums: Workspace
) -> None:
    command(*RUN)
    before = files(sums.root)
    sums.grid(architectures=[vote([1, 3])])
    plan = command(*PLAN).json
    assert files(sums.root) == before
    assert plan["calls"] == exactly(40)
    assert plan["stored"] == exactly(10)
    assert plan["made"] == exactly(20)


def test_a_cascade_is_a_range(command: Command, sums: Workspace) -> None:
    sums.model("counted:b")
    cascade = {"cheap": ["counted:a", "counted:a"], "dear": ["counted:b"]}
    sums.grid(architectures=[{"name": "cascade", "parameters": cascade}])
    plan = command(*PLAN).json
    assert plan["calls"] == {"low": 20, "high": 30}
    assert "20 to 30 calls" in command("plan", "grid.yaml").out


def test_costs_follow_from_tokens_and_prices(command: Command, sums: Workspace) -> None:
    sums.model("counted:a", price=1000.0)  # a dollar for a token
    sums.write(
        "registry/architectures/short.yaml",
        {
            "name": "short",
            "purpose": "One short answer.",
            "parameters": {"model": {"type": "model"}},
            "graph": {
                "answer": {
                    "operator": "EnsembleOperator",
                    "lm_modules": [{"model": "$model", "max_tokens": 50}],
                }
            },
        },
    )
    sums.sums(["a"])
    sums.grid(architectures=[{"name": "short", "parameters": {"model": "counted:a"}}])
    question = "a 0 + 0 = ?"
    plan = command(*PLAN).json
    assert plan["expected_usd"] == exactly(1 + len(question) // 4 + 50)
    assert plan["worst_usd"] == len(question) + 16 + 50


@pytest.mark.parametrize(
    ("price", "expected", "said"),
    [
        (None, None, "Unknown price: counted:a."),
        (1.0, pytest.approx(10 * 0.304, rel=0.02), "Worst case unknown: neither max_tokens nor"),
    ],
)
def test_what_is_unknown_is_said(
    command: Command, sums: Workspace, price: float | None, expected: float | None, said: str
) -> None:
    sums.model("counted:a", price=price)
    plan = command(*PLAN).json
    found = plan["expected_usd"]
    assert (found and found["high"]) == expected
    assert plan["worst_usd"] is None
    assert any(line.startswith(said) for line in plan["assumptions"])


def test_a_judge_reads_whole_answers(command: Command, sums: Workspace) -> None:
    sums.model("counted:a", price=1000.0)
    sums.model("counted:judge", price=1000.0)
    parameters = {"models": ["counted:a", "counted:a"], "judge": "counted:judge"}
    sums.grid(architectures=[{"name": "ensemble_judge", "parameters": parameters}])
    plan = command(*PLAN).json
    # Two answers of 300 tokens, sent and received, and the judge's own.
    assert plan["expected_usd"]["low"] > 10 * (5 * 300)


def test_a_plan_needs_no_key(
    command: Command, sums: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    sums.grid(architectures=[single("openai:gpt-4o-mini")])
    plan = command(*PLAN).json
    assert plan["made"] == exactly(10)
    assert 0 < plan["expected_usd"]["high"] < plan["worst_usd"]


def test_a_mistake_is_bad_input(command: Command, sums: Workspace) -> None:
    sums.grid(datasets=["suns"])
    result = command("plan", "grid.yaml")
    assert result.status == 2
    assert "did you mean 'sums'?" in result.err
