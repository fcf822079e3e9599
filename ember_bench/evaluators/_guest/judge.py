"""Runs an item's tests; what they test is in another sandbox, behind a socket.

Standard input has the job, as JSON. Standard output gets two lines of JSON, each with the job's
nonce: how many tests there are, before the code under test is heard of, and the verdict.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, Final

from .limits import confine, forget_package
from .wire import Channel, ClosedError, Handle, WireError
from .wire import decode as _decode
from .wire import encode as _encode

_LONGEST: Final = 300
# Raised by a function under test these would end a loop of the tests as if it had been finished.
_NEVER_RAISED: Final = ("StopIteration", "StopAsyncIteration", "GeneratorExit")


class CandidateError(Exception):
    """The code under test raised something that is no built-in exception."""


class CandidateEndedError(BaseException):
    """The code under test is gone; no test is to catch this."""


class Remote:
    """An object in the candidate's sandbox."""

    __slots__ = ("_candidate", "_handle")
    _candidate: Candidate
    _handle: Handle

    def __init__(self, candidate: Candidate, handle: Handle) -> None:
        object.__setattr__(self, "_candidate", candidate)
        object.__setattr__(self, "_handle", handle)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call it there; arguments that it changed are changed here too."""
        return self._candidate.call(self._handle, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        """Look into it; never at what Python itself asks objects for."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self._candidate.ask("getattr", self._handle, name)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over it there, one request an entry."""
        iterator = self._candidate.ask("iter", self._handle)
        if not isinstance(iterator, Remote):
            raise TypeError("not an iterator")
        while True:
            try:
                yield iterator._candidate.ask("next", iterator._handle, ends=True)
            except StopIteration:
                return

    def __next__(self) -> Any:
        """Return the next entry of an iterator."""
        return self._candidate.ask("next", self._handle, ends=True)

    def __len__(self) -> int:
        """Return its length."""
        length = self._candidate.ask("len", self._handle)
        if type(length) is not int:
            raise TypeError("not a length")
        return length

    def __bool__(self) -> bool:
        """Return true, and never what the code would say of itself."""
        return True

    def __getitem__(self, key: Any) -> Any:
        """Return an entry."""
        return self._candidate.ask("getitem", self._handle, key)

    def __str__(self) -> str:
        """Return its text."""
        text = self._candidate.ask("str", self._handle)
        if type(text) is not str:
            raise TypeError("not a text")
        return text

    def __setattr__(self, name: str, _: Any) -> None:
        """Refuse: tests look, they do not touch."""
        raise AttributeError(name)


class Candidate:
    """The code under test."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.calls = 0

    def load(self, code: str) -> None:
        """Run the module; raises what it raises."""
        self._request({"do": "load", "code": code})

    def find(self, name: str) -> tuple[Any, ...]:
        """Return the module's global of that name, or an empty tuple."""
        reply = self._request({"do": "global", "name": name})
        return () if reply.get("missing") else (self._decoded(reply.get("value")),)

    def call(self, on: Handle, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call one of its objects."""
        self.calls += 1
        reply = self._request(self._message("call", on, arguments, keywords))
        everything = [*arguments, *keywords.values()]
        changed = reply.get("changed", {})
        for index in range(len(everything)) if isinstance(changed, dict) else ():
            if str(index) in changed:
                _refill(everything[index], self._decoded(changed[str(index)]))
        return self._decoded(reply.get("value"))

    def ask(self, operation: str, on: Handle, *arguments: Any, ends: bool = False) -> Any:
        """Do something else with one of its objects; `ends` if it may be the end of an iterator."""
        reply = self._request(self._message(operation, on, arguments, {}), ends=ends)
        return self._decoded(reply.get("value"))

    def _message(
        self, operation: str, on: Handle, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            packed = _encode([list(arguments), keywords], _own_handle)
        except RecursionError:
            raise ValueError("an argument is too deep to be sent") from None
        return {"do": operation, "on": {"handle": list(on)}, "arguments": packed}

    def _request(self, message: dict[str, Any], *, ends: bool = False) -> dict[str, Any]:
        try:
            self._channel.send(message)
            reply = self._channel.receive()
        except WireError as error:
            # Whatever it was, no further reply can be told from the rest of this one.
            raise CandidateEndedError(str(error)) from None
        if "raised" in reply:
            raise _error(reply["raised"], ends=ends)
        return reply

    def _decoded(self, value: Any) -> Any:
        try:
            return _decode(value, lambda handle: Remote(self, handle))
        except WireError as error:
            raise CandidateEndedError(str(error)) from None


def _own_handle(value: Any) -> Handle:
    if isinstance(value, Remote):
        return value._handle
    raise TypeError(f"tests cannot pass a {type(value).__name__} to the code: it is no plain value")


def _refill(argument: Any, new: Any) -> None:
    """Give a list, dict, set or bytearray the content that the candidate left in its copy."""
    if type(argument) is not type(new):
        return
    if isinstance(argument, list | bytearray):
        argument[:] = new
    elif isinstance(argument, dict | set):
        argument.clear()
        argument.update(new)


def _error(raised: Any, *, ends: bool) -> Exception:
    """Return the exception that stands for the candidate's; only ever a built-in `Exception`."""
    try:
        name, message, kinds = raised
        text = f"{name}: {message}"[:_LONGEST]
        nearest = str(kinds[0])
    except (TypeError, ValueError, IndexError):
        return CandidateError("not an exception")
    if nearest == "StopIteration" and ends:
        return StopIteration()
    kind = getattr(builtins, nearest, None)
    if (
        not isinstance(kind, type)
        or not issubclass(kind, Exception)
        or issubclass(kind, UnicodeError | BaseExceptionGroup)  # not made of one message
        or nearest in _NEVER_RAISED
    ):
        return CandidateError(text)
    return kind(str(message)[:_LONGEST] if name == nearest else text)


class Tests:
    """An item's tests, parsed.

    A test is an `assert` at the top level, a function `test...`, or the function `check`, which is
    given the function under test (HumanEval).

    Raises:
        ValueError: if there are none.
    """

    def __init__(self, source: str) -> None:
        try:
            self.body = ast.parse(source, "tests.py").body
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError(f"the tests are not Python: {error}") from None
        self.functions = [
            node.name
            for node in self.body
            if isinstance(node, ast.FunctionDef)
            and (node.name == "check" or node.name.startswith("test"))
        ]
        asserts = sum(isinstance(node, ast.Assert) for node in self.body)
        self.count = asserts + len(self.functions)
        if not self.count:
            raise ValueError("there is no test: no assert, no function `test...`, no `check`")


def run_tests(tests: Tests, names: dict[str, Any], entry_point: str | None) -> tuple[int, str]:
    """Run all tests; return how many passed, and what the first failure was."""
    passed, first = 0, ""

    def attempt(what: str, run: Any) -> bool:
        nonlocal first
        try:
            run()
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            first = first or f"{what[:_LONGEST]}: {type(error).__name__}: {error}"[: 2 * _LONGEST]
            return False
        return True

    for node in tests.body:
        code = compile(ast.Module([node], []), "tests.py", "exec")
        went = attempt(ast.unparse(node), lambda code=code: exec(code, names))  # noqa: S102
        if isinstance(node, ast.Assert):
            passed += went
        elif not went:
            return passed, first  # what the tests stand on
    for name in tests.functions:
        given = [names[entry_point]] if name == "check" and entry_point else []
        passed += attempt(name, lambda name=name, given=given: names[name](*given))
    return passed, first


def _defined(source: str) -> list[str]:
    """Return the names that a module defines at its top level."""
    found: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return list(dict.fromkeys(found))


def judge(job: dict[str, Any], channel: Channel, report: Any) -> None:
    """Do the job, and report twice."""
    entry_point = job["entry_point"]
    try:
        tests = Tests(job["tests"])
        wanted = [entry_point] if entry_point else _defined(job["reference"])
        names: dict[str, Any] = {"__name__": "tests"}
        exec(compile(job["setup"], "setup.py", "exec"), names)  # noqa: S102 - the dataset's own
        if "check" in tests.functions and not entry_point:
            raise ValueError("`check` needs an entry point")
    except Exception as error:
        report(error=f"{type(error).__name__}: {error}"[: 2 * _LONGEST])
        return
    try:
        channel.receive()  # it is there, and has not yet seen the model's code
    except ClosedError:
        report(broken="the process for the code under test did not start")
        return
    report(tests=tests.count)
    candidate = Candidate(channel)
    passed, failure = 0, ""
    try:
        candidate.load(job["code"])
        for name in wanted:
            names.pop(name, None)
            for value in candidate.find(name):
                names[name] = value
        if entry_point and entry_point not in names:
            failure = f"the code does not define {entry_point}"
        else:
            passed, failure = run_tests(tests, names, entry_point)
    except CandidateEndedError as error:
        passed, failure = 0, f"the code ended before the tests did: {error}"
    except Exception as error:
        failure = f"the code cannot be run: {type(error).__name__}: {error}"[: 2 * _LONGEST]
    report(passed=passed, tests=tests.count, calls=candidate.calls, failure=failure)


def main() -> None:
    """Read the job, put the report out of the tests' way, and judge."""
    confine(json.loads(sys.argv[1]))
    forget_package()
    channel = Channel(int(sys.argv[2]))
    job = json.loads(sys.stdin.read())
    descriptor = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)

    def report(**content: Any) -> None:
        line = json.dumps({"nonce": job["nonce"], **content})
        os.write(descriptor, line.encode("ascii") + b"\n")

    judge(job, channel, report)


if __name__ == "__main__":
    main()
