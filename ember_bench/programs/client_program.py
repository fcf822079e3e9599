"""Programs that ask through OpenAI's client, or any other client of its API, as operators."""

from __future__ import annotations

import inspect
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ember_bench.errors import ConfigError, EmberBenchError
from ember_bench.operators.base import Inputs, operator
from ember_bench.operators.description import describe
from ember_bench.operators.lm import LMModule
from ember_bench.operators.references import called
from ember_bench.programs.local_service import Session, local_service
from ember_bench.programs.program import QUERY, Program, as_output, chosen, value_of

if TYPE_CHECKING:
    from openai import OpenAI

_GIVEN: Final = ("client", "base_url", "api_key", "model")
_SHOWN: Final = 2_000


@operator
class ClientProgram(Program):
    """A function or a command that asks chat completions at a `base_url`.

    The address is that of a service on this machine that makes its calls with the LM modules, at
    the program's place in its trial. `model` in a request is the id or the bare name of one of
    them.

    Inputs: those that the function names; of the command `query`, which it reads from its standard
    input. Outputs: the mapping that the function returns; any other value, or what the command
    prints, is the `final_answer`.

    Args:
        program: A function, which is given `client` (an `openai.OpenAI`), `base_url`, `api_key` and
            `model` (the id of the first LM module) if it has parameters of these names. Or a
            command as a list, such as `["python", "agent.py"]`, with `OPENAI_BASE_URL`,
            `OPENAI_API_KEY` and `OPENAI_MODEL` in its environment.
        lm_modules: The LM modules that it may ask.
        timeout_seconds: When a command is ended.
    """

    attribute = "program"

    def __init__(
        self,
        program: Callable[..., Any] | Sequence[str],
        lm_modules: Sequence[LMModule] | LMModule = (),
        *,
        timeout_seconds: float = 600,
    ) -> None:
        super().__init__(lm_modules=lm_modules)
        if not self.lms:
            raise ValueError("ClientProgram needs LM modules: lm_modules=[...]")
        self.program: Callable[..., Any] | list[str]
        if isinstance(program, list | tuple) and program:
            self.program = [str(part) for part in program]
        else:
            self.program = _function(program)
        self.timeout_seconds = timeout_seconds

    def forward(self, inputs: Inputs) -> Mapping[str, Any]:
        """Run the program."""
        with local_service.session(self.lms) as session:
            if isinstance(self.program, list):
                return as_output({}, self._run_command(self.program, inputs, session))
            value = self._call(self.program, inputs, session)
        return value if isinstance(value, Mapping) else as_output({}, value)

    def _call(self, function: Callable[..., Any], inputs: Inputs, session: Session) -> Any:
        parameters = inspect.signature(function).parameters.values()
        own = {"base_url": session.url, "api_key": session.key}
        own["model"] = self.lms[0].model.model_id
        named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        required = [p.name for p in named if p.default is p.empty and p.name not in _GIVEN]
        optional = [p.name for p in named if p.default is not p.empty and p.name in inputs]
        given = {**chosen(required, inputs), **{name: inputs[name] for name in optional}}
        given |= {p.name: own[p.name] for p in named if p.name in own}
        if any(p.name == "client" for p in named):
            given["client"] = _client(session.url, session.key)
        return _awaited(function(**given))

    def _run_command(self, command: Sequence[str], inputs: Inputs, session: Session) -> str:
        environment = os.environ | {
            "OPENAI_BASE_URL": session.url,
            "OPENAI_API_KEY": session.key,
            "OPENAI_MODEL": self.lms[0].model.model_id,
        }
        try:
            done = subprocess.run(  # noqa: S603 - the command of the user
                command,
                input=str(value_of(QUERY, inputs)),
                capture_output=True,
                text=True,
                env=environment,
                timeout=self.timeout_seconds,
                check=False,
            )
        except OSError as error:
            raise ConfigError(f"{command[0]}: cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise EmberBenchError(
                f"{command[0]}: ended after {self.timeout_seconds} seconds without an answer"
            ) from None
        if done.returncode:
            said = done.stderr.strip()[-_SHOWN:]
            raise EmberBenchError(f"{command[0]}: ended with status {done.returncode}: {said}")
        return done.stdout.strip()

    def described_program(self, program: Any) -> Any:
        """Return the function by its code, or the command with the content of its files."""
        if not isinstance(program, list):
            return describe(program)
        files = [path for part in program if (path := Path(part)).is_file()]
        digests = {path.name: sha256(path.read_bytes()).hexdigest()[:32] for path in files}
        return {"command": program, "files": digests}


@cache
def _connections() -> OpenAI:
    """Return a client whose connections all programs use: to make one takes a fifth of a second."""
    from openai import OpenAI  # noqa: PLC0415 - takes a second

    return OpenAI(api_key="none")


def _client(url: str, key: str) -> OpenAI:
    return _connections().with_options(base_url=url, api_key=key)


def _function(program: Any) -> Callable[..., Any]:
    function: Callable[..., Any] = called(program, "program")
    return function


def _awaited(value: Any) -> Any:
    if not inspect.iscoroutine(value):
        return value
    import asyncio  # noqa: PLC0415 - rarely needed

    return asyncio.run(value)
