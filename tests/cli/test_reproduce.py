"""`ember-bench reproduce` and `ember-bench data fetch`, with papers of ten sums."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, program
from tests.support.workspace import Workspace, single, vote

FOLDER = "experiments/papers/sums2026"
RIGHT = 7


@pytest.fixture
def paper(here: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A paper of ten recorded sums, seven of them right, without published numbers."""
    monkeypatch.setattr("ember_bench.registry.builtin_root", lambda: Path("builtin"))
    monkeypatch.setattr("ember_bench.running.find_grids.builtin_root", lambda: Path("builtin"))
    put(
        here,
        "paper.yaml",
        {"title": "Ten sums", "citation": "C", "claim": "D", "published_in": "T"},
    )
    put(here, "grid.yaml", grid())
    rows = [{"id": i, "q": f"{i} + 1?", "t": i + 1} for i in range(10)]
    text = "".join(json.dumps(r) + "\n" for r in rows)
    here.write("data/sums.jsonl", text)
    put(here, "registry/datasets/ten.yaml", dataset())
    put(here, "registry/models/tape.yaml", recording())
    answers = [{"id": i, "o": i + 1 if i < RIGHT else 0} for i in range(10)]
    here.write("data/tape.jsonl", "".join(json.dumps(a) + "\n" for a in answers))
    monkeypatch.setenv("EMBER_BENCH_DATA", str(here.root / "data"))
    return here


def put(here: Workspace, path: str, content: Any) -> None:
    here.write(f"{FOLDER}/{path}", content)


def grid(**more: Any) -> dict[str, Any]:
    systems = [single("recorded:tape/m", label="{model}"), vote(1, "recorded:tape/m", label="vote")]
    return {"name": "sums2026", "datasets": ["ten"], "architectures": systems} | more


def source(repository: str = "github.com/me/sums", commit: str = "0" * 40) -> dict[str, Any]:
    return {"repository": repository, "commit": commit}


def dataset(**more: Any) -> dict[str, Any]:
    return {
        "name": "ten",
        "purpose": "Ten sums.",
        "source": {"data": "sums.jsonl"},
        "available_from": source(**more),
        "fields": {"id": "id", "question": "q", "target": "t"},
        "answer_format": "number",
        "evaluator": "numeric_match",
    }


def recording(**more: Any) -> dict[str, Any]:
    return {
        "name": "recorded:tape",
        "available_from": source(**more),
        "files": "tape.jsonl",
        "fields": {"item": "id", "answer": "o"},
        "models": ["m"],
    }


class TestReproduce:
    def test_each_number_gets_its_verdict(self, command: Command, paper: Workspace) -> None:
        put(paper, "published.csv", "system,accuracy,items\nm,70.0,10\nvote,75.0,9\n")
        ran = command("reproduce", "sums2026", "--quiet")
        assert ran.status == 1
        assert ran.out.splitlines()[-1] == ("sums2026: 2 equal, 1 within, 1 different, of 4 cells")
        assert "75.0  70.0" in ran.out
        assert "accuracy       70.0" not in ran.out, "what is equal is shown with --whole"
        page = (paper.root / "results/reproductions/sums2026.md").read_text()
        assert "**2 equal, 1 within, 1 different, of 4 cells**" in page
        assert "vote: Not explained." in page
        assert "adj. p" in page, "and what the paper did not give"

    def test_an_explained_difference_holds(self, command: Command, paper: Workspace) -> None:
        put(paper, "published.csv", "system,accuracy,items\nm,70,10\nvote,,9\n")
        why = "The tenth sum\n came later."
        put(paper, "differences.yaml", {"differences": [{"systems": ["vote"], "why": why}]})
        ran = command("reproduce", "sums2026", "--quiet")
        assert ran.status == 0
        assert "The tenth sum came later." in ran.out
        assert "1 different, of 3 cells" in ran.out

    def test_an_explanation_without_a_difference_is_told(
        self, command: Command, paper: Workspace
    ) -> None:
        put(paper, "published.csv", "system,accuracy\nm,70\n")
        put(paper, "differences.yaml", {"differences": [{"systems": ["m"], "why": "?"}]})
        ran = command("reproduce", "sums2026", "--quiet")
        assert ran.status == 0
        assert "differences.yaml: m: equal now" in ran.err

    def test_a_paper_may_compute_numbers_of_its_own(
        self, command: Command, paper: Workspace
    ) -> None:
        put(paper, "published.csv", "system,wrong\nm,3\n")
        code = (
            "from ember_bench.running.reproduce import Measure\n"
            "def measures(found):\n"
            "    trials = found[0].trials\n"
            "    yield Measure('m', 'wrong', float((trials['score'] == 0).sum() / 2))\n"
        )
        put(paper, "measures.py", code)
        assert "1 equal, 0 within" in command("reproduce", "sums2026", "--quiet").out
        put(paper, "measures.py", "def measures(found):\n    return 1 / 0\n")
        ran = command("reproduce", "sums2026", "--quiet")
        assert ran.status == 2
        assert "measures.py:2: ZeroDivisionError" in ran.err

    def test_all_numbers_come_as_json(self, command: Command, paper: Workspace) -> None:
        put(paper, "published.csv", "system,accuracy\nm,70\n")
        (found,) = command("reproduce", "sums2026", "--json").json
        assert found["totals"] == {"equal": 1, "within": 0, "different": 0}
        (number,) = found["numbers"]
        assert (number["ours"], number["verdict"]) == (70.0, "equal")

    def test_all_papers_are_summed_up(self, command: Command, paper: Workspace) -> None:
        put(paper, "published.csv", "system,accuracy\nm,70\n")
        other = {"title": "T", "citation": "C", "claim": "D", "published_in": "T"}
        missing = dataset() | {"source": {"data": "elsewhere.jsonl"}}
        paper.write("experiments/papers/zother/paper.yaml", other)
        paper.write("experiments/papers/zother/grid.yaml", grid(name="zother"))
        paper.write("experiments/papers/zother/published.csv", "system,accuracy\nm,70\n")
        paper.write("experiments/papers/zother/registry/datasets/ten.yaml", missing)
        paper.write("experiments/papers/zother/registry/models/tape.yaml", recording())
        ran = command("reproduce", "all", "--quiet")
        assert ran.status == 1
        last = ran.out.splitlines()[-1]
        assert last == (
            "all: 1 equal, 0 within, 0 different, of 1 cells; 1 papers without their data"
        )
        assert "ember-bench data fetch zother" in ran.err

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ("system,accuracy\nn,70\n", r"published.csv:2: .*no grid .* 'n'"),
            ("system,acuracy\nm,70\n", "published.csv:1: unknown column 'acuracy'; did you mean"),
            ("system,category,accuracy\nm,hard,70\n", "published.csv:2: .*no category 'hard'"),
        ],
    )
    def test_mistakes_are_told_at_their_line(
        self, command: Command, paper: Workspace, table: str, message: str
    ) -> None:
        put(paper, "published.csv", table)
        ran = command("reproduce", "sums2026", "--quiet")
        assert ran.status == 2
        assert __import__("re").search(message, ran.err), ran.err


class TestFetch:
    @pytest.fixture
    def repository(self, tmp_path: Path) -> tuple[Path, str]:
        """A public repository with the answers in another form, and a later commit without."""
        folder = tmp_path / "repository"
        folder.mkdir()

        def git(*arguments: str) -> str:
            settings = ("-c", "user.name=A", "-c", "user.email=a@example.org")
            ran = subprocess.run(
                ["git", *settings, *arguments],
                cwd=folder,
                check=True,
                capture_output=True,
                text=True,
            )
            return ran.stdout.strip()

        git("init", "--quiet")
        (folder / "answers.json").write_text(json.dumps([i + 1 for i in range(10)]))
        git("add", ".")
        git("commit", "--quiet", "-m", "first")
        commit = git("rev-parse", "HEAD")
        git("rm", "--quiet", "answers.json")
        git("commit", "--quiet", "-m", "second")
        git("config", "uploadpack.allowAnySHA1InWant", "true")
        return folder, commit

    REPACK = (
        "import json\n"
        "def repack(clones, data):\n"
        "    (clone,) = clones.values()\n"
        "    answers = json.loads((clone / 'answers.json').read_text())\n"
        "    rows = [json.dumps({'id': i, 'o': o}) for i, o in enumerate(answers)]\n"
        "    (data / 'tape.jsonl').write_text('\\n'.join(rows))\n"
    )

    def test_the_pinned_commit_is_cloned_and_repacked(
        self, command: Command, paper: Workspace, repository: tuple[Path, str]
    ) -> None:
        folder, commit = repository
        at = {"repository": f"file://{folder}", "commit": commit}
        put(paper, "registry/models/tape.yaml", recording(**at))
        put(paper, "registry/datasets/ten.yaml", dataset(**at))
        put(paper, "repack.py", self.REPACK)
        put(paper, "published.csv", "system,accuracy\nm,100\n")
        ran = command("data", "fetch", "sums2026")
        assert ran.status == 0, ran.err
        assert ran.out.splitlines() == [str(paper.root / "data" / "tape.jsonl")]
        assert "then: ember-bench reproduce sums2026" in ran.err
        assert command("reproduce", "sums2026", "--quiet").status == 0

    def test_what_cannot_be_fetched_is_told(
        self, command: Command, paper: Workspace, repository: tuple[Path, str]
    ) -> None:
        ran = command("data", "fetch", "sums2026")
        assert (ran.status, "repack by hand" in ran.err) == (2, True)
        folder, commit = repository
        put(paper, "repack.py", self.REPACK.replace("answers.json", "answer.json"))
        at = {"repository": f"file://{folder}", "commit": commit}
        put(paper, "registry/models/tape.yaml", recording(**at))
        put(paper, "registry/datasets/ten.yaml", dataset(**at))
        ran = command("data", "fetch", "sums2026")
        assert ran.status == 2
        assert "repack.py: the repository is not as expected: FileNotFoundError" in ran.err
        at["commit"] = "1" * 40
        put(paper, "registry/models/tape.yaml", recording(**at))
        put(paper, "registry/datasets/ten.yaml", dataset(**at))
        ran = command("data", "fetch", "sums2026")
        assert (ran.status, "error: git fetch" in ran.err) == (2, True)


def test_a_simulated_paper_is_reproduced_by_a_program(tmp_path: Path) -> None:
    ran = program("data", "fetch", "chen2024_more_calls", cwd=tmp_path)
    assert ran.returncode == 2
    assert "its models are simulated" in ran.stderr
