"""Runs the model's code, and calls what it defines when the judge asks.

Nothing here has to be safe from that code: all that it can do is to send values, and it is the
judge that decides whether they are right.
"""

from __future__ import annotations

import json
import os
import sys
import types
from typing import Any, Final

from .limits import confine, forget_package
from .wire import Channel, ClosedError, Handle, WireError
from .wire import decode as _decode
from .wire import encode as _encode

_LONGEST_MESSAGE: Final = 500
_MUTABLE: Final = (list, dict, set, bytearray)


class Objects:
    """What the judge has handles to."""

    def __init__(self) -> None:
        self._objects: list[Any] = []

    def encode(self, value: Any) -> Any:
        """Return a value as JSON; what has none, as a handle."""
        return _encode(value, self._keep)

    def decode(self, value: Any) -> Any:
        """Return the value, or the object that a handle stands for."""
        return _decode(value, lambda handle: self._objects[handle.number])

    def _keep(self, value: Any) -> Handle:
        self._objects.append(value)
        return Handle(len(self._objects) - 1, type(value).__name__)


def serve(channel: Channel) -> None:
    """Answer the judge until it has no more questions."""
    module, objects = types.ModuleType("solution"), Objects()
    # Where classes and dataclasses look for the module they stand in.
    sys.modules["solution"] = module
    channel.send({"hello": True})
    while True:
        request = channel.receive()
        try:
            reply = _answer(request, module, objects)
        except (Exception, SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            reply = {"raised": [type(error).__name__, _said(error), _kinds(error)]}
        try:
            channel.send(reply)
        except ClosedError:
            return
        except WireError as error:
            channel.send({"raised": ["ValueError", str(error), ["ValueError"]]})


def _answer(request: dict[str, Any], module: types.ModuleType, objects: Objects) -> dict[str, Any]:
    """Do one thing; the reply has its `value`, or says that there is none."""
    operation, names = request["do"], vars(module)
    if operation == "load":
        exec(compile(request["code"], "solution.py", "exec"), names)  # noqa: S102 - what it is for
        return {"value": None}
    if operation == "global":
        if request["name"] not in names:
            return {"missing": True}
        return {"value": objects.encode(names[request["name"]])}
    target = objects.decode(request["on"])
    arguments, keywords = objects.decode(request["arguments"])
    if operation == "call":
        return _call(target, arguments, keywords, objects)
    operations: dict[str, Any] = {
        "getattr": getattr,
        "iter": iter,
        "next": next,
        "len": len,
        "str": str,
        "getitem": lambda on, key: on[key],
    }
    return {"value": objects.encode(operations[operation](target, *arguments))}


def _call(target: Any, arguments: Any, keywords: Any, objects: Objects) -> dict[str, Any]:
    """Call, and tell which of the arguments look different afterwards."""
    everything = [*arguments, *keywords.values()]
    before = [json.dumps(objects.encode(a)) if isinstance(a, _MUTABLE) else "" for a in everything]
    value = objects.encode(target(*arguments, **keywords))
    changed = {}
    for index, (argument, old) in enumerate(zip(everything, before, strict=True)):
        if old and json.dumps(new := objects.encode(argument)) != old:
            changed[str(index)] = new
    return {"value": value, "changed": changed}


def _said(error: BaseException) -> str:
    try:
        return str(error)[:_LONGEST_MESSAGE]
    except Exception:  # the code's own exceptions need not be able to say what they are
        return ""


def _kinds(error: BaseException) -> list[str]:
    """Return the names of its built-in classes, nearest first."""
    return [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]


def main() -> None:
    """Serve on the socket that is standard input, of which the code under test sees nothing."""
    confine(json.loads(sys.argv[1]))
    forget_package()
    channel = Channel(os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    try:
        serve(channel)
    except ClosedError:
        return


if __name__ == "__main__":
    main()
