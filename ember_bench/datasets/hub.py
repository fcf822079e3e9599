"""Records of dataset repositories on the Hugging Face hub, at a pinned commit."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ember_bench.datasets.formats import open_records
from ember_bench.datasets.records import Record, Records, joined
from ember_bench.datasets.sources import Opening, kept_folder, record_source
from ember_bench.errors import ConfigError, Problem, did_you_mean
from ember_bench.models.recorded.data_dir import Commit, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datasets import Dataset as HubDataset
    from datasets import DatasetBuilder


_CONFIG: Final = "config"
_REPOSITORY: Final = r"^[\w.-]+(/[\w.-]+)?$"


def _is_repository(value: str) -> str:
    if re.fullmatch(_REPOSITORY, value) is None:
        raise ValueError("expected a repository as the hub names it, such as openai/gsm8k")
    return value


class HubSource(BaseModel):
    """A split of a dataset repository on the Hugging Face hub, at one commit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: Annotated[
        Text, AfterValidator(_is_repository), Field(json_schema_extra={"pattern": _REPOSITORY})
    ]
    """Its name on the hub, such as `openai/gsm8k`."""
    config: Text | Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """Its configuration, if it has several. Records of a list of them, which are read one after the
    other, have its name in a field `config`."""
    split: Text
    """The split, such as `test`."""
    revision: Commit
    """The commit, 40 hexadecimal digits."""


@record_source("hub", HubSource)
def open_hub(source: HubSource, opening: Opening) -> Records:
    """A split of a dataset repository on the Hugging Face hub, at one commit.

    It is read from the local cache if it was loaded before.

    Raises:
        ConfigError: if the hub cannot be reached, or does not have it.
    """
    if isinstance(source.config, tuple):
        inner = replace(opening, wanted=opening.wanted - {_CONFIG})
        parts = {one: _split(source, one, inner) for one in source.config}
        label = f"hub {source.repository} ({source.split})"
        return joined(label, source.revision, parts, _CONFIG)
    return _split(source, source.config, opening)


def _split(source: HubSource, config: str | None, opening: Opening) -> Records:
    """Return the records of a split of one configuration."""
    location = opening.location
    label = f"{source.repository} ({', '.join(filter(None, (config, source.split)))})"

    def locate(number: int, message: str) -> Problem:
        return Problem(f"record {number} of {label}: {message}", location)

    try:
        kept = _kept(source, config)
        if not kept.is_file():
            with _quiet():
                _fetch(source, config, kept)
    except ConfigError as error:
        raise ConfigError(*(Problem(p.message, location) for p in error.problems)) from None
    except Exception as error:
        # The hub's libraries raise their own errors, and those of httpx, pyarrow and pandas.
        raise ConfigError(Problem(_explain(error, source, config), location)) from error
    rows = open_records(kept, wanted=opening.wanted).rows
    return Records(f"hub {label}", source.revision, rows, "record", locate)


def _kept(source: HubSource, config: str | None) -> Path:
    """Return the file that the split is kept in once it has been fetched.

    `datasets` keeps a cache itself, but one that will not do here: it asks the hub at every load,
    when the hub cannot be reached it gives the latest revision it has instead of the one that
    was asked for, it infers the types of CSV columns, and its import alone takes over a second.
    """
    names = (source.repository, source.revision, config or "default", source.split)
    *folders, name = (quote(name, safe="") for name in names)
    return Path(kept_folder(), *folders, f"{name}.parquet")


def _fetch(source: HubSource, config: str | None, kept: Path) -> None:
    """Download the split and keep it, whole or not at all."""
    _look_up(source)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent, ignore_cleanup_errors=True) as scratch:
        fresh = Path(scratch, kept.name)
        _download(source, config, scratch).to_parquet(fresh)
        fresh.replace(kept)


def _look_up(source: HubSource) -> None:
    """Raise if the hub cannot be reached or has no such revision; at once, without retries."""
    from huggingface_hub import HfApi  # noqa: PLC0415

    found = HfApi().dataset_info(source.repository, revision=source.revision, timeout=30).sha
    if found != source.revision:
        raise ConfigError(f"asked for revision {source.revision}, the hub gave {found}")


def _download(source: HubSource, config: str | None, cache: str) -> HubDataset:
    import datasets  # noqa: PLC0415 - costs more than a second

    builder = datasets.load_dataset_builder(
        source.repository, config, revision=source.revision, cache_dir=cache
    )
    if type(builder.config).__name__ == "CsvConfig" and builder.info.features is None:
        _keep_text(builder, source.split)
    builder.download_and_prepare()
    known = list(builder.info.splits or ())
    if source.split not in known:
        hint = did_you_mean(source.split, known)
        raise ConfigError(f"{source.repository} has no split {source.split!r}{hint}")
    return builder.as_dataset(split=source.split)


def _keep_text(builder: DatasetBuilder, split: str) -> None:
    """Make a CSV builder read every column as text: "007" is not 7, "NA" is not missing."""
    import datasets  # noqa: PLC0415

    try:
        first: Record = next(iter(builder.as_streaming_dataset(split=split)), {})
    except ValueError:
        return  # No such split: said after loading, when the splits are known.
    builder.config.features = datasets.Features({name: datasets.Value("string") for name in first})
    builder.config.keep_default_na = False
    builder.info.features = builder.config.features


def _explain(error: Exception, source: HubSource, config: str | None) -> str:
    """Return what went wrong, for a person; `error` is any that the hub's libraries raise."""
    reason, where = str(error), f"dataset {source.repository!r}"
    if isinstance(error, ValueError) and "BuilderConfig" in reason:
        configs = _quoted_list(reason)
        return f"{where} has no config {config!r}{did_you_mean(str(config), configs)}"
    if isinstance(error, ValueError) and "Config name is missing" in reason:
        return f"{where} needs a `config`: one of {', '.join(_quoted_list(reason))}"
    if isinstance(error, RuntimeError) and "scripts are no longer supported" in reason:
        return f"{where} is a script at revision {source.revision}; pin one that holds data files"
    return f"{where} {_missing(error, source)}"


def _missing(error: Exception, source: HubSource) -> str:
    from huggingface_hub import errors  # noqa: PLC0415

    if isinstance(error, errors.GatedRepoError) or "gated dataset" in str(error):
        return (
            "is gated: ask for access at "
            f"https://huggingface.co/datasets/{source.repository}, then set HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"has no revision {source.revision} on the hub"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "is not on the hub, or is private: check the name, or set HF_TOKEN"
    if _unreachable(error):
        return (
            f"has not been loaded at revision {source.revision} on this machine before, and the "
            f"hub cannot be reached ({_first_line(error)}): load it once with a connection"
        )
    return f"cannot be loaded: {_first_line(error)}"


def _unreachable(error: BaseException | None) -> bool:
    """Return whether a failing connection is among the causes."""
    while error is not None:
        # httpx, which the hub's libraries use, is not a dependency of ours.
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if kinds & {"ConnectionError", "TransportError"}:
            return True
        error = error.__cause__ or error.__context__
    return False


def _quoted_list(text: str) -> list[str]:
    """Return the names in the first `['a', 'b']` of a message."""
    _, _, rest = text.partition("[")
    return [name.strip(" '\"") for name in rest.partition("]")[0].split(",") if name.strip()]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and chatter of `datasets` off the terminal."""
    import datasets  # noqa: PLC0415

    had_bars: Any = datasets.are_progress_bars_disabled()
    level = datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if not had_bars:
            datasets.enable_progress_bars()
