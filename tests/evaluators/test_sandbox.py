"""Programs that want out, more than their share, or a score that is not theirs: none gets it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from ember_bench.datasets.item import Item
from ember_bench.errors import ConfigError
from ember_bench.evaluators import sandbox as sandboxes
from ember_bench.evaluators._seccomp import seccomp_filter
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.python_tests import Job, PythonTests, Verdict, run_tests
from ember_bench.evaluators.sandbox import Limits, Sandbox, find_sandbox
from tests.evaluators.attempts.escapes import ESCAPES
from tests.evaluators.attempts.exhaustions import EXHAUSTIONS
from tests.evaluators.attempts.forgeries import FORGERIES

pytestmark = pytest.mark.slow

if shutil.which("bwrap") is None:
    pytest.skip("needs bubblewrap (apt-get install bubblewrap)", allow_module_level=True)

WALL_SECONDS = 6.0
# What killing and a busy machine may add.
GRACE = 20.0
# Guests are told their limits on the command line: by this number we know ours.
MARK = 16 * 2**20 + os.getpid()
LIMITS = Limits(wall_seconds=WALL_SECONDS, cpu_seconds=2, memory_bytes=256 * 2**20, file_bytes=MARK)

# For what is to reach a limit anyway: a guest starts in a tenth of this, and the rest is waiting.
SHORT = replace(LIMITS, wall_seconds=3.0, cpu_seconds=1)

TESTS = """
assert add(2, 3) == 5
assert add(-1, 1) == 0
def test_many():
    pairs = [(3, 4), (10, -4), (0, 0)]
    results = list(map(add, *zip(*pairs)))
    for (a, b), result in zip(pairs, results):
        assert result == a + b
    assert len(results) == 3
"""


class Host(NamedTuple):
    """What an escape would reach.

    Attributes:
        folder: Of the host's files.
        port: That the host listens on.
        victim: A process of the host.
        visits: Connections that were made.
    """

    folder: Path
    port: int
    victim: subprocess.Popen[bytes]
    visits: list[str]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    (tmp_path / "secret.txt").write_text("LOOT")
    visits: list[str] = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        local = stack.enter_context(socket.socket(socket.AF_UNIX))
        local.bind(str(tmp_path / "socket"))
        nameless = stack.enter_context(socket.socket(socket.AF_UNIX))
        listeners = (server, local, nameless)
        victim = subprocess.Popen(
            [sys.executable, "-S", "-c", "import time; time.sleep(600)"],
            env={"PLANTED_API_KEY": "planted"},
        )
        nameless.bind(f"\0ember-{victim.pid}")
        for listener in (local, nameless):
            listener.listen()
        for listener in listeners:
            threading.Thread(target=welcome, args=(listener, visits), daemon=True).start()
        try:
            yield Host(tmp_path, server.getsockname()[1], victim, visits)
        finally:
            victim.kill()
            victim.wait()
            for listener in listeners:
                listener.shutdown(socket.SHUT_RDWR)  # `accept` would not notice that it is closed


def welcome(listener: socket.socket, visits: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer, _ = listener.accept()
            visits.append("somebody came")
            peer.sendall(b"LOOT")
            peer.close()


def judged(
    code: str,
    tests: str,
    sandbox: Sandbox | None = None,
    reference: str = "",
    limits: Limits = LIMITS,
) -> Verdict:
    job = Job(code=code, setup="", tests=tests, entry_point=None, reference=reference)
    return run_tests.__wrapped__(job, limits, sandbox or find_sandbox())


def guests() -> list[str]:
    """Return the command lines of all processes that are left of the guests of this module."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = file.read_text(errors="replace")
            if str(MARK) in line:
                found.append(line)
    return found


def fill_in(code: str, host: Host) -> str:
    return (
        code.replace("@FOLDER@", str(host.folder))
        .replace("@PORT@", str(host.port))
        .replace("@PID@", str(host.victim.pid))
    )


ATTEMPT = "assert attempt() == 'LOOT'"
DEFINES_ATTEMPT = "def attempt(): pass"


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_outside_can_be_reached(
    name: str, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_API_KEY", "planted")
    before = sorted(path.name for path in host.folder.iterdir())
    verdict = judged(fill_in(ESCAPES[name].code, host), ATTEMPT, reference=DEFINES_ATTEMPT)
    assert verdict.tests == 1
    assert verdict.passed == 0, name
    assert verdict.failure
    assert host.victim.poll() is None
    assert not host.visits
    assert sorted(path.name for path in host.folder.iterdir()) == before
    assert (host.folder / "secret.txt").read_text() == "LOOT"


@pytest.mark.parametrize("name", [name for name, escape in ESCAPES.items() if escape.works_outside])
def test_without_a_sandbox_it_could(name: str, host: Host) -> None:
    # So it is the sandbox that keeps it in, and not a mistake in the attempt.
    verdict = judged(
        fill_in(ESCAPES[name].code, host), ATTEMPT, Sandbox(None), reference=DEFINES_ATTEMPT
    )
    assert (verdict.passed, verdict.failure) == (1, ""), name


@pytest.mark.parametrize("name", FORGERIES)
def test_no_score_can_be_forged(name: str) -> None:
    verdict = judged(FORGERIES[name], TESTS, reference="def add(a, b): pass")
    assert verdict.tests == 3
    assert verdict.passed < 3
    assert verdict.failure


def test_the_tests_that_no_forgery_passes_can_be_passed() -> None:
    verdict = judged("def add(a, b): return a + b", TESTS, reference="def add(a, b): pass")
    assert verdict == Verdict(3, 3, "")


@pytest.mark.slow
@pytest.mark.parametrize("name", EXHAUSTIONS)
def test_nothing_can_be_used_up(name: str) -> None:
    begun = time.monotonic()
    tests = "assert work() == 'LOOT'\ndef test_again():\n    assert list(work()) == []"
    verdict = judged(EXHAUSTIONS[name], tests, reference="def work(): pass", limits=SHORT)
    assert time.monotonic() - begun < SHORT.wall_seconds + GRACE
    assert verdict.tests == 2
    assert verdict.passed == 0
    assert verdict.failure
    deadline = time.monotonic() + GRACE
    while left := guests():
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.01)


def test_empty_files_are_counted_and_end_it() -> None:
    code = """
import os
def work():
    for number in range(10**7):
        os.close(os.open(f"/tmp/{number}", os.O_CREAT))
"""
    verdict = judged(code, "assert work()", reference="def work(): pass")
    assert verdict == Verdict(0, 1, "more than 4,096 files in /tmp")


def test_what_would_be_left_would_be_seen() -> None:
    read, write = os.pipe()
    with find_sandbox().start("candidate", LIMITS, stdin=read):
        deadline = time.monotonic() + GRACE
        while not any("_guest.candidate" in line for line in guests()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    os.close(read)
    os.close(write)


def test_there_are_enough_attempts() -> None:
    assert len(ESCAPES) + len(FORGERIES) + len(EXHAUSTIONS) >= 25


class TestTheWallClock:
    def test_is_the_limit_of_what_uses_no_processor_time(self, tmp_path: Path) -> None:
        begun = tmp_path / "begun"
        code = f"import time\nopen({str(begun)!r}, 'w')\ntime.sleep(10**6)"
        job = Job(code, "", "assert f()", None, "def f(): pass")

        def clock() -> float:
            return 901.0 if begun.exists() else 0.0

        verdict = run_tests.__wrapped__(job, Limits(wall_seconds=900), Sandbox(None), clock)
        assert verdict == Verdict(0, 1, "no verdict within 900 s")

    def test_a_sandbox_that_never_starts_says_nothing_of_the_answer(self) -> None:
        job = Job("x = 1", "", "assert f()", None, "def f(): pass")
        with pytest.raises(Exception, match="the sandbox did not start, or not in time"):
            run_tests.__wrapped__(job, Limits(wall_seconds=0), find_sandbox(), lambda: 0.0)


class TestWhereThereIsNoSandbox:
    def test_code_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sandboxes.shutil, "which", lambda _: None)
        with pytest.raises(ConfigError, match=r"bwrap.* is not installed.*--unsafe-code"):
            find_sandbox()

    def test_code_is_refused_where_bubblewrap_does_not_work(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        broken = tmp_path / "bwrap"
        broken.write_text(
            "#!/bin/sh\necho 'bwrap: No permissions to create a namespace' >&2\nexit 1\n"
        )
        broken.chmod(0o755)
        monkeypatch.setattr(sandboxes.shutil, "which", lambda _: str(broken))
        with pytest.raises(ConfigError, match=r"does not work here .*No permissions"):
            find_sandbox()

    def test_unsafe_code_is_run_with_limits_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sandboxes.shutil, "which", lambda _: None)
        unsafe = find_sandbox(unsafe=True)
        assert unsafe == Sandbox(None)
        assert judged("def f(): return 1", "assert f() == 1", unsafe, "def f(): pass").passed == 1
        verdict = judged(EXHAUSTIONS["memory balloon"], "assert work()", unsafe, "def work(): pass")
        assert "MemoryError" in verdict.failure

    def test_a_score_remembers_that_there_was_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        safe = PythonTests("p").confined(unsafe=True)
        monkeypatch.setattr(sandboxes.shutil, "which", lambda _: None)
        unsafe = PythonTests("p").confined(unsafe=True)
        assert safe.identity.endswith(" bubblewrap")
        assert unsafe.identity.endswith(" unsafe")

    def test_unsafe_changes_nothing_where_there_is_one(self) -> None:
        assert find_sandbox(unsafe=True) == find_sandbox()


class TestTheFilter:
    def test_is_a_program_the_kernel_takes(self) -> None:
        for machine in ("x86_64", "aarch64"):
            program = seccomp_filter(machine)
            assert program is not None
            assert len(program) % 8 == 0
            assert len(program) < 4096  # what a pipe holds in any case

    @pytest.mark.parametrize(
        ("machine", "number", "argument", "verdict"),
        [
            ("x86_64", 0, 0, 0x7FFF0000),  # read
            ("x86_64", 57, 0, 0x00050000 | errno.EPERM),  # fork
            ("x86_64", 41, 2, 0x00050000 | errno.EPERM),  # socket
            ("x86_64", 435, 0, 0x00050000 | errno.ENOSYS),  # clone3
            ("x86_64", 56, 0x10000, 0x7FFF0000),  # clone of a thread
            ("x86_64", 56, 17, 0x00050000 | errno.EAGAIN),  # clone of a process
            ("x86_64", 0x40000000, 0, 0x80000000),  # x32
            ("aarch64", 63, 0, 0x7FFF0000),  # read
            ("aarch64", 198, 2, 0x00050000 | errno.EPERM),  # socket
            ("aarch64", 220, 17, 0x00050000 | errno.EAGAIN),  # clone of a process
        ],
    )
    def test_decides(self, machine: str, number: int, argument: int, verdict: int) -> None:
        audit = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
        assert interpret(seccomp_filter(machine), number, audit, argument) == verdict

    def test_ends_a_call_of_another_architecture(self) -> None:
        assert interpret(seccomp_filter("x86_64"), 0, 0x40000003, 0) == 0x80000000

    def test_is_missing_where_the_numbers_are_not_known(self) -> None:
        assert seccomp_filter("sparc64") is None


def interpret(program: bytes | None, number: int, audit: int, argument: int) -> int:
    """Run a filter as the kernel does, on struct seccomp_data."""
    assert program is not None
    data = struct.pack("=IIQ6Q", number, audit, 0, argument, 0, 0, 0, 0, 0)
    steps = list(struct.iter_unpack("=HBBI", program))
    at = loaded = 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif code == 0x06:
            return int(value)
        else:
            holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}
            at += yes if holds[code] else no


# A program finds nothing of its host's, in a sandbox or without one.
PROGRAMS = {
    "reads standard input under try": """
try:
    line = input()
except EOFError:
    line = None
def f(): return line is None
""",
    "reads all of standard input": """
import sys
text = sys.stdin.read()
def f(): return text == ""
""",
    "reads descriptor 0": """
import os
read = os.read(0, 10)
def f(): return read == b""
""",
    "has no variable of the host's": """
import os
def f(): return set(os.environ) <= {"PYTHONHASHSEED", "PYTHONUTF8", "HOME", "LC_CTYPE", "PWD"}
""",
    "imports no installed package": """
def f():
    for name in ("numpy", "msgspec", "pytest", "pip"):
        try:
            __import__(name)
        except ImportError:
            continue
        return False
    return True
""",
}
CONFINEMENTS = {"bubblewrap": find_sandbox(), "unsafe": Sandbox(None)}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("confinement", CONFINEMENTS)
def test_a_program_finds_nothing_of_its_host(
    program: str, confinement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_API_KEY", "planted")
    verdict = judged(PROGRAMS[program], "assert f()", CONFINEMENTS[confinement], "def f(): pass")
    assert (verdict.passed, verdict.failure) == (1, "")


def test_a_program_without_a_sandbox_imports_nothing_from_beside_its_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages"
    shutil.copytree(sandboxes._GUEST_FOLDER, site / "_guest")
    (site / "neighbour.py").write_text("")
    monkeypatch.setattr(sandboxes, "_GUEST_FOLDER", site / "_guest")
    verdict = judged("def f(): import neighbour", "assert f()", Sandbox(None), "def f(): 0")
    assert "No module named 'neighbour'" in verdict.failure


@pytest.mark.parametrize("folder", sandboxes._packages())
def test_installed_packages_are_hidden_also_from_a_program_that_knows_their_folder(
    folder: str,
) -> None:
    assert os.listdir(folder)
    code = f"import os\ndef f(): return os.listdir({folder!r})"
    verdict = judged(code, "assert f() == []", reference="def f(): pass")
    assert (verdict.passed, verdict.failure) == (1, "")


def test_an_escape_is_a_wrong_answer_and_not_an_error() -> None:
    item = Item(
        "1", "?", "def add(a, b):\n    return a + b", answer_format="python",
        metadata={"tests": TESTS},
    )  # fmt: skip
    score = PythonTests("p").evaluate(item, "```python\nimport os\nos._exit(0)\n```")
    assert isinstance(score, Score)
    assert score.outcome == "wrong"
    assert score.explanation.isprintable()
