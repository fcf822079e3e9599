"""Where model-written code runs: bubblewrap namespaces, a seccomp filter, and rlimits.

In the sandbox there is the Python that runs this, its standard library, an empty /tmp, four
devices, and nothing else: no network, no other process, no variable, no home, no project, no
installed package. The limits are set by what starts in it (`_guest`), before it reads a line of
foreign code.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from ember_bench.errors import ConfigError
from ember_bench.evaluators._seccomp import seccomp_filter

# It imports nothing of this package, whose dependencies a guest does not see.
_GUEST_FOLDER: Final = Path(__file__).parent / "_guest"
_INSIDE: Final = "/guest"
_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/nix/store")
_PACKAGES: Final = ("site-packages", "dist-packages")
_DEVICES: Final = ("null", "zero", "random", "urandom")
_PROBE_SECONDS: Final = 20
_MIB: Final = 2**20
NOBODY: Final = 65534
# What `bwrap --info-fd` writes, to its end.
_CHILD: Final = re.compile(rb'"child-pid": *([0-9]+)[^0-9]')


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use.

    Attributes:
        wall_seconds: From its start to the verdict.
        cpu_seconds: Processor time.
        memory_bytes: Address space.
        threads: Threads, and processes where the machine's system calls cannot be filtered.
        file_bytes: Of one file.
        open_files: At once.
        tmp_bytes: Of all files in /tmp.
        tmp_files: How many they are, looked at from time to time.
    """

    wall_seconds: float = 30.0
    cpu_seconds: int = 10
    memory_bytes: int = 512 * _MIB
    threads: int = 32
    file_bytes: int = 16 * _MIB
    open_files: int = 64
    tmp_bytes: int = 16 * _MIB
    tmp_files: int = 4_096

    def rlimits(self) -> dict[str, int]:
        """Return what a process in the sandbox sets itself (`_guest.limits`)."""
        return {
            "cpu_seconds": self.cpu_seconds,
            "memory_bytes": self.memory_bytes,
            "threads": self.threads,
            "file_bytes": self.file_bytes,
            "open_files": self.open_files,
            "core_bytes": 0,
        }


class Guest:
    """A process in a sandbox.

    Attributes:
        process: With bubblewrap, that of the sandbox.
    """

    def __init__(self, process: subprocess.Popen[bytes], told: int | None) -> None:
        self.process = process
        self._told = told
        self._folder: str | None = None

    def tmp_files(self) -> int:
        """Return how many files there are in its /tmp; 0 where that cannot be told.

        A tmpfs limits the bytes of its files, but each empty one takes memory of the kernel's.
        """
        if self._told is None:
            return 0
        if self._folder is None:
            said = b""
            while not (found := _CHILD.search(said)) and (part := os.read(self._told, 4096)):
                said += part
            if found is None:
                return 0
            self._folder = f"/proc/{int(found[1])}/root/tmp"
        try:
            state = os.statvfs(self._folder)
        except OSError:
            return 0  # it has ended
        return state.f_files - state.f_ffree


@dataclass(frozen=True)
class Sandbox:
    """Starts guests.

    Attributes:
        bubblewrap: The program; None to run guests with rlimits alone.
    """

    bubblewrap: str | None

    @property
    def identity(self) -> str:
        """Part of what a score depends on."""
        return "bubblewrap" if self.bubblewrap else "unsafe"

    @contextlib.contextmanager
    def start(
        self,
        guest: str,
        limits: Limits,
        *arguments: str,
        stdin: int,
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
        inherited: Sequence[int] = (),
    ) -> Iterator[Guest]:
        """Start a module of `_guest`; on leaving, it and all that it started is dead.

        Args:
            guest: The module's name.
            limits: Of its rlimits it is told, as its first argument.
            arguments: Its others.
            stdin: As `subprocess.Popen` has it.
            stdout: The same.
            stderr: The same.
            inherited: Other descriptors that it gets.
        """
        # Neither the site's packages nor the user's, and no compiled files left behind.
        python = [_interpreter(), "-S", "-s", "-P", "-B", "-m", f"{_GUEST_FOLDER.name}.{guest}"]
        argv = [*python, json.dumps(limits.rlimits()), *arguments]
        with contextlib.ExitStack() as stack:
            environment = _environment(str(_GUEST_FOLDER.parent))
            told, tell = None, contextlib.ExitStack()
            if self.bubblewrap:
                told, telling = os.pipe()
                stack.callback(os.close, told)
                stack.enter_context(tell).callback(os.close, telling)
                options = [*_bubblewrap_options(limits), "--info-fd", str(telling)]
                inherited = [*inherited, telling]
                if program := seccomp_filter():
                    read = stack.enter_context(_pipe_with(program))
                    options += ["--seccomp", str(read)]
                    inherited = [*inherited, read]
                argv = [self.bubblewrap, *options, "--", *argv]
                environment = {}
            process = subprocess.Popen(  # noqa: S603 - no shell, and nothing of it is foreign
                argv,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=inherited,
                env=environment,
                cwd="/",
                start_new_session=True,
            )
            tell.close()
            try:
                yield Guest(process, told)
            finally:
                _kill(process)


def find_sandbox(*, unsafe: bool = False) -> Sandbox:
    """Return what model-written code is run in, seen to work.

    Args:
        unsafe: Do without a sandbox where there is none.

    Raises:
        ConfigError: if there is none; says why, and what to do.
    """
    program = shutil.which("bwrap") if sys.platform == "linux" else None
    problem = _probe(program) if program else "bubblewrap (bwrap) is not installed"
    if problem is None:
        return Sandbox(program)
    if unsafe:
        return Sandbox(None)
    raise ConfigError(
        f"model-written code needs a sandbox, and {problem}; on Linux, install it "
        "(apt-get install bubblewrap), or run that code without one: --unsafe-code"
    )


@cache
def _probe(program: str) -> str | None:
    """Return why bubblewrap does not work here, or None."""
    with Sandbox(program).start(
        "limits", Limits(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as guest:
        try:
            _, said = guest.process.communicate(timeout=_PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            return "bubblewrap does not come back"
    status = guest.process.returncode
    if status == 0:
        return None
    lines = said.decode(errors="replace").strip().splitlines()
    return f"bubblewrap does not work here ({lines[-1] if lines else status})"


def _bubblewrap_options(limits: Limits) -> list[str]:
    options = [
        "--unshare-all", "--unshare-user", "--disable-userns",
        "--die-with-parent", "--new-session", "--clearenv",
        "--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox", "--cap-drop", "ALL",
    ]  # fmt: skip
    for name, value in _environment(_INSIDE).items():
        options += ["--setenv", name, value]
    for path in _system():
        # A link stays one: /lib is a part of /usr on most systems.
        link = os.path.islink(path)
        options += ["--symlink", os.readlink(path), path] if link else ["--ro-bind", path, path]
    for path in _packages():
        options += ["--tmpfs", path, "--remount-ro", path]
    for device in _DEVICES:
        options += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    options += ["--ro-bind", str(_GUEST_FOLDER), f"{_INSIDE}/{_GUEST_FOLDER.name}"]
    options += ["--perms", "1777", "--size", str(limits.tmp_bytes), "--tmpfs", "/tmp"]  # noqa: S108
    options += ["--remount-ro", "/", "--chdir", "/tmp"]  # noqa: S108 - a file system of its own
    return options


def _environment(folder: str) -> dict[str, str]:
    # A fixed hash seed: the order of a set is to be the same when an answer is scored again.
    return {"PYTHONPATH": folder, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "HOME": "/tmp"}  # noqa: S108


@cache
def _interpreter() -> str:
    """Return the Python that runs this, not the link to it of a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


@cache
def _system() -> tuple[str, ...]:
    """Return the paths of the host that Python needs, each before those inside it."""
    wanted = [*_LIBRARIES, "/etc/ld.so.cache", _interpreter(), f"{sys.base_prefix}/lib"]
    wanted += [str(sysconfig.get_config_var("LIBDIR") or "/usr/lib")]
    wanted += [sysconfig.get_path("stdlib"), f"{sys.base_exec_prefix}/{sys.platlibdir}"]
    there = sorted({path for path in wanted if os.path.lexists(path)})
    return tuple(p for p in there if not any(p.startswith(f"{other}/") for other in there))


@cache
def _packages() -> tuple[str, ...]:
    """Return the folders of installed packages in `_system`, whatever Python they are for."""
    found = {
        folder
        for path in _system()
        if not os.path.islink(path)
        for depth in ("", "*/", "*/*/")
        for folder in glob.glob(f"{glob.escape(path)}/{depth}*-packages/")
    }
    names = sorted({os.path.realpath(folder) for folder in found})
    return tuple(name for name in names if os.path.basename(name) in _PACKAGES)


@contextlib.contextmanager
def _pipe_with(content: bytes) -> Iterator[int]:
    """Yield a descriptor that `content` can be read from; it fits into a pipe."""
    read, write = os.pipe()
    try:
        os.write(write, content)
        os.close(write)
        yield read
    finally:
        os.close(read)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the guest; with bubblewrap dies the first process of the sandbox, and so all of it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
