"""The HTML report, without a browser."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sqlite3
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ember_bench.drawing.html import Html, joined, tag, text
from ember_bench.experiment.results import comparison
from ember_bench.experiment.results.rows import StoredTrials
from ember_bench.models.store.stored_answers import StoredAnswers
from ember_bench.report.html_answer import answer, front
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_fronts import front_probabilities
from ember_bench.report.html_report import html_report
from tests.support.workspace import Workspace, single, vote

pytestmark = pytest.mark.slow


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Forty sums; `counted:a` does not know much, `counted:b` knows all, `counted:c` nothing."""
    made = Workspace(tmp_path)
    made.sums(40, category=lambda i: "even" if i % 2 == 0 else "odd")
    made.model("counted:a", right=0.6)
    made.model("counted:b", right=1.0, price=5.0)
    made.model("counted:c", right=0.0)
    made.grid(
        architectures=[
            single(["counted:a", "counted:b", "counted:c"], label="{model}"),
            vote([1, 3, 5], label="vote of {k}"),
        ],
        baseline={"name": "single", "parameters": {"model": "counted:a"}},
    )
    return made


def contents(workspace: Workspace, **more: Any) -> Contents:
    rows = StoredTrials(workspace.root / "results/trip/trials.db")
    cells = {cell.name for cell in rows.description.cells}
    answers = StoredAnswers(workspace.root / "results/responses.db")
    return Contents(rows, cells, answers, **more)


def swept(model: str, number: int) -> dict[str, Any]:
    """Return so many cells of one model, at different temperatures."""
    temperatures = [t / number for t in range(number)]
    return {"name": "single", "parameters": {"model": model, "temperature": temperatures}}


def said(found: Contents) -> list[str]:
    (dataset,) = found.summary.datasets
    return answer(dataset, found.of(dataset), found.compared, found.summary.level)


def embedded(page: str, name: str) -> Any:
    """Return what the page's script reads under an id."""
    match = re.search(rf'<script type="([^"]*)" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert match, f"no element {name}"
    if match[1] == "application/json":
        return json.loads(match[2])
    return json.loads(gzip.decompress(base64.b64decode(match[2])))


class TestTheAnswer:
    def test_opens_with_what_beats_the_baseline_by_how_much_and_for_what(
        self, workspace: Workspace
    ) -> None:
        cells = workspace.run().cells
        found = cells["sums/single(model=counted:b)"].comparison
        assert found is not None
        low, high = found.difference.low, found.difference.high
        assert low is not None
        assert high is not None
        first = said(contents(workspace))[0]
        assert first.startswith(
            f"counted:b beats counted:a by {100 * found.difference.value:.1f} points"
            f" [{100 * low:.1f}, {100 * high:.1f}], adjusted p < 0.001, at 5x the cost"
        )

    def test_of_many_dominated_cells_counts_what_each_dominates(self, workspace: Workspace) -> None:
        workspace.grid(
            architectures=[
                single(["counted:b", "counted:c"], label="{model}"),
                swept("counted:a", 9),
            ],
            baseline={"name": "single", "parameters": {"model": "counted:c"}},
        )
        workspace.run()
        (sentence,) = (s for s in said(contents(workspace)) if s.startswith("Dominated: "))
        numbers = [int(n) for n in re.findall(r"(\d+) systems? by ", sentence)]
        found = contents(workspace)
        assert sum(numbers) == len(front(found.summary.cells, "cost_per_item").by) > 7

    def test_names_what_is_worse_and_what_is_dominated(self, workspace: Workspace) -> None:
        workspace.run()
        sentences = said(contents(workspace))
        assert "Worse than counted:a: counted:c." in sentences
        assert any(s.startswith("Dominated: ") and "counted:c by" in s for s in sentences)
        assert any(s.startswith("Not dominated") and "counted:b" in s for s in sentences)

    def test_says_where_nothing_is_shown_to_be_better(self, workspace: Workspace) -> None:
        workspace.sums(4)
        workspace.grid(architectures=[single(), vote(3)])
        workspace.run()
        first = said(contents(workspace))[0]
        assert first.startswith("No system is shown to beat single")
        assert "adjusted p = " in first

    def test_of_a_cell_alone_is_its_accuracy_and_its_price(self, workspace: Workspace) -> None:
        workspace.grid(architectures=[single("counted:b", label="b")])
        workspace.run()
        assert said(contents(workspace))[0].startswith("b is right on 100.0 % [")

    def test_does_not_count_an_oracle_among_the_systems(self, workspace: Workspace) -> None:
        models = ["counted:a", "counted:b"]
        oracle = {"name": "oracle", "label": "bound", "parameters": {"models": models}}
        workspace.grid(architectures=[single("counted:a", label="a"), oracle])
        workspace.run()
        sentences = said(contents(workspace))
        assert not any("bound beats" in sentence for sentence in sentences)
        assert sentences[-1].startswith("A perfect choice would reach 100.0 %")


class TestTheFront:
    def test_no_cell_is_dominated_because_its_trials_failed(self, workspace: Workspace) -> None:
        # `counted:c` is dearer and always right, but fails on two items in three.
        workspace.model("counted:a", right=0.6)
        workspace.model("counted:c", right=1.0, price=9.0)
        workspace.grid(architectures=[single(["counted:a", "counted:c"], label="{model}")])
        workspace.run()
        with closing(sqlite3.connect(workspace.root / "results/trip/trials.db")) as db, db:
            db.execute(
                "UPDATE trials SET outcome = 'error', score = 0, error = 'ProviderError: HTTP 500'"
                " WHERE cell = 2 AND item % 3 > 0"
            )
        found = contents(workspace)
        cheap, dear = found.summary.cells
        assert cheap.accuracy is not None
        assert dear.accuracy is not None
        assert cheap.accuracy.value > dear.accuracy.value
        assert front(found.summary.cells, "cost_per_item", found.results).by == {}
        assert front(found.summary.cells, "cost_per_item").by == {}
        assert "Worse than" not in " ".join(said(found))
        page = html_report(found)
        assert "trials failed and count as wrong" in page
        assert "x ProviderError: HTTP 500" in page

    def test_cells_are_held_against_each_other_on_the_items_that_all_have(
        self, workspace: Workspace
    ) -> None:
        # Where both have a trial `counted:b` scores less, at a higher price; by itself it scores
        # more, as the hard items are still missing.
        workspace.grid(architectures=[single(["counted:a", "counted:b"], label="{model}")])
        workspace.run()
        with closing(sqlite3.connect(workspace.root / "results/trip/trials.db")) as db, db:
            db.execute("UPDATE trials SET score = item <= 20, outcome = 'correct'")
            db.execute("UPDATE trials SET score = 0 WHERE cell = 2 AND item <= 2")
            db.execute("DELETE FROM trials WHERE cell = 2 AND item > 20")
        found = contents(workspace)
        cheap, dear = found.summary.cells
        assert front(found.summary.cells, "cost_per_item").by == {}
        places = front(found.summary.cells, "cost_per_item", found.results)
        assert (places.on, places.by) == ([cheap.name], {dear.name: cheap.name})

    def test_below_five_items_no_probability_is_shown(self, workspace: Workspace) -> None:
        workspace.sums(4)
        workspace.run()
        found = contents(workspace)
        (dataset,) = found.summary.datasets
        assert front_probabilities(found, dataset) == {"cost_per_item": {}, "latency_seconds": {}}
        assert all(pair.best_probability is None for pair in found.compared.values())


class TestThePage:
    def test_loads_nothing_and_may_run_only_its_own_script(self, workspace: Workspace) -> None:
        workspace.run()
        page = html_report(contents(workspace))
        assert not re.search(r"(?:src|href)=\"(?!#)", page)
        assert not re.search(r"url\((?!#)|@import", page)
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        assert policy
        assert "default-src 'none'" in unescape(policy[1])
        assert "unsafe" not in policy[1]

    def test_is_the_same_for_the_same_results(self, workspace: Workspace) -> None:
        workspace.run()
        assert html_report(contents(workspace)) == html_report(contents(workspace))

    def test_draws_each_architecture_without_grid_or_registry(self, workspace: Workspace) -> None:
        workspace.run()
        for path in (workspace.root / "registry").rglob("*.yaml"):
            path.unlink()
        (workspace.root / "grid.yaml").unlink()
        page = html_report(contents(workspace))
        assert "MostCommonOperator" in page
        assert re.search("[35] x counted:a<", page)

    def test_of_a_partial_run_says_so_at_the_top(self, workspace: Workspace) -> None:
        workspace.edit("grid.yaml", "name: trip", "name: trip\nin_flight: 4")
        workspace.run(stop_after=60)
        page = html_report(contents(workspace))
        assert re.search(r"<strong>Partial</strong>: \d+ of 240 trials are done", page)

    def test_before_any_trial_is_done_says_that(self, workspace: Workspace) -> None:
        workspace.run()
        with closing(sqlite3.connect(workspace.root / "results/trip/trials.db")) as store, store:
            store.execute("DELETE FROM trials")
        page = html_report(contents(workspace))
        assert "sums: no trial is done yet." in page

    def test_labels_what_is_simulated_in_every_table_and_chart(self, workspace: Workspace) -> None:
        workspace.write("registry/models/s.yaml", {"name": "simulated:s", "options": {}})
        workspace.grid(architectures=[single("simulated:small"), vote([1, 3], "simulated:small")])
        (workspace.root / "builtin/models").mkdir()
        from ember_bench.registry import builtin_root

        for path in (builtin_root() / "models").glob("simulated*.yaml"):
            (workspace.root / "builtin/models" / path.name).symlink_to(path)
        workspace.run()
        page = html_report(contents(workspace))
        assert "<strong>Simulated</strong>" in page
        for caption in re.findall(r"<(?:caption|figcaption)>(.*?)</", page):
            assert "(simulated)" in caption

    def test_of_many_cells_names_those_on_the_front_and_numbers_the_others(
        self, workspace: Workspace
    ) -> None:
        workspace.model("counted:c", right=0.0, price=9.0)  # of no use at a higher price
        workspace.grid(
            architectures=[
                single("counted:b", label="the best"),
                swept("counted:c", 20),
            ]
        )
        workspace.run()
        page = html_report(contents(workspace))
        chart = page.partition("<figcaption>Accuracy against cost")[2].partition("</svg>")[0]
        names = re.findall(r'<text [^>]*class="name"[^>]*>([^<]*)<', chart)
        assert sorted(names, key=lambda name: name.zfill(9)) == [
            *map(str, range(2, 22)), "the best"
        ]  # fmt: skip
        assert chart.count("<circle") == 21
        assert "Numbers are those of the table of systems" in page
        assert 'class="scroll wide"' in page  # 21 rows are shown at once

    def test_computes_each_paired_difference_once(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workspace.run()
        computed, differ = [], comparison.stats.paired_difference

        def counted(*values: Any, **options: Any) -> Any:
            computed.append(values)
            return differ(*values, **options)

        monkeypatch.setattr(comparison.stats, "paired_difference", counted)
        found = contents(workspace)
        html_report(found)
        assert len(computed) == len(found.compared) > 0
        for cell in found.summary.cells:
            if (own := cell.comparison) is not None:
                shared = found.compared[cell.name]
                assert (own.difference, own.p_value) == (shared.difference, shared.p_value)

    def test_shows_accuracy_by_category(self, workspace: Workspace) -> None:
        workspace.run()
        page = html_report(contents(workspace))
        assert "even (20)" in page
        assert "odd (20)" in page


def rows_of(page: str, caption: str) -> list[list[str]]:
    """Return the texts of the rows of the table with a caption that begins so."""
    body = page.partition(f"<caption>{caption}")[2].partition("</table>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body)
    return [
        [unescape(re.sub(r"<[^>]*>", "", cell)).strip() for cell in
         re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
        for row in rows
    ]  # fmt: skip


def tiles(page: str) -> dict[str, list[str]]:
    """Return the figures of the first screen, their lines by title."""
    found = re.findall(r"<div><dt>(.*?)</dt>(.*?)</div>", page)
    return {name: re.findall(r"<dd>(.*?)</dd>", lines) for name, lines in found}


class TestTheFirstScreen:
    def test_says_which_system_how_sure_at_what_price_and_compared_with_what(
        self, workspace: Workspace
    ) -> None:
        cells = workspace.run().cells
        found = contents(workspace)
        said = tiles(html_report(found))
        best = cells["sums/single(model=counted:b)"]
        assert best.cost_per_item is not None
        winner = found.winners["sums"]
        assert said["Most accurate"][:2] == ["counted:b", "100.0 %"]
        assert f"{100 * (winner.accuracy.low or 0):.1f}" in said["Most accurate"][2]
        assert said["May be as accurate"] == (winner.may_be_best[1:] or ["no other system"])
        assert said["Its price"][0] == f"${best.cost_per_item.value:.2f} per item"
        own = best.comparison
        assert own is not None
        assert said["Compared with"][0] == "counted:a"
        assert said["Compared with"][1].startswith(f"{100 * own.difference.value:+.1f} points [")
        assert "5x the cost" in said["Compared with"]

    def test_of_a_baseline_that_is_the_best_names_the_next(self, workspace: Workspace) -> None:
        workspace.grid(
            architectures=[single(["counted:b", "counted:a", "counted:c"], label="{model}")],
        )
        workspace.run()
        said = tiles(html_report(contents(workspace)))
        assert said["Most accurate"][0] == "counted:b"
        assert said["It is the baseline; the next"][0] == "counted:a"
        assert said["It is the baseline; the next"][1].startswith("-")


class TestWhatIsSeenTogether:
    def test_datasets_stand_side_by_side_with_a_row_for_each_system(
        self, workspace: Workspace
    ) -> None:
        workspace.sums(10, name="more")
        workspace.grid(
            datasets=["sums", "more"], architectures=[single(["counted:a", "counted:b"])]
        )
        ran = workspace.run()
        page = html_report(contents(workspace))
        heading, *rows = rows_of(page, "All datasets")
        assert heading == ["system", "sums", "more"]
        assert len(rows) == 2
        for row, model in zip(rows, "ab", strict=True):
            for value, dataset in zip(row[1:], heading[1:], strict=True):
                accuracy = ran.cells[f"{dataset}/single(model=counted:{model})"].accuracy
                assert accuracy is not None
                assert value.startswith(f"{100 * accuracy.value:.1f} [")

    def test_one_dataset_alone_has_no_such_part(self, workspace: Workspace) -> None:
        workspace.run()
        assert 'id="datasets"' not in html_report(contents(workspace))

    def test_failures_stand_with_their_reasons_by_system(self, workspace: Workspace) -> None:
        workspace.run()
        assert "What failed, and why" not in html_report(contents(workspace))
        with closing(sqlite3.connect(workspace.root / "results/trip/trials.db")) as db, db:
            db.execute(
                "UPDATE trials SET outcome = 'error', score = 0, error = 'HTTP 500: item ' || item"
                " WHERE cell = 1 AND item <= 4"
            )
            db.execute("UPDATE trials SET outcome = 'unparsed' WHERE cell = 2 AND item <= 2")
        found = contents(workspace)
        labels = [cell.label for cell in found.summary.cells]
        assert rows_of(html_report(found), "What failed, and why")[1:] == [
            [labels[0], "error", "HTTP 500: item 1", "4"],
            [labels[1], "unparsed", "the response has no answer in the form wanted", "2"],
        ]


class TestWhoFailsWhere:
    def test_the_scores_of_all_items_are_on_the_page_whatever_is_listed(
        self, workspace: Workspace
    ) -> None:
        workspace.run()
        found = contents(workspace, trials=6)
        data = embedded(html_report(found), "scores-0")
        matrix = found.matrices["sums"]
        scores = base64.b64decode(data["scores"])
        assert [*scores] == (100 * matrix.scores).astype(int).ravel().tolist()
        assert len(data["items"]) == 40
        cells = found.summary.cells
        assert [cells[number].label for number in data["cells"]] == data["labels"]

    def test_the_hardest_items_are_listed_with_their_questions(self, workspace: Workspace) -> None:
        workspace.run()
        found = contents(workspace)
        rows = rows_of(html_report(found), "Who fails where: the hardest items")[1:]
        assert len(rows) == 10
        assert [float(row[3]) for row in rows] == sorted(float(row[3]) for row in rows)
        assert all(row[0].startswith("sums-") and row[1].endswith("= ?") for row in rows)

    def test_agreement_is_of_each_two_systems(self, workspace: Workspace) -> None:
        workspace.run()
        found = contents(workspace)
        rows = rows_of(html_report(found), "Agreement of systems")[1:]
        matrix = found.matrices["sums"]
        assert len(rows) == len(found.summary.cells)
        assert rows[0][2] == f"{100 * matrix.agreement[0, 1]:.0f}"


class TestTheExplorersData:
    def test_has_every_trial_with_its_calls_prompts_and_answers(self, workspace: Workspace) -> None:
        ran = workspace.run()
        page = html_report(contents(workspace))
        data = embedded(page, "data")
        trials = data["trials"]
        assert len(trials["cell"]) == 240
        calls = [trial for n in range(2) for trial in embedded(page, f"calls-{n}")]
        assert len(calls) == 240
        assert sum(len(found) for _, _, found in calls) == sum(c.calls for c in ran.cells.values())
        texts = embedded(page, "texts-0")
        for number, (_, _, found) in enumerate(calls):
            cell, item = trials["cell"][number], trials["item"][number]
            question = data["items"][data["cells"][cell]["dataset"]][item][1]
            for call in found:
                ((role, prompt),) = json.loads(texts[call[9]])
                assert role == "user"
                assert question.strip() in prompt
                assert texts[call[10]].startswith("Answer: ")

    def test_of_too_many_trials_has_the_first_items_on_every_cell_and_says_so(
        self, workspace: Workspace
    ) -> None:
        workspace.run()
        whole = embedded(html_report(contents(workspace, trials=0)), "data")
        page = html_report(contents(workspace, trials=47))
        data = embedded(page, "data")
        assert data["items"][0] == whole["items"][0][:7]  # on six cells: 42 trials
        first = [number for number, item in enumerate(whole["trials"]["item"]) if item < 7]
        assert len(first) == 42
        for name, values in data["trials"].items():
            assert values == [whole["trials"][name][number] for number in first]
        assert len(embedded(page, "calls-0")) == 42
        assert "the first 7 items, of 40 of sums, on every system" in page
        assert "ember-bench report trip --trials 0" in page
        assert "Every trial, with all" in html_report(contents(workspace, trials=240))

    def test_of_fewer_trials_than_cells_has_one_item(self, workspace: Workspace) -> None:
        workspace.run()
        data = embedded(html_report(contents(workspace, trials=1)), "data")
        assert data["trials"]["item"] == [0] * 6

    def test_what_is_above_it_is_of_all_trials(self, workspace: Workspace) -> None:
        workspace.run()

        def above(page: str) -> str:
            return page[: page.index('id="explorer"')]

        some, everything = (html_report(contents(workspace, trials=n)) for n in (6, 0))
        assert above(some) == above(everything)

    def test_keeps_a_prompt_once(self, workspace: Workspace) -> None:
        workspace.run()
        texts = embedded(html_report(contents(workspace)), "texts-0")
        assert len(texts) == len(set(texts))
        assert sum("+" in entry for entry in texts) == 40

    def test_comes_without_texts_where_there_is_no_response_store(
        self, workspace: Workspace
    ) -> None:
        workspace.run()
        found = contents(workspace)
        page = html_report(Contents(found.rows, found.chosen))
        assert "the response store was not found" in page
        assert embedded(page, "calls-0")[0][2][0][9] is None


class TestMarkup:
    @given(st.text())
    def test_text_is_shown_and_never_markup(self, content: str) -> None:
        assert not re.search(r"[<>\"']", text(content))

    @given(st.text())
    def test_attributes_cannot_be_left(self, content: str) -> None:
        written = tag("i", title=content)
        assert written.count('"') == 2
        assert written.count("<") == 2

    def test_only_markup_of_ours_is_kept_as_it_is(self) -> None:
        assert joined([Html("<b>"), "<b>", None]) == "<b>&lt;b&gt;"
