"""Attempts to get a score without the answer: each is judged on `add`, which it has wrong."""

from __future__ import annotations

from tests.evaluators.attempts import CTYPES

FORGERIES = {
    "end with success": "import sys\nsys.exit(0)",
    "end with success at once": "import os\nos._exit(0)",
    "end with success from C": CTYPES + "libc.exit(0)",
    "end with success when called": "import os\ndef add(a, b):\n    os._exit(0)",
    "raise SystemExit when called": "def add(a, b):\n    raise SystemExit(0)",
    "say that all tests passed": """
import os, sys
print("all tests passed", flush=True)
os.write(2, b"Ran 3 tests in 0.000s\\n\\nOK\\n")
""",
    "write the report": """
import json, os
for number in (0, 1, 2):
    report = {"nonce": "0" * 32, "passed": 3, "tests": 3, "calls": 3, "failure": ""}
    os.write(number, json.dumps(report).encode() + b"\\n")
""",
    "answer before it is asked": """
import json, os, struct
for reply in ({"passed": 3, "tests": 3}, {"value": 5}, {"value": True}, {"hello": True}):
    body = json.dumps(reply).encode()
    os.write(0, struct.pack(">I", len(body)) + body)
""",
    "be equal to everything": """
class Anything:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __bool__(self): return True
def add(a, b):
    return Anything()
""",
    "be a number equal to everything": """
class Anything(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = int.__hash__
def add(a, b):
    return Anything(0)
""",
    "be a text that claims another type": """
class Liar(str):
    __class__ = int
    def __eq__(self, other): return True
    __hash__ = str.__hash__
def add(a, b):
    return Liar("5")
""",
    "patch the builtins": """
import builtins
builtins.AssertionError = type("Fine", (Exception,), {})
builtins.__build_class__ = builtins.exec = builtins.compile = lambda *a, **k: None
builtins.all = builtins.any = builtins.isinstance = lambda *a: True
""",
    "patch the modules that count": """
import sys, types
for name in list(sys.modules):
    if "ember_bench" in name or name in ("json", "ast", "__main__"):
        module = sys.modules[name]
        for attribute in ("confine", "encode", "decode", "run_tests", "judge", "report"):
            setattr(module, attribute, lambda *a, **k: True)
""",
    "patch unittest": """
import unittest
unittest.TestCase.assertEqual = lambda *a: None
unittest.TestResult.wasSuccessful = lambda self: True
def add(a, b): return None
""",
    "look for the tests in the frames": """
import gc, sys
def add(a, b):
    frame = sys._getframe()
    while frame:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            if isinstance(value, str) and "assert add" in value:
                return a + b
        frame = frame.f_back
    for thing in gc.get_objects():
        for value in thing.values() if isinstance(thing, dict) else ():
            if isinstance(value, str) and ("assert add" in value or "nonce" in value):
                return a + b
    return None
""",
    "look for the tests in memory": """
import re
def add(a, b):
    for line in open("/proc/self/maps"):
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        with open("/proc/self/mem", "rb") as memory:
            memory.seek(start)
            if b"assert add(" + b"2" in memory.read(end - start):
                return a + b
    return None
""",
    "look for the tests in files": """
import os
def add(a, b):
    for folder, _, names in os.walk("/guest"):
        for name in names:
            if "assert add(" + "2" in open(os.path.join(folder, name)).read():
                return a + b
    return None
""",
    "end the loop of the tests": "def add(a, b):\n    raise StopIteration",
    "end the loop by a class of that name": """
class StopIteration(StopIteration): pass
def add(a, b):
    raise StopIteration
""",
    "end the loop by a generator's end": "def add(a, b):\n    raise GeneratorExit",
    "raise what tests may expect": """
import unittest
def add(a, b):
    raise unittest.SkipTest("skipped")
""",
    "interrupt": "def add(a, b):\n    raise KeyboardInterrupt",
    "act when all is over": """
import atexit, os
atexit.register(lambda: os.write(0, b'{"passed": 3}'))
def add(a, b): return 0
""",
    "end with success when all is over": """
import atexit, os
atexit.register(os._exit, 0)
def add(a, b): return None
""",
    "end with success from a thread": """
import os, threading
threading.Timer(0.05, os._exit, [0]).start()
def add(a, b):
    threading.Event().wait(0.2)
""",
    "end with success by a signal": """
import os, signal, sys
signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
def add(a, b):
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
""",
    "forge the frames on its streams": """
import json, os, struct
def add(a, b):
    for value in (5, 0, 7, True):
        body = json.dumps({"value": value}).encode()
        for stream in (1, 2):
            os.write(stream, struct.pack(">I", len(body)) + body)
""",
    "be greater and less than everything": """
class Anything:
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = lambda self, other: True
    __hash__ = object.__hash__
    __sub__ = __rsub__ = __abs__ = __round__ = lambda self, *_: 0
def add(a, b):
    return Anything()
""",
    "close its streams": """
import os
os.closerange(0, 64)
def add(a, b): return 5
""",
    "speak out of turn from a thread": """
import os, threading
def shout():
    while True:
        os.write(0, b"\\x00\\x00\\x00\\x0e{\\"value\\": true}")
threading.Thread(target=shout, daemon=True).start()
def add(a, b): return None
""",
    "answer with garbage": """
import os
def add(a, b):
    os.write(0, b"\\xff\\xff\\xff\\xff" + b"x" * 1000)
""",
    "hand out what it does not have": """
import json, os, struct
def add(a, b):
    for value in ({"handle": [10**9, "int"]}, {"handle": "x"}, {"set": [[1]]}, {"int": "z"}, {}):
        body = json.dumps({"value": value}).encode()
        os.write(0, struct.pack(">I", len(body)) + body)
""",
}
