"""Operators that search a corpus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from ember_bench.errors import ConfigError, DataMissingError, Location, Problem
from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator
from ember_bench.operators.signature import Signature

_WORD: Final = re.compile(r"\w+")
_TEXT_FILES: Final = (".txt", ".md")


class Document(NamedTuple):
    """One text of a corpus and its source."""

    source: str
    text: str


@operator
class Retrieve(Operator):
    """Finds the texts of a local corpus that match a query best, by BM25.

    Lucene's variant of BM25 (Robertson and Zaragoza 2009; Lu 2024, BM25S). Words are compared
    without regard to case, stemming or stop words. Inputs: `query`, or the input named by `field`.
    Outputs: `documents`, the texts, best first, equal scores in the order of the corpus;
    `sources`, one per text; `scores`, all above 0; and `context`, a numbered list of the texts for
    a prompt.

    Args:
        corpus: A JSONL file with a `text` and optionally an `id` in each line; a text file, whose
            paragraphs are the documents; a folder of text files, each a document; or a list of
            texts.
        k: Maximum number of documents.
        field: The input with the query.

    Raises:
        DataMissingError: if there is no such file.
        ConfigError: if the corpus is empty or cannot be read, with the place.
    """

    kind = OperatorKind.FAN_OUT
    pure = True
    gives = ("documents", "sources", "scores", "context")

    def __init__(
        self, *, corpus: str | Path | Sequence[str], k: int = 3, field: str = "query"
    ) -> None:
        if k < 1:
            raise ValueError(f"k must be at least 1, found {k}")
        super().__init__(signature=Signature(required_inputs=[field]))
        self.corpus = str(corpus) if isinstance(corpus, str | Path) else list(corpus)
        self.k = k
        self.field = field
        self._searched = _Corpus(list(_read(self.corpus)))
        if not self._searched.documents:
            raise ConfigError(f"{corpus}: the corpus has no documents")

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Search the corpus."""
        query = str(inputs[self.field])
        best = self._searched.best(query, self.k)
        found = [document for document, _ in best]
        return {
            "documents": [document.text for document in found],
            "sources": [document.source for document in found],
            "scores": [score for _, score in best],
            "context": "\n\n".join(f"[{n}] {d.text}" for n, d in enumerate(found, start=1)),
        }

    def describe(self) -> dict[str, Any]:
        """Return the description, with the content of the corpus in place of its path."""
        described = super().describe()
        attributes = described["attributes"]
        attributes["corpus"] = attributes.pop("_searched")
        return described


class _Corpus:
    """Documents that can be searched; their content is their identity."""

    __slots__ = ("_bm25", "_digest", "_known", "documents")

    def __init__(self, documents: list[Document]) -> None:
        self.documents = documents
        content = orjson.dumps([list(document) for document in documents])
        self._digest = sha256(content).hexdigest()[:32]
        self._bm25: Any = None  # built by the first search
        self._known: set[str] = set()

    def __repr__(self) -> str:
        return f"corpus {self._digest}"

    def best(self, query: str, k: int) -> list[tuple[Document, float]]:
        """Return the `k` documents with the highest scores above 0, and their scores."""
        if self._bm25 is None:
            self._build()
        words = [word for word in _words(query) if word in self._known]
        if not words:
            return []
        scores = self._bm25.get_scores(words)
        # A stable sort keeps equal scores in the order of the corpus.
        order = (-scores).argsort(kind="stable")[:k]
        return [(self.documents[i], float(scores[i])) for i in order if scores[i] > 0]

    def _build(self) -> None:
        # The import takes 0.2 s.
        from bm25s import BM25  # type: ignore[import-untyped]  # noqa: PLC0415

        words = [_words(document.text) for document in self.documents]
        self._known = {word for found in words for word in found}
        bm25 = BM25(method="lucene")
        if self._known:
            bm25.index(words, show_progress=False)
        self._bm25 = bm25


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _read(corpus: str | list[str]) -> Iterator[Document]:
    if isinstance(corpus, list):
        yield from (Document(str(number), text) for number, text in enumerate(corpus, start=1))
        return
    path = Path(corpus)
    if path.is_dir():
        for file in sorted(path.rglob("*"), key=lambda found: found.relative_to(path).as_posix()):
            if file.suffix in _TEXT_FILES:
                yield Document(file.relative_to(path).as_posix(), file.read_text("utf-8"))
        return
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise DataMissingError(f"{path}: there is no such corpus") from None
    if path.suffix == ".jsonl":
        yield from _lines(text, path)
        return
    paragraphs = re.split(r"\n[ \t]*\n", text)
    for number, paragraph in enumerate((p.strip() for p in paragraphs if p.strip()), start=1):
        yield Document(f"{path.name}#{number}", paragraph)


def _lines(text: str, path: Path) -> Iterator[Document]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ConfigError(Problem(f"no JSON: {error}", Location(path, number))) from None
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            message = "expected an object with a `text`"
            raise ConfigError(Problem(message, Location(path, number)))
        yield Document(str(entry.get("id", f"{path.name}:{number}")), entry["text"])
