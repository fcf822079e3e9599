"""Texts: what they contain, patterns, and overlap of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from ember_bench.answers.confidence import stated_confidence
from ember_bench.answers.formats import parse_answer
from ember_bench.errors import ConfigError
from ember_bench.evaluators.base import Score
from ember_bench.evaluators.exact import ExactMatch
from ember_bench.evaluators.graded import GradedEvaluator
from ember_bench.evaluators.kinds import AnswerEvaluator, evaluator, parameter_identity, shorten
from ember_bench.evaluators.outputs import without_thoughts

if TYPE_CHECKING:
    from ember_bench.datasets.item import Item


def _is_pattern(pattern: str | None) -> str | None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    return pattern


_Points = Annotated[float, Field(ge=0, le=1)]
Pattern = Annotated[str | None, AfterValidator(_is_pattern)]


@evaluator("includes", version=1)
@dataclass(frozen=True)
class Includes:
    """Right if the response contains the target or an alternative, anywhere.

    It is easy to please: a response that names every option contains the right one.

    Attributes:
        all_of: The target and all alternatives must be there.
        ignore_case: "PARIS" contains "paris".
        whole_words: "comparison" does not contain "Paris", even without regard to case.
    """

    name: str
    all_of: bool = False
    ignore_case: bool = True
    whole_words: bool = False

    @cached_property
    def identity(self) -> str:
        """Kind, version and parameters."""
        return parameter_identity(self)

    def evaluate(self, item: Item, output: str) -> Score:
        """Look for the targets.

        Raises:
            ConfigError: if a target is empty, which every response contains.
        """
        targets = (item.target, *item.alternatives)
        if not all(target.strip() for target in targets):
            raise ConfigError(f"item {item.id!r}: {self.name!r}: an empty target is in every text")
        response = without_thoughts(output).strip()
        if not response:
            return Score(0.0, None, "The response is empty.")
        there = [t for t in targets if contains(response, t, self.ignore_case, self.whole_words)]
        right = len(there) == len(targets) if self.all_of else bool(there)
        wanted = "all of" if self.all_of and len(targets) > 1 else "contains"
        shown = ", ".join(map(shorten, there)) or f"not {shorten(targets[0])}"
        said = f"The response contains {shown}."
        if not right and there:
            said = f"The response contains {shown}, not {wanted} the {len(targets)} targets."
        return Score(float(right), response, said)


@evaluator("excludes", version=1)
@dataclass(frozen=True)
class Excludes:
    """Right if the response contains none of some texts: refusals, clichés, leaked secrets.

    Attributes:
        texts: The same for all items.
        field: A metadata field with a text, or a list of them, for each item.
        ignore_case: "SORRY" contains "sorry".
        whole_words: "sorrybird" does not contain "sorry".
    """

    name: str
    texts: tuple[str, ...] = ()
    field: str | None = None
    ignore_case: bool = True
    whole_words: bool = False

    @cached_property
    def identity(self) -> str:
        """Kind, version and parameters."""
        return parameter_identity(self)

    def check_item(self, item: Item) -> None:
        """See that there is something to look for.

        Raises:
            ConfigError: if there is not.
        """
        self._texts(item)

    def evaluate(self, item: Item, output: str) -> Score:
        """Look for each text.

        Raises:
            ConfigError: if there is nothing to look for.
        """
        texts = self._texts(item)
        response = without_thoughts(output).strip()
        if not response:
            return Score(0.0, None, "The response is empty.")
        there = [t for t in texts if contains(response, t, self.ignore_case, self.whole_words)]
        shown = ", ".join(map(shorten, there)) or f"none of {len(texts)} excluded texts"
        return Score(float(not there), response, f"The response contains {shown}.")

    def _texts(self, item: Item) -> list[str]:
        more = item.metadata.get(self.field, ()) if self.field else ()
        texts = [*self.texts, *([more] if isinstance(more, str) else more)]
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise ConfigError(
                f"item {item.id!r}: {self.name!r} needs texts to look for: `texts` in its card, or "
                "a metadata field that `field` names"
            )
        return texts


@lru_cache(maxsize=4096)
def _finder(text: str, ignore_case: bool, whole_words: bool) -> re.Pattern[str]:
    escaped = re.escape(text)
    pattern = rf"(?<!\w){escaped}(?!\w)" if whole_words else escaped
    return re.compile(pattern, re.IGNORECASE if ignore_case else re.NOFLAG)


def contains(response: str, text: str, ignore_case: bool, whole_words: bool) -> bool:
    """Whether a response contains a text; runs of whitespace are one space in both."""
    wanted = " ".join(text.split())
    found = _finder(wanted, ignore_case, whole_words).search(" ".join(response.split()))
    return found is not None


@evaluator("regex", version=1)
@dataclass(frozen=True)
class RegexMatch(AnswerEvaluator):
    """Right if what a regular expression finds in the response is the target.

    Without a pattern the item's target is one, and so are its alternatives: right is a response
    in which one of them is found.

    Attributes:
        pattern: Its first group that takes part is the answer, or all that it finds; the answer is
            then read in the answer format and compared as `exact_match` does.
        which: Of several, the first or the last.
        whole: The pattern must match the whole response.
        ignore_case: Both the pattern and the comparison.
    """

    pattern: Pattern = None
    which: Literal["first", "last"] = "last"
    whole: bool = False
    ignore_case: bool = False

    @cached_property
    def _flags(self) -> re.RegexFlag:
        return re.IGNORECASE if self.ignore_case else re.NOFLAG

    def agrees(self, answer: str, target: str) -> bool:
        """Compare the answer with the target, if the card has the pattern."""
        return self.normalised(answer) == self.normalised(target)

    def normalised(self, answer: str) -> str:
        """Return the answer without its case, if that is ignored."""
        return answer.casefold() if self.ignore_case else answer

    def check_item(self, item: Item) -> None:
        """See that the targets are patterns, or answers.

        Raises:
            ConfigError: naming the item.
        """
        for target in (item.target, *item.alternatives):
            if self.pattern is not None:
                self._required(target, item)
                continue
            try:
                re.compile(target)
            except re.error as error:
                raise ConfigError(
                    f"item {item.id!r}: {self.name!r}: the target {shorten(target)} is no regular "
                    f"expression: {error}"
                ) from None

    def read(self, text: str, item: Item) -> str | None:
        """Return what the card's pattern finds, read in the answer format; None without a find."""
        if self.pattern is None:
            return without_thoughts(text).strip() or None
        found = [*self._found(self.pattern, without_thoughts(text))]
        if not found:
            return None
        one = found[-1 if self.which == "last" else 0]
        return super().read(next((g for g in one.groups() if g is not None), one[0]), item)

    def normal(self, item: Item, answer: str) -> str:  # noqa: ARG002 - of the protocol
        """Return the answer itself: what a vote counts has been read out already."""
        return self.normalised(answer)

    def evaluate(self, item: Item, output: str) -> Score:
        """Search, and compare.

        Raises:
            ConfigError: if a target is no pattern, or no answer.
        """
        if self.pattern is not None:
            return super().evaluate(item, output)
        self.check_item(item)
        response = self.read(output, item)
        if response is None:
            return Score(0.0, None, "The response is empty.")
        for target in (item.target, *item.alternatives):
            if next(self._found(target, response), None) is not None:
                return Score(1.0, response, f"{shorten(target)} matches the response.")
        return Score(0.0, response, f"{shorten(item.target)} does not match the response.")

    def _found(self, pattern: str, text: str) -> Iterator[re.Match[str]]:
        if not self.whole:
            return re.finditer(pattern, text, self._flags)
        match = re.fullmatch(pattern, text.strip(), self._flags)
        return iter([] if match is None else [match])


@evaluator("token_f1", version=1)
@dataclass(frozen=True)
class TokenF1(GradedEvaluator):
    """The harmonic mean of precision and recall of the answer's words; best over all targets.

    F1 of SQuAD (Rajpurkar et al. 2016, section 6.1): case, punctuation, English articles and
    spacing are ignored, and a word counts as often as it stands in both. Where nothing is left of
    the answer or of the target, both must be so (SQuAD 2.0).
    """

    def grade(self, answer: str, targets: Sequence[str]) -> float:
        """Return the largest F1."""
        return max(token_f1(answer, target) for target in targets)

    def normalised(self, answer: str) -> str:
        """Return the words, which are all that counts, without regard to their order."""
        return " ".join(sorted(_words(answer)))


_SQUAD = ExactMatch(
    "squad",
    ignore_case=True,
    ignore_punctuation=True,
    ignore_articles=True,
    ignore_whitespace=True,
)


def _words(text: str) -> list[str]:
    return _SQUAD.stripped(text).split()


def token_f1(answer: str, target: str) -> float:
    """Return SQuAD's F1 of two texts, in [0, 1]."""
    given, wanted = _words(answer), _words(target)
    if not given or not wanted:
        return float(given == wanted)
    common = sum((Counter(given) & Counter(wanted)).values())
    return 2 * common / (len(given) + len(wanted))


@evaluator("confidence", version=1)
@dataclass(frozen=True)
class Confidence:
    """The confidence that the response states for its answer, such as `Confidence: 85%`.

    It is unparsed without one. Beside the accuracy, it gives the metrics of confidences.
    """

    name: str

    @cached_property
    def identity(self) -> str:
        """Kind and version."""
        return parameter_identity(self)

    def check_item(self, item: Item) -> None:
        """Accept any item: its target states no confidence."""

    def evaluate(self, item: Item, output: str) -> Score:
        """Read the confidence."""
        del item
        found = stated_confidence(output)
        if found is None:
            return Score(0.0, None, "No confidence is stated.")
        return Score(found, f"{found:g}", f"Confidence {found:g}")


@evaluator("by_answer", version=1)
@dataclass(frozen=True)
class ByAnswer:
    """The score that a table gives to the answer, whatever the target: verdicts, ratings, refusals.

    Attributes:
        scores: The score of each answer, in [0, 1], such as `{yes: 1, unsure: 0.5, no: 0}`.
        others: The score of any other answer; by default it is unparsed.
    """

    name: str
    scores: Annotated[Mapping[str, _Points], Field(min_length=1)]
    others: _Points | None = None

    @cached_property
    def identity(self) -> str:
        """Kind, version and parameters."""
        return parameter_identity(self)

    def check_item(self, item: Item) -> None:
        """Accept any item: its target does not matter."""

    def evaluate(self, item: Item, output: str) -> Score:
        """Look the answer up."""
        answer = parse_answer(output, item.answer_format, item.choices)
        value = self.others if answer is None else self.scores.get(answer, self.others)
        if value is None:
            return Score(0.0, None, f"{shorten(answer or output)} is none of the answers.")
        return Score(value, answer or output.strip(), f"{shorten(answer or output)} gets {value:g}")
