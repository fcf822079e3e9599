"""The 25 kinds of verifiable instructions of IFEval.

Zhou et al. 2023, "Instruction-Following Evaluation for Large Language Models", table 1. Each check
decides as the authors' program does (google-research, `instruction_following_eval`, Apache 2.0),
also where that is odd: published numbers are made with it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from ember_bench.evaluators.instructions.sentences import (
    count_capital_words,
    count_sentences,
    count_words,
    is_language,
)

Check = Callable[..., bool]
"""(response, **parameters) -> whether the response follows the instruction."""

CHECKS: Final[dict[str, Check]] = {}

_CONSTRAINED: Final = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_FENCES: Final = ("```json", "```Json", "```JSON", "```")
_WORD_ENDS: Final = frozenset(".,?!'\"")


def _check(name: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS[name] = check
        return check

    return register


def _compare(count: int, relation: str, limit: int) -> bool:
    """Compare as the two relations of IFEval do: `less than` and `at least`."""
    return count < limit if relation == "less than" else count >= limit


# --- keywords


@_check("keywords:existence")
def _existence(text: str, keywords: list[str]) -> bool:
    # Keywords are regular expressions there, so they are here.
    return all(re.search(keyword, text, re.IGNORECASE) for keyword in keywords)


@_check("keywords:frequency")
def _frequency(text: str, keyword: str, frequency: int, relation: str) -> bool:
    return _compare(len(re.findall(keyword.strip(), text, re.IGNORECASE)), relation, frequency)


@_check("keywords:forbidden_words")
def _forbidden(text: str, forbidden_words: list[str]) -> bool:
    return not any(re.search(rf"\b{word}\b", text, re.IGNORECASE) for word in forbidden_words)


@_check("keywords:letter_frequency")
def _letters(text: str, letter: str, let_frequency: int, let_relation: str) -> bool:
    return _compare(Counter(text.lower())[letter.strip().lower()], let_relation, let_frequency)


# --- language and length


@_check("language:response_language")
def _language(text: str, language: str) -> bool:
    return is_language(text, language)


@_check("length_constraints:number_sentences")
def _sentences(text: str, num_sentences: int, relation: str) -> bool:
    return _compare(count_sentences(text), relation, num_sentences)


@_check("length_constraints:number_paragraphs")
def _paragraphs(text: str, num_paragraphs: int) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", text)
    # An empty part at either end is none; one in between is a mistake.
    if any(not part.strip() for part in parts[1:-1]):
        return False
    ends = {0, len(parts) - 1}
    return len(parts) - sum(not parts[end].strip() for end in ends) == num_paragraphs


@_check("length_constraints:number_words")
def _words(text: str, num_words: int, relation: str) -> bool:
    return _compare(count_words(text), relation, num_words)


@_check("length_constraints:nth_paragraph_first_word")
def _first_word(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    parts = re.split(r"\n\n", text)
    count = sum(bool(part.strip()) for part in parts)
    if nth_paragraph > count or not (paragraph := parts[nth_paragraph - 1].strip()):
        return False
    word = paragraph.split()[0].lstrip("'").lstrip('"')
    end = next((at for at, letter in enumerate(word) if letter in _WORD_ENDS), len(word))
    return count == num_paragraphs and word[:end].lower() == first_word.lower()


# --- detectable content and format


@_check("detectable_content:number_placeholders")
def _placeholders(text: str, num_placeholders: int) -> bool:
    return len(re.findall(r"\[.*?\]", text)) >= num_placeholders


@_check("detectable_content:postscript")
def _postscript(text: str, postscript_marker: str) -> bool:
    marker = postscript_marker.strip()
    known = {"P.P.S": r"\s*p\.\s?p\.\s?s.*$", "P.S.": r"\s*p\.\s?s\..*$"}
    pattern = known.get(marker, rf"\s*{marker.lower()}.*$")
    return re.search(pattern, text.lower(), re.MULTILINE) is not None


@_check("detectable_format:number_bullet_lists")
def _bullets(text: str, num_bullets: int) -> bool:
    stars = re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE)
    dashes = re.findall(r"^\s*-.*$", text, re.MULTILINE)
    return len(stars) + len(dashes) == num_bullets


@_check("detectable_format:constrained_response")
def _constrained(text: str) -> bool:
    return any(response in text for response in _CONSTRAINED)


@_check("detectable_format:number_highlighted_sections")
def _highlights(text: str, num_highlights: int) -> bool:
    single = re.findall(r"\*[^\n\*]*\*", text)
    double = re.findall(r"\*\*[^\n\*]*\*\*", text)
    found = [part.strip("*") for part in single]
    found += [part.removeprefix("**").removesuffix("**") for part in double]
    return sum(bool(part.strip()) for part in found) >= num_highlights


@_check("detectable_format:multiple_sections")
def _sections(text: str, section_spliter: str, num_sections: int) -> bool:
    return len(re.split(rf"\s?{section_spliter.strip()}\s?\d+\s?", text)) - 1 >= num_sections


@_check("detectable_format:json_format")
def _json(text: str) -> bool:
    text = text.strip()
    for fence in _FENCES:
        text = text.removeprefix(fence)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


@_check("detectable_format:title")
def _title(text: str) -> bool:
    titles = re.findall(r"<<[^\n]+>>", text)
    return any(title.lstrip("<").rstrip(">").strip() for title in titles)


# --- combinations, beginnings and ends


@_check("combination:two_responses")
def _two_responses(text: str) -> bool:
    parts = text.split("******")
    if any(not part.strip() for part in parts[1:-1]):
        return False
    responses = [part.strip() for part in parts if part.strip()]
    return len(responses) == 2 and responses[0] != responses[1]


@_check("combination:repeat_prompt")
def _repeat(text: str, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


@_check("startend:end_checker")
def _end(text: str, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


@_check("startend:quotation")
def _quotation(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == '"' and text[-1] == '"'


# --- cases of letters, punctuation


@_check("change_case:capital_word_frequency")
def _capital_words(text: str, capital_frequency: int, capital_relation: str) -> bool:
    return _compare(count_capital_words(text), capital_relation, capital_frequency)


@_check("change_case:english_capital")
def _capital(text: str) -> bool:
    return text.isupper() and is_language(text, "en")


@_check("change_case:english_lowercase")
def _lowercase(text: str) -> bool:
    return text.islower() and is_language(text, "en")


@_check("punctuation:no_comma")
def _no_comma(text: str) -> bool:
    return "," not in text


def follows(response: str, instruction: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether a response follows one instruction; an empty one follows none.

    Args:
        response: What the model wrote.
        instruction: Its id, such as `length_constraints:number_words`.
        parameters: Those of this instruction, such as `num_words`.

    Raises:
        KeyError: if there is no such instruction.
        TypeError: if a parameter is missing or unknown.
    """
    return bool(response.strip()) and CHECKS[instruction](response, **parameters)


def loosened(response: str) -> list[str]:
    """Return the up to eight forms of a response that the loose accuracy looks at.

    With and without the first line, the last line and asterisks: introductions such as "Sure, here
    it is:" and Markdown do not count against a response. Section 2.2 there.
    """
    lines = response.split("\n")
    cut = (response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])))
    return [*dict.fromkeys(form for text in cut for form in (text, text.replace("*", "")))]
