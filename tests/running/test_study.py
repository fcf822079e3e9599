"""Studies: experiments written in Python, run as grids are."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

import ember_bench as eb
from ember_bench.errors import ConfigError, UnknownNameError
from ember_bench.models import ModelRegistry
from ember_bench.running.results import Results
from tests.support import counted
from tests.support.workspace import Workspace

pytestmark = pytest.mark.slow

ROWS = [{"q": f"{i} + {7 * i} = ?", "t": 8 * i, "kind": "even" if i % 2 else "odd"}
        for i in range(12)]  # fmt: skip


@pytest.fixture(autouse=True)
def here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workspace:
    """A working directory whose registry has the model `counted:a`."""
    monkeypatch.chdir(tmp_path)
    # Of the built-in cards those that are needed: they are read anew for each run.
    monkeypatch.setattr("ember_bench.registry.builtin_root", lambda: tmp_path / "builtin")
    return workspace


def sums(name: str = "records", **changes: Any) -> eb.Dataset:
    options = {"question": "q", "target": "t", "evaluator": "numeric_match"}
    return eb.Dataset.from_records(
        ROWS, **options | {"answer_format": "number", "name": name} | changes
    )


def lm(model: str = "counted:a") -> eb.LMModule:
    cards = sorted(Path.cwd().glob("registry/models/*.yaml"))
    return eb.LMModule(eb.LMModuleConfig(model_name=model), registry(tuple(cards)))


@cache
def registry(_: tuple[Path, ...]) -> ModelRegistry:
    return ModelRegistry.from_cards()


def study(**changes: Any) -> eb.Study:
    defaults = {"name": "trip", "datasets": [sums()], "architectures": {"one": lm()}}
    return eb.Study(**defaults | changes)


def run(study: eb.Study, **options: Any) -> Results:
    return study.run(**{"mlflow": False} | options)


def digits(results: Results) -> list[dict[str, Any]]:
    """Return the summaries of cells without what depends on who asked first."""
    left_out = ("calls_made", "calls_shared", "spend_usd")
    cells = json.loads(msgspec.json.encode(results.summary.cells))
    return [{k: v for k, v in cell.items() if k not in left_out} for cell in cells]


def vote(k: int, model: str = "counted:a") -> eb.NoNGraphData:
    graph = eb.NoNGraphData()
    members = [lm(model) for _ in range(k)]
    graph.add_node(name="ensemble", operator=eb.EnsembleOperator(lm_modules=members))
    graph.add_node(name="vote", operator=eb.MostCommonOperator(), inputs=["ensemble"])
    return graph


class TestASameStudy:
    """A study and a grid that say the same."""

    @pytest.fixture
    def grid(self, here: Workspace) -> Path:
        lines = "".join(json.dumps(row) + "\n" for row in ROWS)
        here.write("registry/datasets/records.jsonl", lines)
        here.write(
            "registry/datasets/records.yaml",
            {
                "name": "records",
                "purpose": "Sums.",
                "source": {"file": "records.jsonl"},
                "fields": {"question": "q", "target": "t", "category": "kind"},
                "answer_format": "number",
                "evaluator": "numeric_match",
            },
        )
        return here.write(
            "grid.yaml",
            {
                "name": "trip",
                "seed": 3,
                "epochs": 2,
                "datasets": ["records"],
                "architectures": [
                    {"name": "single", "label": "alone", "parameters": {"model": "counted:a"}},
                    {
                        "name": "vote",
                        "label": "vote k={k}",
                        "parameters": {"k": [1, 3, 5], "model": "counted:a"},
                    },
                ],
                "baseline": {"name": "single"},
            },
        )

    def same(self) -> eb.Study:
        return study(
            datasets=[sums(category="kind")],
            seed=3,
            epochs=2,
            architectures={
                "alone": eb.single("counted:a"),
                "vote": eb.architecture("vote", model="counted:a"),
            },
            parameters={"k": [1, 3, 5]},
            baseline="alone",
        )

    def test_gives_the_digits_of_the_grid(self, grid: Path) -> None:
        of_grid = eb.run(grid, results="grids", mlflow=False)
        of_study = run(self.same(), results="studies")
        assert digits(of_study) == digits(of_grid)
        assert of_study.summary.run.calls_made == of_grid.summary.run.calls_made > 0

    def test_takes_up_the_trials_of_the_grid(self, grid: Path) -> None:
        eb.run(grid, mlflow=False)
        assert run(self.same()).summary.run.trials_run == 0

    def test_made_of_a_factory_asks_the_same_calls(self, grid: Path) -> None:
        eb.run(grid, mlflow=False)
        made = study(name="other", epochs=2, architectures={
            "votes": lambda k: f"{k}E@counted:a(temp=0.7), M"
        }, parameters={"k": [1, 3, 5]})  # fmt: skip
        of_study = run(made)
        assert [cell.label for cell in of_study.summary.cells] == [
            "votes k=1", "votes k=3", "votes k=5"
        ]  # fmt: skip
        assert of_study.summary.run.calls_made == 0


class TestArchitectures:
    def test_a_function_answers_items_through_lm_modules_of_its_own(self) -> None:
        asked = lm()

        def twice(query: str, **fields: Any) -> str:
            return max(asked(query), asked(query))

        found = run(study(architectures={"twice": twice}))
        cell = found.summary.cells[0]
        assert (cell.calls, cell.calls_made, cell.models) == (24, 24, ["counted:a"])
        assert run(study(architectures={"twice": twice})).summary.run.trials_run == 0

    def test_an_lm_module_made_in_a_function_is_asked_through_the_service_of_the_run(self) -> None:
        def made(query: str, **fields: Any) -> str:
            return lm()(query)

        found = run(study(architectures={"made": made}))
        assert found.summary.run.calls_made == 12
        assert found.calls["cost_usd"].notna().all()
        (Path("results/trip") / "trials.db").unlink()
        assert run(study(architectures={"made": made})).summary.run.calls_made == 0

    def test_a_function_may_return_fields(self) -> None:
        def fields(query: str, choices: Any) -> dict[str, Any]:
            return {"responses": [lm()(query)]}

        assert run(study(architectures={"fields": fields})).summary.failed == 0

    def test_a_swept_parameter_of_a_function_is_given_to_it(self) -> None:
        asked = lm()

        def best(query: str, k: int) -> str:
            return [asked(query) for _ in range(k)][-1]

        found = run(study(architectures={"best": best}, parameters={"k": [1, 3]}))
        assert {c.label: c.calls for c in found.summary.cells} == {"best k=1": 12, "best k=3": 36}

    def test_an_operator_of_ones_own_runs_as_it_is(self) -> None:
        class Twice(eb.Operator):
            def __init__(self) -> None:
                super().__init__(lm_modules=[lm()])

            def forward(self, inputs: Any) -> dict[str, Any]:
                return {"final_answer": self.lms[0](inputs["query"])}

        found = run(study(architectures={"mine": Twice(), "class": Twice, "graph": vote(3)}))
        assert [cell.label for cell in found.summary.cells] == ["mine", "class", "graph"]
        assert found.summary.failed == 0

    def test_a_label_says_what_is_swept_or_what_its_placeholders_say(self) -> None:
        made = {"panel": vote, "panel of {k}": vote, "{k} votes": "vote"}
        found = run(study(
            architectures=made,
            parameters={"k": [1, 3], "model": "counted:a", "temperature": None},
            baseline="panel of 3",
        ))  # fmt: skip
        assert [cell.label for cell in found.summary.cells] == [
            "panel k=1", "panel k=3", "panel of 1", "panel of 3", "1 votes", "3 votes"
        ]  # fmt: skip
        assert list(found.cells["baseline"].dropna().unique()) == [
            "records/panel of k(k=3, model=counted:a)"
        ]

    def test_notation_and_a_card_by_name_are_architectures(self) -> None:
        found = run(study(
            architectures={"note": ["3E@counted:a", "1M"], "card": "single"},
            parameters={"model": "counted:a"},
        ))  # fmt: skip
        assert [cell.architecture for cell in found.summary.cells] == ["note", "single"]

    def test_a_list_of_lists_of_models_is_swept(self) -> None:
        def both(models: list[str]) -> list[str]:
            return [*(f"1E@{model}" for model in models), "1M", "$a"]

        swept = eb.architecture(
            lambda models: vote(len(models)), models=[["counted:a"], ["counted:a", "counted:a"]]
        )
        found = run(study(architectures={"both": swept}))
        assert [cell.parameters["models"] for cell in found.summary.cells] == [
            ["counted:a"], ["counted:a", "counted:a"]
        ]  # fmt: skip

    def test_an_architecture_may_be_for_some_datasets(self) -> None:
        two = [sums("a"), sums("b")]
        only = {"one": lm(), "two": eb.architecture(lm(), datasets=["b"])}
        found = run(study(datasets=two, architectures=only))
        assert [(c.dataset, c.label) for c in found.summary.cells] == [
            ("a", "one"), ("b", "one"), ("b", "two")
        ]  # fmt: skip


class TestIdentity:
    def test_the_same_study_again_makes_no_call(self) -> None:
        run(study(architectures={"vote": vote(3)}))
        again = run(study(architectures={"vote": vote(3)}), offline=True)
        assert (again.summary.run.trials_run, again.summary.run.calls_made) == (0, 0)

    @pytest.mark.parametrize("calls", [1, 2])
    def test_an_edited_function_runs_anew_and_pays_for_new_calls_only(self, calls: int) -> None:
        notebook = (
            "def f(query, **fields):\n    return [asked(query) for _ in range({})][0].strip()\n"
        )

        def cell(count: int) -> Any:
            space: dict[str, Any] = {"asked": lm(), "__name__": "notebook"}
            exec(notebook.format(count), space)
            return space["f"]

        run(study(architectures={"f": cell(1)}))
        again = run(study(architectures={"f": cell(calls)}))
        assert again.summary.run.trials_run == (0 if calls == 1 else 12)
        assert again.summary.run.calls_made == (0 if calls == 1 else 12)

    def test_another_model_behind_the_name_that_a_function_uses_is_seen(
        self, here: Workspace
    ) -> None:
        here.model("counted:b")

        def cell(model: str) -> Any:
            space: dict[str, Any] = {"asked": lm(model), "__name__": "notebook"}
            exec("def f(query, **fields):\n    return asked(query)\n", space)
            return space["f"]

        run(study(architectures={"f": cell("counted:a")}))
        again = run(study(architectures={"f": cell("counted:b")}))
        assert again.summary.cells[0].models == ["counted:b"]
        assert again.summary.run.calls_made == 12

    def test_an_edited_record_runs_its_item_anew(self) -> None:
        run(study())
        changed = eb.Dataset.from_records(
            [{**ROWS[0], "q": "1 + 1 = ?", "t": 2}, *ROWS[1:]],
            question="q", target="t", evaluator="numeric_match", answer_format="number",
        )  # fmt: skip
        assert run(study(datasets=[changed])).summary.run.trials_run == 1


class TestMistakes:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"baseline": "on"}, "has the architecture 'on'; did you mean 'one'?"),
            ({"architectures": {"x": "singel"}}, "unknown architecture 'singel'; did you mean"),
            ({"architectures": {"x": 3}}, "found int"),
            (
                {"architectures": {"x": "3E@counted:a, 1Q"}},
                "'x': column 16: unknown code",
            ),
            ({"architectures": {"x": lambda q: q}}, "no value for the parameter 'q'; a function"),
            ({"architectures": {"x": lambda query, z: z}}, "no value for the parameter 'z'"),
            (
                {"architectures": {"x": eb.architecture(vote, j=3)}},
                "unknown parameter 'j'",
            ),
            ({"parameters": {"k": [1]}}, "no architecture has a parameter 'k'"),
            ({"epochs": 0}, "study trip: epochs: must be at least"),
            ({"datasets": ["arithmetik"]}, "unknown dataset 'arithmetik'"),
            ({"datasets": [sums(), sums()]}, "two are named 'records'"),
            ({"evaluators": {"recrods": "exact_match"}}, "unknown dataset 'recrods'; did you mean"),
            ({"evaluators": {"records": "exakt"}}, "unknown evaluator 'exakt'"),
            (
                {"architectures": {"single": ["1E@counted:a"], "x": eb.single("counted:a")}},
                "give this one another label",
            ),
            (
                {"architectures": {"x": eb.architecture(vote, k=[1, "two"])}},
                "all of one kind, found 1, 'two'",
            ),
        ],
    )
    def test_a_mistake_is_told_before_anything_is_asked(
        self, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigError) as raised:
            run(study(**changes))
        assert message in str(raised.value)
        assert not Path("results").exists()

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"question": "qq"}, "the records have no field 'qq'; did you mean 'q'?"),
            ({"categroy": "kind"}, "unknown field 'categroy'; did you mean 'category'?"),
            ({"id": "kind"}, "record 3: duplicate id 'odd'"),
        ],
    )
    def test_a_mistake_in_records_names_the_record(
        self, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigError) as raised:
            sums(**changes)
        assert f"records: {message}" in str(raised.value)

    def test_all_mistakes_are_told_at_once(self) -> None:
        wrong = study(architectures={"x": 3, "y": "singel"}, evaluators={"z": "exact_match"})
        with pytest.raises(ConfigError) as raised:
            wrong.open()
        assert len(raised.value.problems) == 3


class TestPlans:
    def test_a_plan_counts_the_calls_of_graphs_and_functions_and_asks_nothing(self) -> None:
        asked = lm()

        def twice(query: str, **fields: Any) -> str:
            return [asked(query), asked(query)][-1]

        planned = study(architectures={"twice": twice, "vote": vote(3)})
        forecast = planned.plan().forecast
        assert [cell.made.high for cell in forecast.cells] == [24, 24]
        assert not Path("results").exists()
        assert run(planned).summary.run.calls_made == forecast.made.high
        assert planned.plan().forecast.made.high == 0
        assert "twice" in repr(planned.plan())
        assert "twice" in planned.plan()._repr_html_()


class TestEvaluatorsAndDatasets:
    def test_a_study_may_score_by_another_evaluator(self) -> None:
        from ember_bench.evaluators import NumericMatch

        named = run(study(evaluators={"records": "numeric_match_1_percent"}))
        own = run(study(evaluators={"records": NumericMatch("mine")}))
        assert named.summary.datasets[0].evaluator == "numeric_match_1_percent"
        assert own.summary.datasets[0].evaluator == "mine"

    def test_a_dataset_may_be_a_card_or_an_entry_of_a_grid(self) -> None:
        card = run(study(datasets=[{"name": "sums", "limit": 4}]))
        assert card.summary.datasets[0].items == 4

    def test_a_sample_of_records_lies_within_a_larger_one(self) -> None:
        dataset = sums()
        few, more = ({item.id for item in dataset.sample(n)} for n in (4, 8))
        assert len(few) == 4
        assert few < more

    def test_records_may_be_a_frame(self) -> None:
        import pandas as pd

        frame = pd.DataFrame(ROWS)
        made = eb.Dataset.from_records(
            frame, question="q", target="t", evaluator="numeric_match", answer_format="number"
        )
        assert made.digest == sums().digest


class TestResults:
    @pytest.fixture
    def found(self) -> Results:
        return run(study(architectures={"one": lm(), "vote": vote(3)}, epochs=2))

    def test_frames_are_tidy(self, found: Results) -> None:
        assert len(found.cells) == 2
        assert {"accuracy", "accuracy_low", "cost_usd_per_item", "latency_seconds"} <= {
            *found.cells.columns
        }
        assert len(found.trials) == 2 * 12 * 2
        assert {"cell", "item", "epoch", "score", "cost_usd"} <= {*found.trials.columns}
        assert len(found.calls) == (1 + 3) * 12 * 2
        by_cell = found.trials.groupby("label")["score"].mean()
        accuracy = found.cells.set_index("label")["accuracy"]
        assert by_cell.to_dict() == pytest.approx(accuracy.to_dict())
        assert found.calls["input_tokens"].sum() == found.trials["input_tokens"].sum()

    def test_frames_may_have_texts_nodes_and_choices(self, found: Results) -> None:
        texts = found.frame("calls", texts=True)["text"]
        assert texts.str.startswith("Answer: ").all()
        assert set(found.frame("nodes")["node"]) == {"answer", "ensemble"}
        assert list(found.frame("choices")["node"]) == ["vote"]
        assert len(found.frame("members")) == 3

    def test_two_cells_are_compared_by_their_labels(self, found: Results) -> None:
        compared = found.compare("vote", "one")
        row = compared.frame.iloc[0]
        accuracy = found.cells.set_index("label")["accuracy"]
        assert row["difference"] == pytest.approx(accuracy["vote"] - accuracy["one"])
        assert compared.frame.equals(found.compare("vote").frame)
        assert "vote" in repr(compared)
        with pytest.raises(UnknownNameError, match="unknown cell 'vot'"):
            found.compare("vot", "one")

    def test_they_show_themselves(self, found: Results) -> None:
        assert "vote" in repr(found)
        html = found._repr_html_()
        assert html.count("<tr>") == 3
        assert "trip: 48 trials" in html

    def test_html_is_made_of_texts(self) -> None:
        label = "<b>x</b>"
        html = run(study(architectures={label: lm()}))._repr_html_()
        assert "&lt;b&gt;x" in html
        assert label not in html

    def test_a_report_says_how_nodes_choose(self, found: Results, tmp_path: Path) -> None:
        path = found.report("report.html")
        assert "left out: that takes the grid" not in path.read_text()
        assert found.report() == Path("results/trip/report.html")

    def test_they_are_loaded_without_the_study(self, found: Results) -> None:
        for place in ("results/trip", "trip", Path("results/trip/trials.db")):
            loaded = eb.load_results(place)
            assert digits(loaded) == digits(found)
            assert loaded.trials.equals(found.trials)
        Path("results/trip/summary.json").unlink()
        assert digits(eb.load_results("trip")) == digits(found)
        with pytest.raises(ConfigError, match="did you mean 'trip'"):
            eb.load_results("results/tripp")

    def test_the_command_reads_them(self, found: Results) -> None:
        for arguments in (
            ["compare", "trip"],
            ["report", "trip"],
            ["export", "trip"],
            ["show", "trip"],
        ):
            assert ember_bench(*arguments).returncode == 0
        rescored = ember_bench("rescore", "trip", "--evaluator", "exact_match")
        assert rescored.returncode == 2
        assert "is a study that was run in Python" in rescored.stderr

    def test_mlflow_gets_the_grid_of_the_study(self) -> None:
        logged = run(study(), mlflow=True)
        assert logged.log_error is None
        assert logged.logged is not None
        assert "name: trip" in Path("results/trip/study.yaml").read_text()


def ember_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from ember_bench.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


class TestLoops:
    def test_run_works_where_a_loop_is_running(self) -> None:
        async def cell() -> Results:
            return run(study(architectures={"vote": vote(3)}))

        found = asyncio.run(cell())
        assert found.complete
        assert asyncio.run(asyncio.to_thread(found.report)).is_file()

    def test_arun_lets_the_loop_go_on(self, here: Workspace) -> None:
        here.model("counted:slow", seconds=0.1)

        async def beside() -> tuple[Results, int]:
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            slow = study(architectures={"slow": lm("counted:slow")})
            found = await slow.arun(mlflow=False)
            ticking.cancel()
            return found, ticks

        found, ticks = asyncio.run(beside())
        assert found.complete
        assert ticks > 10

    def test_cancelling_arun_ends_the_run_in_order_and_loses_nothing(
        self, here: Workspace, tmp_path: Path
    ) -> None:
        here.model("counted:slow", seconds=0.05)
        slow = study(architectures={"slow": lm("counted:slow")}, in_flight=2)

        async def cancelled() -> None:
            running = asyncio.create_task(slow.arun(mlflow=False))
            while not counted_calls(tmp_path):
                await asyncio.sleep(0.01)
            running.cancel()
            await running

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(cancelled())
        before = eb.load_results("trip")
        assert not before.complete
        done = len(before.trials)
        assert run(slow).summary.run.calls_made == 12 - done

    def test_grids_run_too(self, here: Workspace) -> None:
        assert asyncio.run(eb.arun("grid.yaml", mlflow=False)).complete


def counted_calls(folder: Path) -> int:
    log = folder / "requests.log"
    return log.read_text().count("answer") if log.exists() else 0


SCRIPT = """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)
    import ember_bench as eb
    from tests.support import counted

    rows = [{"q": f"{i} + {i} = ?", "t": 2 * i} for i in range(40)]
    dataset = eb.Dataset.from_records(
        rows, question="q", target="t", evaluator="numeric_match", answer_format="number"
    )
    slow = eb.LMModule(eb.LMModuleConfig(model_name="counted:slow"))
    study = eb.Study(
        name="trip", datasets=[dataset], architectures={"slow": slow}, in_flight=2
    )
    found = study.run(mlflow=False)
    print(found.summary.run.trials_kept, found.summary.run.trials_run, found.complete)
"""


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to a process: needs POSIX")
def test_an_interrupt_raises_and_leaves_a_state_from_which_the_script_goes_on(
    here: Workspace, tmp_path: Path
) -> None:
    here.model("counted:slow", seconds=0.05)
    script = here.write("study.py", textwrap.dedent(SCRIPT))
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), counted.LOG: str(tmp_path / "log")}
    command = [sys.executable, script.name]
    first = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60
        log = tmp_path / "log"
        while time.monotonic() < deadline and not (log.exists() and "answer" in log.read_text()):
            time.sleep(0.01)
        first.send_signal(signal.SIGINT)
        _, err = first.communicate(timeout=60)
    finally:
        first.kill()
    assert first.returncode != 0
    assert "KeyboardInterrupt" in err
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    kept, made, complete = done.stdout.split()
    assert int(kept) > 0
    assert int(kept) + int(made) == 40
    assert complete == "True"


def test_a_notebook_runs_a_study_in_its_kernel_and_shows_the_table(tmp_path: Path) -> None:
    why = "needs ipykernel and nbclient, which come with `pip install ember-bench[test]`"
    nbclient = pytest.importorskip("nbclient", reason=why)
    nbformat = pytest.importorskip("nbformat", reason=why)
    pytest.importorskip("ipykernel", reason=why)
    cells = [
        """
        import ember_bench as eb
        rows = [{"q": f"{i} + {i}?", "t": 2 * i} for i in range(10)]
        dataset = eb.Dataset.from_records(
            rows, question="q", target="t", evaluator="numeric_match", answer_format="number"
        )
        small = eb.LMModule(eb.LMModuleConfig(model_name="simulated:small"))
        """,
        """
        def mine(query, **fields):
            return small(query)
        """,
        """
        study = eb.Study(name="cells", datasets=[dataset], architectures={"mine": mine})
        study.run(mlflow=False)
        """,
        "(await study.arun(mlflow=False)).summary.run.trials_run",
        """
        def mine(query, **fields):
            return small(query + " Think.")
        """,
        """
        study.architectures = {"mine": mine}
        study.run(mlflow=False).summary.run.trials_run
        """,
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell).strip()) for cell in cells]
    )
    client = nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [output for output in notebook.cells[2].outputs if "data" in output]
    assert "<progress" in shown[0]["data"]["text/html"]
    assert "<table>" in shown[-1]["data"]["text/html"]
    assert notebook.cells[3].outputs[-1]["data"]["text/plain"] == "0"
    assert notebook.cells[5].outputs[-1]["data"]["text/plain"] == "10"
