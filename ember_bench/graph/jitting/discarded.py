"""Whether the code that makes a call has any use for its result.

Read off the calling code's instructions: the result is popped, or stored in a local variable that
is never loaded. Whatever else is done with a result might look into it, and no stand-in can see
all the ways in which that is done.
"""

from __future__ import annotations

import dis
import sys
from functools import lru_cache
from types import CodeType
from typing import Any, Final

# Code that hands a result on to the code that called it.
_BETWEEN: Final = {
    "ember_bench.graph.jitting.discarded",
    "ember_bench.graph.jitting.tracing",
    "ember_bench.operators.base",
    "ember_bench.operators.lm",
}
# What can read local variables in other ways.
_SEE_LOCALS: Final = {"dir", "eval", "exec", "locals", "vars"}


def is_discarded() -> bool:
    """Whether the code that called an operator or an LM module throws away what that returns."""
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__") in _BETWEEN:
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return _throws_away(frame.f_code, frame.f_lasti)


@lru_cache(maxsize=4096)
def _throws_away(code: CodeType, offset: int) -> bool:
    """Whether the value that the instruction at `offset` gives is used nowhere."""
    instructions = [i for i in dis.get_instructions(code) if i.opname != "CACHE"]
    # Where an instruction has a cache behind it, `offset` may be anywhere in that.
    place = sum(i.offset <= offset for i in instructions) - 1
    if not 0 <= place < len(instructions) - 1:
        return False
    call, then = instructions[place : place + 2]
    if not call.opname.startswith("CALL"):
        return False
    if then.opname == "POP_TOP":
        return True
    if then.opname != "STORE_FAST" or _SEE_LOCALS & {*code.co_names}:
        return False
    name = then.argval
    return not any(
        _names(i.argval, name)
        for i in instructions
        if i.opname not in ("STORE_FAST", "DELETE_FAST")
    )


def _names(argument: Any, name: str) -> bool:
    return name == argument or (isinstance(argument, tuple) and name in argument)
