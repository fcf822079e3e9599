"""Attempts to use up the machine.

Each is to end within its limits, and to be wrong: `work()` is to return what it cannot.
"""

from __future__ import annotations

EXHAUSTIONS = {
    "fork bomb": """
import os
def work():
    while True:
        os.fork()
""",
    "fork bomb that does not give up": """
import os
def work():
    while True:
        try:
            os.fork()
        except OSError:
            pass
""",
    "thread bomb": """
import threading, time
def work():
    threads = []
    while True:
        threads.append(threading.Thread(target=time.sleep, args=(60,), daemon=True))
        threads[-1].start()
        if len(threads) > 500:
            return "LOOT"
""",
    "memory balloon": """
def work():
    kept = []
    while len(kept) < 1000:
        kept.append(bytearray(2**20))
    return "LOOT"
""",
    "memory balloon of mapped pages": """
import mmap
def work():
    kept = [mmap.mmap(-1, 2**20) for _ in range(1000)]
    return "LOOT"
""",
    "zip bomb": """
import zlib
def work():
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()
    return "LOOT" if len(zlib.decompress(packed)) > 2**28 else "no"
""",
    "one huge file": """
def work():
    with open("/tmp/huge", "wb") as file:
        for _ in range(200):
            file.write(bytes(2**20))
    return "LOOT"
""",
    "a sparse file": """
def work():
    with open("/tmp/sparse", "wb") as file:
        file.truncate(2**40)
    return "LOOT"
""",
    "many files that fill the disk": """
def work():
    for number in range(100):
        with open(f"/tmp/{number}", "wb") as file:
            file.write(bytes(2**20))
    return "LOOT"
""",
    "too many open files": """
def work():
    kept = [open("/dev/null") for _ in range(1000)]
    return "LOOT"
""",
    "endless output": """
import os
def work():
    line = b"x" * 65536
    while True:
        os.write(1, line)
        os.write(2, line)
""",
    "endless printing while it is loaded": """
while True:
    print("x" * 10_000)
""",
    "a huge value": """
def work():
    return "LOOT" * 4_000_000
""",
    "a value too deep to be sent": """
def work():
    value = []
    for _ in range(100_000):
        value = [value]
    return value
""",
    "a value that holds itself": """
def work():
    value = []
    value.append(value)
    return value
""",
    "a value that doubles": """
def work():
    value = ["LOOT"]
    for _ in range(60):
        value = [value, value]
    return value
""",
    "an endless loop": "def work():\n    while True:\n        pass",
    "an endless loop while it is loaded": "while True:\n    pass",
    "sleep forever": """
import time
def work():
    time.sleep(10**6)
""",
    "stop oneself": """
import os, signal
def work():
    os.kill(os.getpid(), signal.SIGSTOP)
""",
    "a thread that stays": """
import os, threading, time
def work():
    def stay():
        while True:
            try:
                os.write(1, b"LOOT")
                time.sleep(0.01)
            except BaseException:
                pass
    for _ in range(8):
        threading.Thread(target=stay).start()
    return "no"
""",
    "folders in folders": """
import os
def work():
    for _ in range(10**6):
        os.mkdir("d")
        os.chdir("d")
""",
    "pipes that are full": """
import fcntl, os
def work():
    F_SETPIPE_SZ, kept = 1031, []
    for _ in range(1000):
        read, write = os.pipe()
        fcntl.fcntl(write, F_SETPIPE_SZ, 2**20)
        kept.append((read, write, os.write(write, bytes(2**20))))
    return "LOOT"
""",
    "memory that cannot be taken back": """
import ctypes
def work():
    content = ctypes.create_string_buffer(100 * 2**20)
    return "LOOT" if ctypes.CDLL(None).mlock(content, len(content)) == 0 else "no"
""",
    "ignore all signals": """
import signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
def work():
    while True:
        pass
""",
    "a daemon that stays": """
import os, time
def work():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(10**6)
        os._exit(0)
    return "LOOT"
""",
    "recursion without an end": """
def work():
    return work()
""",
    "recursion over the C stack": """
import sys
sys.setrecursionlimit(10**9)
class Deep:
    def __getattr__(self, name):
        return getattr(self, name + "x")
def work():
    return Deep().x
""",
    "a program that its parser cannot take": "x = " + "-" * 200_000 + "1",
    "brackets that its parser cannot take": "x = " + "(" * 100_000,
    "a regular expression without an end": """
import re
def work():
    return re.match("(a+)+$", "a" * 60 + "b")
""",
    "a power without an end": "def work():\n    return 10 ** (10 ** 10)",
    "a list without an end": """
import itertools
def work():
    return list(itertools.repeat(0))
""",
    "an iterator without an end": """
import itertools
def work():
    return itertools.repeat("x")
""",
    "wait for the judge to speak": """
import os, stat
def work():
    for number in range(3, 64):
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            return os.read(number, 2**20)
""",
}
