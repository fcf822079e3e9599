"""Tasks of lm-evaluation-harness, through its own objects."""

from __future__ import annotations

import contextlib
import io
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from ember_bench.datasets.item_reader import json_like
from ember_bench.datasets.records import Record, Records, content_revision
from ember_bench.datasets.sources import Opening, record_source
from ember_bench.errors import ConfigError, EmberBenchError, did_you_mean
from ember_bench.models.recorded.data_dir import Text
from ember_bench.record_fields import RecordError

KEY: Final = "lm_eval"
"""The field of a record, and of an item's metadata, that says which document it is."""
_EXTRA: Final = "lm-eval"
_NO_TARGET: Final = "(none)"
# Endings of names of tasks that ask in words what others ask by log-likelihoods.
_GENERATIVE: Final = ("generative", "chat", "gen", "llama", "cot", "instruct", "generate")
_TYPING_ERRORS: Final = 2
_SOURCES: Final = ("*.yaml", "*.yml", "*.py")


class LmEvalSource(BaseModel):
    """A task, a group or a tag of lm-evaluation-harness."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Text
    """Its name, as `lm-eval ls tasks` shows it."""
    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    """Number of examples before each question; by default the task's own."""
    fewshot_as_multiturn: bool = True
    """Each example is a message and its answer; otherwise all are part of one message."""
    fewshot_seed: int = 1234
    """Seed of the choice of examples; lm-eval's own default."""
    system_instruction: Text | None = None
    """Text before the task's own description in the system message."""
    include_path: Text | None = None
    """A folder with tasks of your own, relative to the card."""


@dataclass(frozen=True)
class LmEvalTask:
    """A task that has been opened, with its requests.

    Attributes:
        task: lm-eval's task.
        requests: lm-eval's request of each document, by the document's number.
    """

    task: Any
    requests: Mapping[int, Any]

    def filtered(self, number: int, text: str) -> dict[str, Any]:
        """Return by name of the filter what it makes of an answer.

        Args:
            number: Number of the document.
            text: The model's answer.
        """
        from lm_eval.api.instance import Instance  # noqa: PLC0415 - an extra

        asked = self.requests[number]
        answered = Instance(
            asked.request_type, asked.doc, asked.arguments, asked.idx, asked.metadata, [text]
        )
        for ensemble in self.task._filters:
            ensemble.apply([answered])
        return dict(answered.filtered_resps)

    def metrics(self, number: int, filtered: Any) -> Mapping[str, Any]:
        """Return the metrics of what a filter made of the answer to a document."""
        found: Mapping[str, Any] = self.task.process_results(self.requests[number].doc, [filtered])
        return found

    def until(self, number: int) -> Sequence[str]:
        """Return the texts at which the answer to a document ends."""
        until = self.requests[number].args[1].get("until") or []
        return [until] if isinstance(until, str) else list(until)


_opened: Final[dict[tuple[str, str], LmEvalTask]] = {}


def opened_task(metadata: Mapping[str, Any]) -> tuple[LmEvalTask, int]:
    """Return the task of an item, and the number of its document.

    Args:
        metadata: The item's metadata.

    Raises:
        ConfigError: if the item is none of `source: {lm_eval: ...}`.
    """
    place = metadata.get(KEY)
    if not isinstance(place, Mapping) or (place["task"], place["files"]) not in _opened:
        raise ConfigError(
            f"the item is none of a dataset with `source: {{{KEY}: ...}}`, or its card leaves"
            f" `metadata: [{KEY}]` out of `fields`"
        )
    return _opened[place["task"], place["files"]], int(place["doc_id"])


@record_source(
    KEY,
    LmEvalSource,
    fields={
        "id": "id",
        "messages": "messages",
        "target": "target",
        "category": "category",
        "answer_format": "answer_format",
        "metadata": [KEY],
    },
)
def open_lm_eval(source: LmEvalSource, opening: Opening) -> Records:
    """A task of lm-evaluation-harness, with its prompts, examples, filters and metrics.

    Raises:
        ConfigError: if there is no such task, or a chat model cannot answer it; says why.
    """
    opening.package("lm_eval", extra=_EXTRA)
    from importlib.metadata import version  # noqa: PLC0415

    with _as_lm_eval_seeds(), contextlib.redirect_stderr(io.StringIO()):  # progress bars
        tasks, known = _load(source, opening)
        for name, task in tasks.items():
            if why := _unusable(name, task, known):
                raise ConfigError(opening.problem(why))
        rows = [row for name in tasks for row in _records(name, tasks[name], source, opening)]
    if len(tasks) > 1:
        rows = [row | {"id": f"{row['task']}/{row['id']}", "category": row["task"]} for row in rows]
    revision = f"lm-eval@{version('lm-eval')} {content_revision(rows)}"

    def locate(number: int, message: str) -> Any:
        return opening.problem(f"record {number} of {source.task}: {message}")

    return Records(f"lm-eval: {source.task}", revision, enumerate(rows, 1), "record", locate)


@contextlib.contextmanager
def _as_lm_eval_seeds() -> Iterator[None]:
    """Seed the global generators as lm-eval does: some tasks shuffle choices with them."""
    import numpy as np  # noqa: PLC0415 - only tasks of lm-eval need it
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED  # noqa: PLC0415

    state, array_state = random.getstate(), np.random.get_state()
    random.seed(DEFAULT_RANDOM_SEED)
    np.random.seed(DEFAULT_OTHER_SEED)
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(array_state)


@lru_cache(maxsize=8)
def _manager(include: Path | None) -> Any:
    from lm_eval.tasks import TaskManager  # noqa: PLC0415 - an extra

    if include is None:
        return TaskManager()
    return TaskManager(include_path=str(include), include_defaults=False)


def _load(source: LmEvalSource, opening: Opening) -> tuple[dict[str, Any], Sequence[str]]:
    """Return lm-eval's tasks by name, and the names of all that there are."""
    include = _folder(source, opening)
    managers = [_manager(include)] if include is not None else []
    if not managers or source.task not in managers[0].all_tasks:
        managers.append(_manager(None))
    manager = managers[-1]
    if source.task not in manager.all_tasks:
        known = [name for one in managers for name in one.all_tasks]
        raise ConfigError(opening.problem(_unknown(source.task, known)))
    _check_output_type(source.task, manager, opening)
    try:
        tasks: dict[str, Any] = manager.load([source.task])["tasks"]
    except Exception as error:  # a task is anybody's code, which may fail in any way
        raise ConfigError(opening.problem(f"lm-eval cannot load it: {_reason(error)}")) from error
    return tasks, manager.all_tasks


def _unknown(name: str, known: Sequence[str]) -> str:
    """Say that there is no such task; of 14,000 names only some are compared with it."""
    alike = [
        other
        for other in known
        if other[:1] == name[:1] and abs(len(other) - len(name)) <= _TYPING_ERRORS
    ]
    near = did_you_mean(name, alike) if alike else "; `lm-eval ls tasks` lists them"
    return f"lm-eval has no task {name!r}{near}"


def _check_output_type(name: str, manager: Any, opening: Opening) -> None:
    """Refuse what a chat model cannot answer before any data are fetched."""
    config = getattr(manager.task_index[name], "cfg", None) or {}
    kind = config.get("output_type", "generate_until")
    if kind != "generate_until":
        raise ConfigError(opening.problem(_not_generative(name, kind, manager.all_tasks)))


def _not_generative(name: str, kind: str, known: Sequence[str]) -> str:
    stem = name.lower()
    near = [
        other
        for other in known
        if stem in other.lower() and {*other.lower().split("_")} & {*_GENERATIVE} and other != name
    ]
    instead = f"; a form with words is {' or '.join(map(repr, near[:3]))}" if near else ""
    return (
        f"the task {name!r} compares log-likelihoods ({kind}), which chat models do not"
        f" give{instead}"
    )


def _records(
    name: str, task: Any, source: LmEvalSource, opening: Opening
) -> Iterator[dict[str, Any]]:
    """Yield the records of a task, and keep it open for its evaluator."""
    _set_examples(name, task, source, opening)
    try:
        task.build_all_requests(
            system_instruction=source.system_instruction,
            apply_chat_template=True,
            fewshot_as_multiturn=source.fewshot_as_multiturn,
            chat_template=_as_json,
        )
    except Exception as error:
        raise ConfigError(opening.problem(f"{name}: {_reason(error)}")) from error
    files = _digest_of(_folder(source, opening))
    requests: dict[int, Any] = {}
    for asked in task.instances:
        if why := _unanswerable(name, asked, requests):
            raise ConfigError(opening.problem(why))
        requests[asked.doc_id] = asked
    _opened[name, files] = LmEvalTask(task, requests)
    for number, asked in requests.items():
        try:
            doc = json_like(asked.doc)
        except RecordError as error:
            raise ConfigError(opening.problem(f"{name}: document {number}: {error}")) from None
        content = json.dumps(doc, sort_keys=True).encode()
        yield {
            "id": str(number),
            "task": name,
            "category": None,
            "messages": json.loads(asked.args[0]),
            "target": _targets(task, asked.doc),
            "answer_format": "exact",
            "doc": doc,
            KEY: {
                "task": name,
                "files": files,
                "doc_id": number,
                "doc": sha256(content).hexdigest()[:32],
            },
        }


def _set_examples(name: str, task: Any, source: LmEvalSource, opening: Opening) -> None:
    """Set number and seed of the examples, as lm-eval's `simple_evaluate` does."""
    own = task.get_config("num_fewshot")
    if source.num_fewshot and own == 0:
        message = f"{name} fixes num_fewshot at 0, and lm-eval ignores another number"
        raise ConfigError(opening.problem(message))
    number = own if source.num_fewshot is None else source.num_fewshot
    task.set_config(key="num_fewshot", value=number or 0)
    task.set_fewshot_seed(seed=source.fewshot_seed)


def _unusable(name: str, task: Any, known: Sequence[str]) -> str:
    """Return why a task cannot be asked; empty if it can."""
    if (kind := task.OUTPUT_TYPE) not in ("generate_until", None):
        return _not_generative(name, kind, known)
    if getattr(task, "MULTIMODAL", False):
        return f"{name} shows images or plays sounds; only texts are sent"
    if getattr(task, "UNSAFE_CODE", False):
        return (
            f"{name} runs what models have written, without a sandbox; use a dataset with the"
            " evaluator `python_tests`, such as `humaneval` or `mbpp`"
        )
    if (repeats := task.get_config("repeats") or 1) > 1:
        return (
            f"{name} draws {repeats} answers to each question; use a task that draws one, and"
            " architectures such as `vote`"
        )
    return ""


def _unanswerable(name: str, asked: Any, requests: Mapping[int, Any]) -> str:
    """Return why a request cannot be answered; empty if it can."""
    if asked.request_type != "generate_until":
        return _not_generative(name, asked.request_type, ())
    if asked.doc_id in requests:
        return f"{name} asks several questions about one document ({asked.doc_id})"
    if json.loads(asked.args[0])[-1]["role"] != "user":
        return f"{name} has a `gen_prefix`: the model would have to continue an answer begun for it"
    return ""


def _as_json(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    """Write messages as lm-eval's models for chat APIs do; `fewshot_context` calls it."""
    del add_generation_prompt
    return json.dumps(messages, ensure_ascii=False)


def _targets(task: Any, doc: Record) -> list[str]:
    """Return the right answers, for people and for simulated models; lm-eval scores by itself."""
    target = task.doc_to_target(doc)
    if isinstance(target, int) and task.get_config("doc_to_choice") is not None:
        target = task.doc_to_choice(doc)[target]
    targets = target if isinstance(target, list | tuple) else [target]
    return [text for one in targets if (text := str(one)).strip()] or [_NO_TARGET]


def _folder(source: LmEvalSource, opening: Opening) -> Path | None:
    if source.include_path is None:
        return None
    if not (folder := Path(opening.folder, source.include_path)).is_dir():
        raise ConfigError(opening.problem(f"there is no folder {folder}"))
    return folder.resolve()


def _digest_of(folder: Path | None) -> str:
    """Return the digest of a user's tasks; the version of lm-eval stands for its own ones."""
    if folder is None:
        return ""
    digest = sha256()
    for path in sorted(path for kind in _SOURCES for path in folder.rglob(kind)):
        content = sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:32]


def _reason(error: BaseException) -> str:
    if isinstance(error, EmberBenchError):
        return str(error)
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
