from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ember_bench.files import write, written


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_new_file_has_its_content_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "new", b"content")
    assert (tmp_path / "new").read_bytes() == b"content"
    assert names(tmp_path) == {"new"}


def test_a_file_has_its_old_content_until_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with written(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_a_failure_leaves_the_old_content_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), written(path) as file:
        file.write(b"%d" % (1 // file.write(b"")))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"file"}


def test_a_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o640)
    write(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("there", [True, False], ids=["to_a_file", "to_nothing_yet"])
def test_a_link_is_followed_and_stays(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    if there:
        target.write_bytes(b"old")
    link.symlink_to(target)
    write(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert names(target.parent) == {"target"}


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write(pipe, b"content")
    reader.join()
    assert read == [b"content"]
    assert pipe.is_fifo()


@pytest.mark.parametrize("linked", [False, True], ids=["itself", "by_a_link"])
def test_a_device_is_written_into(tmp_path: Path, linked: bool) -> None:
    path = Path(os.devnull)
    if linked:
        path = tmp_path / "null"
        path.symlink_to(os.devnull)
    write(path, b"content")
    assert path.is_char_device()


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1"])
def test_a_redirected_stream_keeps_what_it_has(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"before\n")
    inode = out.stat().st_ino
    code = f"from ember_bench.files import *; write(Path({name!r}), b'x')"
    with out.open("ab") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert out.read_bytes() == b"before\nx"
    assert out.stat().st_ino == inode


def test_a_folder_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write(tmp_path, b"content")
    assert names(tmp_path) == set()
