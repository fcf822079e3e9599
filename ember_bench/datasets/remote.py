"""Records of files on web servers and object stores, through fsspec."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, Self
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ember_bench.datasets.formats import Layout, open_records
from ember_bench.datasets.records import Records, joined
from ember_bench.datasets.sources import Opening, kept_folder, record_source
from ember_bench.errors import ConfigError
from ember_bench.models.recorded.data_dir import Text

_PART: Final = "part"
_PLACE: Final = "{part}"
# A commit in an address means that the file never changes.
_COMMIT: Final = re.compile(r"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")


def _is_address(value: str) -> str:
    if not urlsplit(value).scheme or "://" not in value:
        raise ValueError("expected an address such as https://..., s3://... or gs://...")
    return value


def _is_sha256(value: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("expected 64 hexadecimal digits")
    return value


Sha256 = Annotated[str, AfterValidator(_is_sha256)]


class RemoteFile(Layout):
    """A file on a web server or in an object store; an address alone stands for `url`."""

    url: Annotated[Text, AfterValidator(_is_address)]
    """Its address, of any protocol that fsspec knows; `{part}` stands for each of `parts`."""
    sha256: Sha256 | None = None
    """The SHA-256 of the file, 64 hexadecimal digits; another file is refused."""
    parts: (
        Annotated[tuple[Text, ...], Field(min_length=1)]
        | Annotated[dict[Text, Sha256], Field(min_length=1)]
        | None
    ) = None
    """Parts of a dataset of several files, or the SHA-256 of each part. A record has the name of
    its part in a field `part`."""

    @model_validator(mode="after")
    def _has_parts(self) -> Self:
        if (_PLACE in self.url) != (self.parts is not None):
            raise ValueError("`{part}` in `url` and `parts` need each other")
        if self.parts is not None and self.sha256 is not None:
            raise ValueError("each part has a SHA-256 of its own: write `parts: {name: sha256}`")
        return self

    def files(self) -> dict[str, tuple[str, str | None]]:
        """Return the address and the SHA-256 of each part; of a file without parts, of ``""``."""
        if self.parts is None:
            return {"": (self.url, self.sha256)}
        digests = self.parts if isinstance(self.parts, dict) else dict.fromkeys(self.parts)
        return {name: (self.url.replace(_PLACE, name), of) for name, of in digests.items()}


def _url_alone(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


@record_source(
    "url",
    Annotated[RemoteFile, BeforeValidator(_url_alone, json_schema_input_type=Text | RemoteFile)],
)
def open_url(options: RemoteFile, opening: Opening) -> Records:
    """A file on a web server or in an object store, such as https://... or s3://...

    A file that cannot change, since its SHA-256 or a commit in its address is given, is fetched
    once. Access keys come from where the protocol's library looks for them.

    Raises:
        ConfigError: if it cannot be fetched or read, or is another file.
    """
    inner = replace(opening, wanted=opening.wanted - {_PART}) if options.parts else opening
    opened = {
        name: _open(address, digest, options, inner)
        for name, (address, digest) in options.files().items()
    }
    if options.parts is None:
        return opened[""]
    revisions = "".join(part.revision for part in opened.values())
    revision = f"sha256:{sha256(revisions.encode()).hexdigest()}"
    return joined(_shown(options.url), revision, opened, _PART)


def _open(address: str, digest: str | None, layout: Layout, opening: Opening) -> Records:
    kept = _kept(address)
    if not kept.is_file() or (digest is None and not _COMMIT.search(address)):
        _fetch(address, kept, opening)
    records = open_records(kept, layout, wanted=opening.wanted)
    if digest is not None and records.revision != f"sha256:{digest}":
        kept.unlink(missing_ok=True)
        found = records.revision.removeprefix("sha256:")
        message = f"{_shown(address)} is another file: its SHA-256 is {found}, not {digest}"
        raise ConfigError(opening.problem(message))
    return replace(records, source=_shown(address))


def _kept(address: str) -> Path:
    """Return the file that is kept once it has been fetched; its name says the format."""
    name = unquote(PurePosixPath(urlsplit(address).path).name) or "records"
    folder = sha256(address.encode()).hexdigest()[:32]
    return Path(kept_folder(), "url", folder, quote(name, safe=" ()"))


def _fetch(address: str, kept: Path, opening: Opening) -> None:
    """Download a file and keep it, whole or not at all."""
    import fsspec  # noqa: PLC0415 - comes with `datasets`; costs 0.1 s

    # As other clients do, and aiohttp does not by itself: use the proxies of the environment.
    web = urlsplit(address).scheme in ("http", "https")
    options: dict[str, Any] = {"client_kwargs": {"trust_env": True}} if web else {}
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(dir=kept.parent, ignore_cleanup_errors=True) as scratch:
            fresh = Path(scratch, kept.name)
            with fsspec.open(address, "rb", **options) as there, fresh.open("wb") as here:
                copyfileobj(there, here)
            fresh.replace(kept)
    except Exception as error:
        # Each protocol's library raises errors of its own.
        raise ConfigError(opening.problem(_explain(error, address))) from error


def _explain(error: Exception, address: str) -> str:
    shown, failure = _shown(address), _failure(error)
    if failure is None and isinstance(error, FileNotFoundError):
        return f"there is no file {shown}"
    cause = failure or error
    reason = (str(cause).splitlines() or [""])[0].replace(address, shown)
    if isinstance(cause, ImportError):
        return f"{shown} needs another package: {reason}"
    return f"cannot fetch {shown}: {reason or type(cause).__name__}"


def _failure(error: BaseException | None) -> BaseException | None:
    """Return the failure behind an error: to fsspec, a server out of reach is a missing file."""
    while error is not None:
        status = getattr(error, "status", HTTPStatus.NOT_FOUND)
        missing = isinstance(error, FileNotFoundError) or not isinstance(error, OSError)
        if not missing or status != HTTPStatus.NOT_FOUND:
            return error
        error = error.__cause__ or error.__context__
    return None


def _shown(address: str) -> str:
    """Return an address without what may be secret: a password, or the signature of a query."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
