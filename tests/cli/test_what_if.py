"""`ember-bench what-if`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow

MODELS = ("counted:a", "counted:b", "counted:c")


@pytest.fixture
def ran(command: Command, here: Workspace) -> Workspace:
    here.sums(40)
    for name in MODELS:
        here.model(name)
    here.grid(architectures=[single(name, label=name[-1]) for name in MODELS])
    command("run", "grid.yaml", "--no-mlflow", "--quiet")
    return here


def test_usual_combinations_are_shown_without_a_request(command: Command, ran: Workspace) -> None:
    before = counted.requests().total()
    result = command("what-if", "trip")
    assert result.status == 0
    for kind in ("vote: a; b; c", "weighted: a; b; c", "oracle: a; b; c", "cascade: a; b > c"):
        assert f"\n{kind}  " in result.out
    assert "Oracle: looks at the target" in " ".join(result.out.split())
    assert counted.requests().total() == before


def test_a_combination_is_named(command: Command, ran: Workspace) -> None:
    options = ("--try", "cascade: a; b > c", "--agreement", "1")
    shown = command("what-if", "trip", *options, "--json").json
    (row,) = shown["rows"]
    assert (row["items"], row["missing"]["trials"], row["optimistic"]) == (40, 0, None)
    assert row["members"] == [f"sums/single(model={name})" for name in MODELS]


def test_it_fits_80_columns(
    command: Command, ran: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = command("what-if", "trip")
    assert max(map(len, result.out.splitlines())) <= 80


class TestGrids:
    def test_what_is_stored_is_scored_as_a_run_would(
        self, command: Command, here: Workspace
    ) -> None:
        here.sums(30)
        here.model("counted:a")
        here.grid(name="first", architectures=[vote(5)])
        command("run", "grid.yaml", "--no-mlflow", "--quiet")
        here.grid(name="second", architectures=[vote([3, 7], label="vote of {k}")])
        asked = counted.requests().total()
        three, seven = command("what-if", "grid.yaml", "--json").json["cells"]
        assert counted.requests().total() == asked
        assert (three["complete"], three["missing_calls"]) == (30, 0)
        assert (seven["complete"], seven["begun"], seven["missing_calls"]) == (0, 30, 60)
        assert (seven["accuracy"], seven["low"], seven["high"]) == (None, 0.0, 1.0)
        assert seven["missing_usd"] > 0
        summary = command("run", "grid.yaml", "--no-mlflow", "--quiet", "--json").json
        run = {cell["label"]: cell for cell in summary["cells"]}["vote of 3"]
        assert three["accuracy"] == run["accuracy"]
        assert three["cost_per_item"]["value"] == pytest.approx(run["cost_per_item"]["value"])

    def test_where_answers_decide_what_is_complete_there_is_a_range(
        self, command: Command, here: Workspace
    ) -> None:
        here.sums(30)
        for name in MODELS:
            here.model(name)
        cheap = {"models": ["counted:a", "counted:b"], "temperature": 0.7}
        first = {"name": "ensemble_vote", "parameters": cheap}
        stages = {"cheap": cheap["models"], "dear": ["counted:c"], "temperature": 0.7}
        cascade = {"name": "cascade", "label": "cascade", "parameters": stages}
        here.grid(name="first", architectures=[first])
        command("run", "grid.yaml", "--no-mlflow", "--quiet")
        here.grid(name="second", architectures=[cascade])
        (cell,) = command("what-if", "grid.yaml", "--json").json["cells"]
        assert cell["accuracy"] is None
        assert cell["complete"] + cell["begun"] == 30
        assert cell["missing_calls"] == cell["begun"] > 0
        assert cell["high"] - cell["low"] == pytest.approx(cell["begun"] / 30)
        text = command("what-if", "grid.yaml").out
        assert f"{100 * cell['low']:.1f} to {100 * cell['high']:.1f}" in text
        here.grid(name="third", architectures=[cascade])
        run = command("run", "grid.yaml", "--no-mlflow", "--quiet", "--json").json["cells"][0]
        assert cell["low"] <= run["accuracy"]["value"] <= cell["high"]

    def test_without_answers_it_says_so(self, command: Command, sums: Workspace) -> None:
        result = command("what-if", "grid.yaml")
        assert (result.status, "no answers are stored" in result.err) == (2, True)


def test_few_items_leave_out_what_is_tuned_and_say_so(command: Command, here: Workspace) -> None:
    here.sums(8)
    for name in MODELS[:2]:
        here.model(name)
    here.grid(architectures=[single(name, label=name[-1]) for name in MODELS[:2]])
    command("run", "grid.yaml", "--no-mlflow", "--quiet")
    result = command("what-if", "trip")
    assert result.status == 0
    assert "vote: a; b" in result.out
    said = " ".join(result.out.split())
    assert "Left out (weighted, best): sums: tuning takes at least 20 items" in said
    named = command("what-if", "trip", "--try", "best: a; b")
    assert (named.status, "tuning takes at least 20 items" in named.err) == (2, True)


def test_options_for_what_was_run_are_refused_for_a_grid(command: Command, ran: Workspace) -> None:
    result = command("what-if", "grid.yaml", "--agreement", "0.5")
    assert (result.status, "grid.yaml: is a grid" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--try", "vot: a; b"), "did you mean 'vote'"),
        (("--try", "a; b"), "combinations are vote: A; B; C"),
        (("--try", "vote: a; d"), "unknown system 'd'"),
        (("--try", "vote: a"), "at least two systems"),
        (("--try", "vote: a; b; a"), "names 'a' twice"),
        (("--try", "cascade: a; b"), "is not of the form cascade: A > B"),
        (("--try", "router: a; b"), "takes items with categories"),
        (("--agreement", "2"), "--agreement must be over 0"),
        (("--within", "-1"), "--within must be between 0 and 100"),
    ],
)
def test_bad_input_exits_with_2(
    command: Command, ran: Workspace, arguments: tuple[str, ...], said: str
) -> None:
    result = command("what-if", "trip", *arguments)
    assert (result.status, said in result.err) == (2, True), result.err
