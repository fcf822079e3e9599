"""Runs the model's program for its answer: what it prints, or the value of one of its names."""

from __future__ import annotations

import json
import os
import sys
import types

from .limits import confine, forget_package


def run(code: str, result: str | None) -> str:
    """Run a program as `__main__`; return the text of a name's value, called if it is a function.

    Without a name, "" is returned: the program itself has printed the answer.

    Raises:
        NameError: if the program does not define that name.
    """
    module = types.ModuleType("__main__")
    # Where classes and dataclasses look for the module they stand in.
    sys.modules["__main__"] = module
    exec(compile(code, "program.py", "exec"), vars(module))  # noqa: S102 - what it is for
    if result is None:
        return ""
    if result not in vars(module):
        raise NameError(f"name {result!r} is not defined")
    value = vars(module)[result]
    return str(value() if callable(value) else value)


def main() -> None:
    """Read a job on standard input, and write the answer on standard output."""
    confine(json.loads(sys.argv[1]))
    forget_package()
    job = json.loads(sys.stdin.buffer.read())
    answers = os.dup(1)
    if job["result"] is not None:
        # What the program prints on its way is no answer.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
    try:
        answer = run(job["code"], job["result"])
    except SystemExit as error:
        if error.code:
            raise
        answer = ""
    sys.stdout.flush()
    with os.fdopen(answers, "wb", closefd=False) as stream:
        stream.write(answer.encode("utf-8", "replace"))


if __name__ == "__main__":
    main()
