"""Attempts to reach what is outside the sandbox.

Each is a function `attempt()` that returns "LOOT" if it succeeds. `@FOLDER@` is a folder of
the host's, `@PORT@` a port that it listens on, `@PID@` one of its processes.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from tests.evaluators.attempts import CTYPES


class Escape(NamedTuple):
    """An attempt to reach what is outside.

    Attributes:
        code: The program.
        works_outside: Whether it succeeds where there is no sandbox: then it is a real attempt.
    """

    code: str
    works_outside: bool = True


ESCAPES = {
    "read keys from the environment": Escape("""
import os
def attempt():
    return "LOOT" if "PLANTED_API_KEY" in os.environ else "no"
""", works_outside=False),  # it is not there even without a sandbox
    "read keys from another process's environment": Escape("""
from pathlib import Path
def attempt():
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            if b"PLANTED_API_KEY=planted" in file.read_bytes():
                return "LOOT"
        except OSError:
            pass
    return "no"
"""),
    "read a file of the host": Escape("""
def attempt():
    return open("@FOLDER@/secret.txt").read()
"""),
    "read it through a symbolic link": Escape("""
import os
def attempt():
    os.symlink("@FOLDER@/secret.txt", "/tmp/link-@PID@")
    try:
        return open("/tmp/link-@PID@").read()
    finally:
        os.unlink("/tmp/link-@PID@")
"""),
    "read it through a hard link": Escape("""
import os
def attempt():
    os.link("@FOLDER@/secret.txt", "@FOLDER@/hard.txt")
    try:
        return open("@FOLDER@/hard.txt").read()
    finally:
        os.unlink("@FOLDER@/hard.txt")
"""),
    "read it from a parent of the working directory": Escape("""
def attempt():
    return open("../" * 40 + "@FOLDER@/secret.txt").read()
"""),
    "read the host's accounts": Escape("""
def attempt():
    return "LOOT" if "root" in open("/etc/passwd").read() else "no"
"""),
    "read the project": Escape("""
import os, sys
def attempt():
    evaluators = os.path.dirname(os.path.dirname(sys.modules["_guest.wire"].__file__))
    return "LOOT" if os.path.exists(evaluators + "/../experiment") else "no"
"""),
    "list the host's processes": Escape("""
import os
def attempt():
    return "LOOT" if "@PID@" in os.listdir("/proc") else "no"
"""),
    "write a file of the host": Escape("""
def attempt():
    open("@FOLDER@/written.txt", "w").write("x")
    return "LOOT"
"""),
    "write among the system's files": Escape("""
import os, sys
def attempt():
    for folder in ("/", "/usr/lib", "/dev", "/etc", os.path.dirname(os.__file__), sys.path[0]):
        path = os.path.join(folder, "written-@PID@")
        try:
            open(path, "w").close()
        except OSError:
            continue
        os.unlink(path)
        return "LOOT"
    return "no"
"""),
    "change the guest's own program": Escape("""
import sys
def attempt():
    with open(sys.modules["__main__"].__file__, "a"):
        return "LOOT"
"""),
    "connect to a server on the host": Escape("""
import socket
def attempt():
    with socket.create_connection(("127.0.0.1", @PORT@), timeout=2) as peer:
        return peer.recv(4).decode()
"""),
    "connect to a socket in the host's files": Escape("""
import socket
def attempt():
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect("@FOLDER@/socket")
        return peer.recv(4).decode()
"""),
    "open a netlink socket": Escape("""
import socket
def attempt():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
    return "LOOT"
"""),
    "open a packet socket by another system call interface": Escape(CTYPES + """
def attempt():
    return "LOOT" if libc.socket(2, 1, 0) >= 0 else "no"
"""),
    "signal a process of the host": Escape("""
import os, signal
def attempt():
    os.kill(@PID@, 0)
    return "LOOT"
"""),
    "kill everything": Escape("""
import os, signal
def attempt():
    os.kill(-1, signal.SIGKILL)
    os.kill(os.getppid(), signal.SIGKILL)
    return "LOOT"
""", works_outside=False),  # it would be the end of this machine
    "trace a process of the host": Escape(CTYPES + """
def attempt():
    PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
    if libc.ptrace(PTRACE_SEIZE, @PID@, None, None) != 0:
        return "no"
    return "LOOT"
"""),
    "be traced": Escape(CTYPES + """
def attempt():
    return "LOOT" if libc.ptrace(0, 0, None, None) == 0 else "no"
"""),
    "start a shell": Escape("""
import subprocess
def attempt():
    return subprocess.run(["/bin/sh", "-c", "printf LOOT"], capture_output=True).stdout.decode()
"""),
    "start a shell by exec": Escape("""
import os
def attempt():
    os.execv("/bin/sh", ["sh", "-c", "true"])
""", works_outside=False),
    "fork": Escape("""
import os
def attempt():
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "LOOT"
"""),
    "fork by a system call": Escape(CTYPES + """
import os
def attempt():
    clone = 56 if os.uname().machine == "x86_64" else 220
    child = libc.syscall(clone, 17, 0, 0, 0, 0)
    if child == 0:
        libc._exit(0)
    return "LOOT" if child > 0 else "no"
"""),
    "a new user namespace": Escape(CTYPES + """
def attempt():
    return "LOOT" if libc.unshare(0x10000000) == 0 else "no"
"""),
    "mount": Escape(CTYPES + """
def attempt():
    done = libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0
    return "LOOT" if done else "no"
""", works_outside=False),
    "change the root": Escape("""
import os
def attempt():
    os.chroot("/tmp")
    return "LOOT"
""", works_outside=False),
    "become root": Escape("""
import os
def attempt():
    os.setuid(0)
    return "LOOT"
""", works_outside=False),
    "open the machine's memory": Escape("""
import os
def attempt():
    for name in ("mem", "kmem", "port", "kmsg", "sda", "vda", "kvm", "fuse", "tty"):
        try:
            os.open(f"/dev/{name}", os.O_RDONLY)
            return "LOOT"
        except OSError:
            pass
    return "no"
""", works_outside=False),
    "make a device": Escape("""
import os, stat
def attempt():
    os.mknod("/tmp/mem", 0o600 | stat.S_IFCHR, os.makedev(1, 1))
    os.open("/tmp/mem", os.O_RDONLY)
    return "LOOT"
""", works_outside=False),
    "raise its own limits": Escape("""
import resource
def attempt():
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2 * hard, 2 * hard))
    return "LOOT"
""", works_outside=False),
    "memory that no limit counts": Escape("""
import ctypes, os
def attempt():
    libc = ctypes.CDLL(None)
    if libc.shmget(0, 4096, 0o1600) >= 0:
        return "LOOT"
    os.memfd_create("x")
    return "LOOT"
"""),
    "find more descriptors than the one to the judge": Escape("""
import os
def attempt():
    found = 0
    for number in range(3, 256):
        try:
            os.fstat(number)
            found += 1
        except OSError:
            pass
    return "LOOT" if found > 1 else "no"
""", works_outside=False),
    "take a device away from the machine": Escape("""
import os
def attempt():
    for name in ("null", "zero", "random", "urandom"):
        for change in (lambda path: os.chmod(path, 0o666), os.utime):
            try:
                change(f"/dev/{name}")  # to what it is: but if this can be done, so can worse
                return "LOOT"
            except OSError:
                pass
    return "no"
""", works_outside=os.geteuid() == 0),
    "take the descriptors of another process": Escape(CTYPES + """
import os
def attempt():
    PIDFD_OPEN, PIDFD_GETFD = 434, 438
    for process in (1, 2, 3, os.getpid()):
        opened = libc.syscall(PIDFD_OPEN, process, 0)
        for number in range(64) if opened >= 0 else ():
            if libc.syscall(PIDFD_GETFD, opened, number, 0) >= 0:
                return "LOOT"
    return "no"
"""),
    "read the environment of a parent": Escape("""
import os
def attempt():
    process = os.getppid()
    for name in ("self", str(process), "1", "thread-self/../.."):
        try:
            if b"=" in open(f"/proc/{name}/environ", "rb").read():
                return "LOOT"
        except OSError:
            pass
    return "no"
"""),
    "go around the filter by io_uring": Escape(CTYPES + """
def attempt():
    IO_URING_SETUP, parameters = 425, ctypes.create_string_buffer(120)
    return "LOOT" if libc.syscall(IO_URING_SETUP, 8, parameters) >= 0 else "no"
""", works_outside=False),  # many machines have it switched off
    "speak on a socket without a file": Escape("""
import socket
def attempt():
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect("\\0ember-@PID@")
        return peer.recv(4).decode()
"""),
    "leave something in shared memory": Escape("""
import os
def attempt():
    path = "/dev/shm/left-@PID@"
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    os.unlink(path)
    return "LOOT"
"""),
    "leave a core dump": Escape("""
import resource
def attempt():
    return "no" if resource.getrlimit(resource.RLIMIT_CORE) == (0, 0) else "LOOT"
""", works_outside=False),
    "hold a capability": Escape(CTYPES + """
def attempt():
    PR_CAPBSET_READ, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET = 23, 47, 1
    for number in range(41):
        if libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1:
            return "LOOT"
        if libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, number, 0, 0) == 1:
            return "LOOT"
    return "no"
""", works_outside=False),
    "gain privileges by a program": Escape(CTYPES + """
def attempt():
    PR_GET_NO_NEW_PRIVS = 39
    return "no" if libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 else "LOOT"
""", works_outside=False),
    "come before all others": Escape("""
import os
def attempt():
    for jump in (
        lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10)),
        lambda: os.setpriority(os.PRIO_PROCESS, 0, -10),
    ):
        try:
            jump()
            return "LOOT"
        except OSError:
            pass
    return "no"
""", works_outside=False),
    "watch files, of which a user may watch few": Escape(CTYPES + """
def attempt():
    return "LOOT" if libc.inotify_init() >= 0 else "no"
"""),
    "set the clock": Escape("""
import time
def attempt():
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    return "LOOT"
""", works_outside=False),
    "type on the terminal": Escape("""
import fcntl, termios
def attempt():
    for number in range(3):
        try:
            fcntl.ioctl(number, termios.TIOCSTI, b"x")
            return "LOOT"
        except OSError:
            pass
    return "no"
""", works_outside=False),
    "see the host's name": Escape("""
import os
def attempt():
    return "no" if os.uname().nodename == "sandbox" else "LOOT"
"""),
}  # fmt: skip
