"""An experiment as one file: what is taken out of it is what was put in."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ember_bench.errors import ConfigError
from ember_bench.running.archives import unpack
from tests.cli.conftest import Command, command, here, sums
from tests.support import counted
from tests.support.workspace import Workspace, single, vote

__all__ = ["command", "here", "sums"]

EXPORT = ("export", "trip", "--format", "archive", "--output", "trip.zip")


@pytest.fixture
def archived(command: Command, sums: Workspace) -> Path:
    """A run of two systems beside another experiment, and the archive of the first."""
    sums.model("counted:a", right=0.6)
    sums.grid(architectures=[single(), vote([3])], epochs=2)
    assert command("run", "grid.yaml", "--no-mlflow", "--quiet").status == 0
    sums.write("experiments/other.yaml", (sums.root / "grid.yaml").read_text())
    sums.edit("experiments/other.yaml", "name: trip", "name: other")
    sums.edit("experiments/other.yaml", "epochs: 2", "epochs: 4")
    assert command("run", "other", "--no-mlflow", "--quiet").status == 0
    ran = command(*EXPORT)
    assert ran.status == 0, ran.err
    return sums.root / "trip.zip"


@pytest.fixture
def elsewhere(archived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another machine: a folder without anything."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as base:
        return list(base.iterdump())


def rows(path: Path) -> list[str]:
    """The trials in a store, without its facts."""
    return [line for line in dump(path) if line.startswith('INSERT INTO "trials"')]


def rewritten(name: str, archive: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> Path:
    """An archive whose files are changed."""
    made = archive.with_name(name)
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(made, "w") as new:
        for place in old.namelist():
            new.writestr(*change(place, old.read(place)))
    return made


def test_trials_answers_and_summary_are_the_same_to_the_last_digit(
    command: Command, sums: Workspace, archived: Path, elsewhere: Path
) -> None:
    before = {
        p: (sums.root / "results/trip" / p).read_bytes() for p in ("summary.json", "summary.md")
    }
    ran = command("import", "archive", archived)
    assert ran.status == 0, ran.err
    assert dump(elsewhere / "results/trip/trials.db") == dump(sums.root / "results/trip/trials.db")
    assert {p: (elsewhere / "results/trip" / p).read_bytes() for p in before} == before
    requests = sum(counted.requests().values())
    again = command("run", "trip", "--offline", "--no-mlflow", "--json", "--quiet").json
    assert sum(counted.requests().values()) == requests
    assert (again["run"]["trials_run"], again["run"]["calls_made"]) == (0, 0)
    assert command("verify", "trip").status == 0


def test_graphs_run_again_on_the_stored_answers(
    command: Command, sums: Workspace, archived: Path, elsewhere: Path
) -> None:
    command("import", "archive", archived)
    requests = sum(counted.requests().values())
    assert command("rescore", "trip", "--evaluator", "exact_match", "--as", "again").status == 0
    chosen = command("export", "trip", "--what", "choices")
    assert (chosen.status, sum(counted.requests().values())) == (0, requests)
    assert chosen.out.count("\n") == 2  # a heading, and the vote


def test_only_the_answers_of_the_experiment_are_in_it(
    command: Command, sums: Workspace, archived: Path, elsewhere: Path
) -> None:
    command("import", "archive", archived)
    counts = []
    for folder in (sums.root, elsewhere):
        with closing(sqlite3.connect(folder / "results/responses.db")) as base:
            tables = ("responses", "payments")
            counts.append([base.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables])
    assert counts == [[120, 2], [60, 1]]


def test_results_that_are_there_are_merged_and_the_same_twice_is_once(
    command: Command, archived: Path, elsewhere: Path
) -> None:
    first = command("import", "archive", archived, "--json").json
    assert not first["merged"]
    assert "experiments/trip.yaml" in first["files"]
    trials = rows(elsewhere / "results/trip/trials.db")
    second = command("import", "archive", archived, "--json").json
    assert (second["merged"], second["files"]) == (True, [])
    assert rows(elsewhere / "results/trip/trials.db") == trials


def test_another_file_of_a_name_is_refused_and_nothing_is_written(
    command: Command, archived: Path, elsewhere: Path
) -> None:
    card = elsewhere / "registry/models/counted-a.yaml"
    card.parent.mkdir(parents=True)
    card.write_text("name: counted:a\npurpose: Another one.\n")
    ran = command("import", "archive", archived)
    assert ran.status == 2
    assert "registry/models/counted-a.yaml is here with another content" in ran.err
    assert sorted(p for p in elsewhere.rglob("*") if p.is_file()) == [card]


def test_code_is_named_and_written_only_if_somebody_agrees(
    command: Command, sums: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody answers
    sums.write("registry/mine.py", "print('runs')\n")
    assert command("run", "grid.yaml", "--no-mlflow", "--quiet").status == 0
    assert command(*EXPORT).status == 0
    (sums.root / "registry/mine.py").unlink()
    ran = command("import", "archive", "trip.zip")
    assert ran.status == 2
    assert "trip.zip has code, which runs with the next command: registry/mine.py" in ran.err
    assert not (sums.root / "registry/mine.py").exists()
    assert command("import", "archive", "trip.zip", "--yes").status == 0
    assert (sums.root / "registry/mine.py").is_file()


def test_what_is_not_in_it_is_said(command: Command, sums: Workspace) -> None:
    data = (sums.root / "registry/datasets/sums.jsonl").rename(sums.root / "sums.jsonl")
    sums.edit("registry/datasets/sums.yaml", "file: sums.jsonl", "file: ../../sums.jsonl")
    command("run", "grid.yaml", "--no-mlflow", "--quiet")
    assert f"{data} is outside of the registry, and not in the archive" in command(*EXPORT).err
    (sums.root / "grid.yaml").unlink()
    ran = command(*EXPORT)
    assert (ran.status, "the archive has no grid and no cards" in ran.err) == (0, True)


def test_damage_and_strangers_are_told(command: Command, archived: Path, elsewhere: Path) -> None:
    def other(name: str, content: bytes) -> tuple[str, bytes]:
        return name, content + b" " if name.endswith("summary.md") else content

    def outside(name: str, content: bytes) -> tuple[str, bytes]:
        if name != "archive.json":
            return name.replace("registry/models/counted-a.yaml", "../out.yaml"), content
        return name, content.replace(b"registry/models/counted-a.yaml", b"../out.yaml")

    def later(name: str, content: bytes) -> tuple[str, bytes]:
        return name, content.replace(b'"format": 1', b'"format": 2')

    text = archived.with_name("text.zip")
    text.write_text("no zip")
    with zipfile.ZipFile(archived.with_name("any.zip"), "w") as any_zip:
        any_zip.writestr("readme.txt", "hello")
    for path, message in (
        (rewritten("damaged.zip", archived, other), "is damaged: results/trip/summary.md"),
        (
            rewritten("outside.zip", archived, outside),
            "its files are not those of its archive.json",
        ),
        (rewritten("later.zip", archived, later), "is of format 2"),
        (text, "no archive of an experiment"),
        (archived.with_name("any.zip"), "no archive of an experiment"),
        (archived.with_name("none.zip"), "there is no such file"),
    ):
        ran = command("import", "archive", path)
        assert (ran.status, message in ran.err) == (2, True), ran.err
    assert not list(elsewhere.glob("**/*.yaml"))
    assert not (elsewhere.parent / "out.yaml").exists()


def test_a_flipped_byte_is_told_wherever_it_is(archived: Path, elsewhere: Path) -> None:
    content = archived.read_bytes()
    damaged = archived.with_name("damaged.zip")
    refused = 0
    # At the end stands where everything else is.
    everywhere = range(0, len(content), len(content) // 100)
    for place in (*everywhere, *range(len(content) - 150, len(content))):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            unpack(damaged, elsewhere / f"results{place}")
        except ConfigError:
            refused += 1
    assert refused > 50  # not every byte matters: times of files do not


def test_an_archive_needs_a_file(command: Command, sums: Workspace) -> None:
    assert "give --output FILE.zip" in command("export", "trip", "--format", "archive").err
    assert "there are no results of it" in command(*EXPORT).err


def test_an_archive_says_what_it_is(archived: Path) -> None:
    with zipfile.ZipFile(archived) as archive:
        manifest = json.loads(archive.read("archive.json"))
        names = set(archive.namelist())
    assert (manifest["format"], manifest["experiment"]) == (1, "trip")
    assert set(manifest["files"]) == names - {"archive.json"}
    assert {
        "experiments/trip.yaml",
        "results/trip/trials.db",
        "registry/datasets/sums.jsonl",
    } <= names


def test_answers_that_stand_in_recordings_are_in_it(
    command: Command, sums: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [{"id": f"sums-{n}", "said": [f"{n}, I say", f"{n}, I think"]} for n in range(10)]
    recording = sums.write("registry/models/set.json", json.dumps(records))
    fields = {"item": "id", "answer": "said"}
    card = {"name": "recorded:set", "purpose": "Recorded.", "models": ["m"], "fields": fields}
    sums.write("registry/models/set.yaml", {**card, "files": "set.json"})
    sums.grid(architectures=[single("recorded:set/m")], epochs=2)
    assert command("run", "grid.yaml", "--no-mlflow", "--quiet").status == 0
    texts = ("export", "trip", "--what", "calls", "--texts")
    before = command(*texts).out
    assert ", I say" in before
    assert command(*EXPORT).status == 0
    archive = sums.root / "trip.zip"
    recording.write_text(json.dumps([*records, {"id": "more", "said": ["x"]}]))
    for ran in (command(*texts), command(*EXPORT)):
        assert ran.status == 2
        assert "recorded:set/m: the recording set.json has changed since answers" in ran.err
    recording.unlink()
    ran = command(*texts)
    assert (ran.status, "the recording set.json is not there" in ran.err) == (2, True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert command("import", "archive", archive).status == 0
    assert command(*texts).out == before
