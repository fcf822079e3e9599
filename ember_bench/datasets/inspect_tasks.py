"""Tasks of Inspect that are plain questions and answers, through its own solvers and scorers.

A task's solvers are played up to its one question, which is the item's; to score an answer they are
played again with it, and the task's scorer looks at the result.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, wraps
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ember_bench.datasets.records import Records, content_revision
from ember_bench.datasets.sources import Opening, record_source
from ember_bench.errors import ConfigError, EmberBenchError, Problem
from ember_bench.models.recorded.data_dir import Text

T = TypeVar("T")

KEY: Final = "inspect"
"""The field of a record, and of an item's metadata, that says which sample it is."""
_EXTRA: Final = "inspect"
_NO_TARGET: Final = "(none)"
_MODEL: Final = "none/none"


class InspectTask(BaseModel):
    """A task of Inspect."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Text
    """A task of an installed package, such as `inspect_evals/gsm8k`, or `file.py@name`, relative to
    the card."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the task."""


InspectSource = Text | InspectTask
"""A task, or a task with its arguments."""


@dataclass(frozen=True)
class OpenedInspectTask:
    """A task that has been opened.

    Attributes:
        task: Inspect's task.
        samples: Its samples by id.
    """

    task: Any
    samples: Mapping[str, Any]

    def score(self, sample: str, output: str, scorer: int) -> Any:
        """Return Inspect's `Score` of an answer.

        Args:
            sample: The sample's id.
            output: The answer.
            scorer: Number of the scorer among the task's.

        Raises:
            EmberBenchError: if the task asks again, or asks a model by itself.
        """

        async def scored() -> Any:
            with _no_model():
                _, state = await _played(self.task, self.samples[sample], output)
                return await self.task.scorer[scorer](state, state.target)

        return _in_thread(scored)


_opened: Final[dict[str, OpenedInspectTask]] = {}


def opened_inspect_task(metadata: Mapping[str, Any]) -> tuple[OpenedInspectTask, str]:
    """Return the task of an item, and the id of its sample.

    Args:
        metadata: The item's metadata.

    Raises:
        ConfigError: if the item is none of `source: {inspect: ...}`.
    """
    place = metadata.get(KEY)
    if not isinstance(place, Mapping) or _key_of(place) not in _opened:
        raise ConfigError(
            f"the item is none of a dataset with `source: {{{KEY}: ...}}`, or its card leaves"
            f" `metadata: [{KEY}]` out of `fields`"
        )
    return _opened[_key_of(place)], str(place["sample"])


@record_source(
    KEY,
    InspectSource,
    fields={
        "id": "id",
        "messages": "messages",
        "target": "target",
        "answer_format": "answer_format",
        "metadata": [KEY],
    },
)
def open_inspect(source: InspectSource, opening: Opening) -> Records:
    """A task of Inspect that asks each sample one question, with its solvers and scorers.

    Raises:
        ConfigError: if there is no such task, or it does more than ask one question; says what.
    """
    opening.package("inspect_ai", extra=_EXTRA)
    options = InspectTask(task=source) if isinstance(source, str) else source
    task = _load(options, opening)
    if why := _unusable(task):
        raise ConfigError(opening.problem(f"{options.task}: {why}"))
    place = {"task": options.task, "args": options.args, "code": _code_of(options, opening)}
    samples = {
        str(sample.id): sample
        for sample in (
            one if one.id is not None else one.model_copy(update={"id": number})
            for number, one in enumerate(task.dataset, 1)
        )
    }
    try:
        rows = list(_in_thread(lambda: _records(task, samples, place)))
    except EmberBenchError as error:
        raise ConfigError(opening.problem(f"{options.task}: {error}")) from error
    except Exception as error:  # a solver is anybody's code, which may fail in any way
        message = f"{options.task}: {type(error).__name__}: {error}"
        raise ConfigError(opening.problem(message)) from error
    _opened[_key_of(place)] = OpenedInspectTask(task, samples)

    def locate(number: int, message: str) -> Problem:
        return opening.problem(f"sample {number} of {options.task}: {message}")

    revision = f"inspect-ai@{version('inspect-ai')} {content_revision(rows)}"
    return Records(f"inspect: {options.task}", revision, enumerate(rows, 1), "record", locate)


def _load(options: InspectTask, opening: Opening) -> Any:
    from inspect_ai._eval.loader import load_tasks  # noqa: PLC0415 - an extra

    file, _, name = options.task.partition("@")
    if file.endswith(".py") and not Path(opening.folder, file).is_file():
        raise ConfigError(opening.problem(f"there is no file {Path(opening.folder, file)}"))
    try:
        with chdir(opening.folder):
            found = load_tasks([options.task], dict(options.args))
    except Exception as error:
        message = f"Inspect cannot load {options.task!r}: {type(error).__name__}: {error}"
        raise ConfigError(opening.problem(message)) from error
    if len(found) != 1:
        shown = f": {', '.join(sorted(one.name for one in found))}; write `file.py@name`"
        message = f"expected one task, found {len(found)}{shown if found else f' of {name!r}'}"
        raise ConfigError(opening.problem(message))
    return found[0]


def _unusable(task: Any) -> str:
    """Return why a task is more than questions and answers; empty if it is not."""
    if not task.scorer:
        return "it has no scorer"
    if task.sandbox is not None or any(s.sandbox or s.files or s.setup for s in task.dataset):
        return "it works in a sandbox; run it with Inspect"
    return ""


async def _records(
    task: Any, samples: Mapping[str, Any], place: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the records of a task's samples.

    Raises:
        EmberBenchError: if a sample is not one question in words, always the same.
    """
    rows = []
    for number, (name, sample) in enumerate(samples.items()):
        messages = (await _played(task, sample, None))[0]
        if messages != (await _played(task, sample, None))[0]:
            raise EmberBenchError("its questions differ each time; give its shuffling a seed")
        if number == 0:  # whether it asks again after the answer
            await _played(task, sample, str(sample.target))
        targets = sample.target if isinstance(sample.target, list) else [sample.target]
        content = sample.model_dump_json(exclude={"id"})
        rows.append(
            {
                "id": name,
                "messages": messages,
                "target": [text for text in targets if text.strip()] or [_NO_TARGET],
                "answer_format": "exact",
                "sample": json.loads(content),
                KEY: {**place, "sample": name, "content": _digest(content)},
            }
        )
    return rows


class _AskedOnce(BaseException):
    """The task has asked its question."""


async def _played(task: Any, sample: Any, output: str | None) -> tuple[list[dict[str, str]], Any]:
    """Play a task's solvers on a sample; return the messages of its question, and the last state.

    Args:
        task: The task.
        sample: The sample.
        output: The answer to the question; None to stop at the question.

    Raises:
        EmberBenchError: if it asks no question, two, or one that is not all text.
    """
    from inspect_ai.model import ModelName, ModelOutput  # noqa: PLC0415 - an extra
    from inspect_ai.scorer import Target  # noqa: PLC0415
    from inspect_ai.solver import TaskState, chain  # noqa: PLC0415

    state = TaskState(
        model=ModelName(_MODEL),
        sample_id=sample.id,
        epoch=1,
        input=sample.input,
        messages=_messages_of(sample),
        target=Target(sample.target),
        choices=sample.choices,
        metadata=deepcopy(sample.metadata),
    )
    asked: list[list[dict[str, str]]] = []

    async def generate(state: Any, *_: Any, **__: Any) -> Any:
        if state.tools:
            raise EmberBenchError("it gives the model tools; run it with Inspect")
        if asked:
            raise EmberBenchError("it asks more than one question about a sample")
        asked.append(_in_words(state.messages))
        if output is None:
            raise _AskedOnce
        state.output = ModelOutput.from_content(_MODEL, output)
        state.messages.append(state.output.message)
        return state

    solvers = [solver for solver in (task.setup, task.solver) if solver is not None]
    with _no_model(), suppress(_AskedOnce):
        state = await chain(*solvers)(state, generate)
    if not asked:
        raise EmberBenchError("it asks the model no question")
    return asked[0], state


def _messages_of(sample: Any) -> list[Any]:
    from inspect_ai.model import ChatMessageUser  # noqa: PLC0415 - an extra

    if isinstance(sample.input, str):
        return [ChatMessageUser(content=sample.input, source="input")]
    return deepcopy(list(sample.input))


def _in_words(messages: list[Any]) -> list[dict[str, str]]:
    """Return role and text of messages.

    Raises:
        EmberBenchError: if there is anything else in them.
    """
    if any(not isinstance(m.content, str) for m in messages):
        raise EmberBenchError("its messages hold more than text; run it with Inspect")
    if not messages or messages[-1].role != "user":
        raise EmberBenchError("its last message is none of the user's")
    return [{"role": m.role, "content": m.content} for m in messages]


_playing: Final[contextvars.ContextVar[bool]] = contextvars.ContextVar("playing", default=False)


class _no_model:  # noqa: N801 - a context manager, called as a function is
    """Solvers and scorers that ask models by themselves are refused."""

    def __enter__(self) -> None:
        _watch_models()
        self._token = _playing.set(True)

    def __exit__(self, *_: object) -> None:
        _playing.reset(self._token)


@cache
def _watch_models() -> None:
    """Refuse requests of Inspect's models while a task is played: nothing would count or pay."""
    from inspect_ai.model import Model  # noqa: PLC0415 - an extra

    generate: Callable[..., Awaitable[Any]] = Model.generate

    @wraps(generate)
    async def watched(*args: Any, **options: Any) -> Any:
        if _playing.get():
            raise EmberBenchError(
                "it asks a model by itself, where nothing counts, stores or pays for it; use an"
                " evaluator of kind `judged`"
            )
        return await generate(*args, **options)

    Model.generate = watched


def _in_thread(play: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a thread: this one may have a loop already, in a notebook for example."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(contextvars.copy_context().run, asyncio.run, play()).result()


def _code_of(options: InspectTask, opening: Opening) -> str:
    """Return the version of a task's package, or the digest of its file."""
    file, _, _ = options.task.partition("@")
    if file.endswith(".py"):
        return _digest(Path(opening.folder, file).read_text(encoding="utf-8"))
    package = options.task.partition("/")[0]
    try:
        return f"{package}@{version(package)}"
    except PackageNotFoundError:
        return ""


def _key_of(place: Mapping[str, Any]) -> str:
    return json.dumps([place["task"], place["args"], place["code"]], sort_keys=True)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]
