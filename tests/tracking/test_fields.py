from __future__ import annotations

import re

import pytest

from ember_bench.experiment.results.certificate import Certificate, Measured, Search
from ember_bench.tracking import digest_of, fields
from ember_bench.tracking.contents import cell_digest
from tests.tracking.summaries import cell, estimate, summary

ALLOWED = re.compile(r"^[/\w.\- :]*$")
NASTY = (
    "a/b",
    "a_b",
    "A_b",
    "a b",
    "",
    ".",
    "..",
    "  ",
    "é",
    "中文",
    "x" * 400,
    "<b>",
    "🙂",
    "a\nb",
)


def test_every_value_stands_beside_its_bounds():
    metrics = fields.cell_metrics(cell(1), 0.95)
    assert metrics["accuracy"] == pytest.approx(0.59)
    assert metrics["accuracy/ci95_low"] == pytest.approx(0.56)
    assert metrics["accuracy/ci95_high"] == pytest.approx(0.62)
    assert {
        "cost_usd/per_item", "cost_usd/per_item_ci95_low", "cost_usd/per_item_ci95_high",
        "cost_usd/per_correct", "cost_usd/per_correct_ci95_low", "latency_seconds/mean",
        "latency_seconds/p50", "latency_seconds/p95", "calls/used", "calls/made", "calls/shared",
        "tokens/input", "tokens/output", "spend_usd", "outcomes/correct", "outcomes/error",
        "vs_baseline/difference", "vs_baseline/difference_ci95_low", "vs_baseline/p_adjusted",
    } <= metrics.keys()  # fmt: skip


def test_the_level_is_in_the_name():
    assert "accuracy/ci99.9_low" in fields.cell_metrics(cell(), 0.999)


def test_a_search_has_its_choice_and_both_of_its_estimates():
    chosen, other = cell(0), cell(1)
    measured = Measured(cell=chosen.name, held_out=20, seen=estimate(0.9), unseen=estimate(0.7))
    found = Certificate(
        dataset=chosen.dataset, want="most_accurate", alpha=0.05, claim="items",
        cells=[chosen.name, other.name], items=80, asked={chosen.name: 80, other.name: 10},
        digest="", outcome="spent", trials=110, all_trials=1_000, choice=[chosen.name],
        search=Search(
            space=10, candidates=10, worse=0, held_out=20, measured=[measured], spent_usd=1.5
        ),
    )  # fmt: skip
    searched = summary(chosen, other, decisions=[found])
    metrics = fields.experiment_metrics(searched)
    assert metrics["search/held_out"] == 0.7
    assert metrics["search/chosen_by"] == 0.9
    assert metrics["search/spend_usd"] == 1.5
    assert {"search/held_out_ci95_low", "search/chosen_by_ci95_high"} <= metrics.keys()
    assert fields.experiment_tags(searched, "", None)[fields.CHOICE_TAG] == chosen.label
    assert fields.cell_tags(chosen, searched, None)[fields.CHOICE_TAG] == "true"
    assert fields.CHOICE_TAG not in fields.cell_tags(other, searched, None)
    assert cell_digest(chosen, searched) != cell_digest(chosen, summary(chosen, other))
    assert cell_digest(other, searched) == cell_digest(other, summary(chosen, other))


def test_what_is_undefined_is_not_logged():
    bare = cell(
        accuracy=None, cost_per_item=None, cost_per_correct=None, latency_seconds=None,
        latency_p50=None, latency_p95=None, comparison=None, accuracy_worst=None,
        accuracy_best=None, pass_at_k={}, categories={},
    )  # fmt: skip
    metrics = fields.cell_metrics(bare, 0.95)
    groups = {key.split("/")[0] for key in metrics}
    assert groups == {"calls", "tokens", "spend_usd", "outcomes", "trials", "items"}


def test_pass_at_k_and_quantiles_have_their_bounds():
    metrics = fields.cell_metrics(cell(1, pass_at_k={2: estimate(0.7)}), 0.95)
    assert metrics["pass_at_k/2"] == 0.7
    assert metrics["pass_at_k/2_ci95_low"] == pytest.approx(0.67)
    assert (metrics["latency_seconds/p95"], metrics["latency_seconds/p95_ci95_high"]) == (2.5, 3.2)


def test_pass_at_k_is_part_of_the_digest():
    found = {k: cell(1, pass_at_k={k: estimate(0.7)}) for k in (2, 10)}
    digests = {cell_digest(each, summary(each)) for each in found.values()}
    digests |= {digest_of(summary(each)) for each in found.values()}
    assert len(digests) == 4


def test_a_cell_that_was_not_measured_says_so_first():
    broken = cell(1, measured=False, accuracy=None, comparison=None)
    tags = fields.cell_tags(broken, summary(broken), None)
    assert next(iter(tags.items())) == ("measured", "false")
    assert tags["mlflow.note.content"].startswith("Not measured: all of its trials failed.")
    assert "measured" not in fields.cell_tags(cell(1), summary(), None)


def test_every_metric_is_known_as_ours():
    everything = cell(
        1, categories={"x": estimate(0.5)}, pass_at_k={2: estimate(0.5)}, accuracy_worst=0.1,
        accuracy_best=0.2,
    )  # fmt: skip
    assert all(map(fields.is_ours, fields.cell_metrics(everything, 0.95)))
    assert all(map(fields.is_ours, fields.experiment_metrics(summary())))
    assert not fields.is_ours("reviewed_by_hand")


def test_keys_are_allowed_and_no_two_alike():
    keys = fields.keys(NASTY)
    assert list(keys) == list(NASTY)
    assert len({key.lower() for key in keys.values()}) == len(NASTY)
    for key in keys.values():
        assert ALLOWED.match(key)
        assert key
        assert len(key) < 200
        assert "/" not in key
        assert key.strip(". ")
    assert keys["中文"] == "中文"


def test_parameters_are_flat_and_short():
    params = fields.cell_params(cell(1), summary())
    assert params == {
        "dataset": "primes", "architecture": "vote", "models": "simulated:small", "seed": "7",
        "epochs": str(summary().epochs), "evaluator": "exact", "k": "3", "temperature": "0.7",
    }  # fmt: skip


def test_an_architectures_own_seed_does_not_replace_the_experiments():
    made = cell(1, parameters={"seed": 3, "prompt": "x" * 9_000, "roles": ["a", None]})
    params = fields.cell_params(made, summary(made))
    assert params["seed"] == "7"
    assert params["architecture.seed"] == "3"
    assert len(params["prompt"]) == 6_000
    assert params["roles"] == '["a",null]'


def test_run_names_say_what_it_is():
    partial = summary(status="partial")
    assert fields.experiment_run_name(partial) == "demo 01234567 [simulated] [partial]"
    assert fields.cell_run_name(cell(1), partial) == "vote(k=3) [simulated]"
    assert fields.cell_run_name(cell(1, simulated=False), partial) == "vote(k=3)"
    two = summary(datasets=partial.datasets * 2)
    assert fields.cell_run_name(cell(1), two) == "vote(k=3) · primes [simulated]"
    assert len(fields.cell_run_name(cell(label="x" * 900, dataset="y" * 900), two)) <= 250


def test_a_long_tag_is_cut_and_still_differs():
    one, other = (fields.tag_value("x" * 9_000 + end) for end in "ab")
    assert len(one) <= 8_000
    assert one != other


def test_a_long_note_ends_with_a_whole_line():
    note = fields.note("| a | b |\n" * 2_000)
    assert len(note) <= 8_000
    assert note.endswith("| a | b |\n\n… more of this is in the artifact `summary.md`.\n")


def test_a_note_has_no_title_of_its_own_and_shows_dollars_as_they_are():
    note = fields.note("# demo\n\nspend \\$2.82\n\n## primes\n\n| a |\n| --- |\n| 1 |\n")
    assert note == "spend $2.82\n\n## primes\n\n| a |\n| --- |\n| 1 |\n"


def test_tags_say_what_people_ask_before_what_machines_do():
    half = cell(1, outcomes={"correct": 10, "skipped": 90})
    partial = summary(half, status="partial")
    found = fields.cell_tags(half, partial, "2026-11-01")
    shown = [key for key in found if not key.startswith("mlflow.")]
    assert shown[:4] == ["simulated", "oracle", "partial", "status"]
    assert shown[-1] == fields.EXPERIMENT_TAG
    assert (found["partial"], found["status"]) == ("true", "partial")
    assert found["price_date"] == "2026-11-01"
    parent = fields.experiment_tags(partial, "", None)
    assert (parent["partial"], parent["resumed"], parent["simulated"]) == ("true", "false", "true")
    assert "price_date" not in parent


def test_names_in_a_note_are_escaped():
    tags = fields.cell_tags(cell(label="<img src=x>[a](javascript:b)\n# c"), summary(), None)
    note = tags["mlflow.note.content"]
    assert "<img" not in note.replace("\\<img", "")
    assert "[a]" not in note
    assert "\n#" not in note


def test_the_digest_is_of_what_is_logged():
    first, other = summary(), summary(spend_usd=0.4)
    run = summary().run
    later = summary(run=type(run)("complete", "2027-01-01T00:00:00+00:00", 1, 0, 300, 0, 0, 0, []))
    assert digest_of(first) == digest_of(later)
    assert digest_of(first) != digest_of(other)
    assert digest_of(first) != digest_of(summary(status="partial"))


def test_a_cells_digest_is_not_of_other_cells():
    first, other = summary(cell(0), cell(1)), summary(cell(0), cell(1, items=3))
    assert cell_digest(first.cells[0], first) == cell_digest(other.cells[0], other)
    assert cell_digest(first.cells[1], first) != cell_digest(other.cells[1], other)


def test_a_note_shows_less_than_as_it_is_but_no_tag():
    assert fields.note("Holm p \\< 0.001, \\<0.1, \\<b>") == "Holm p < 0.001, <0.1, \\<b>"


def test_the_name_of_a_model_has_no_sign_that_mlflow_refuses():
    assert fields.model_name("vote(model=a:b/c, p=0.5%)") == "vote(model=a-b-c, p=0·5-)"
    assert len(fields.model_name("x" * 900)) == 250
    assert fields.model_name("") == "-"


def test_long_names_of_items_are_cut_and_still_differ():
    assert fields.item_name("item-1") == "item-1"
    one, other = (fields.item_name("x" * 900 + end) for end in "ab")
    assert len(one) == 200
    assert one != other
