from __future__ import annotations

from pathlib import Path

import pytest

from ember_bench.datasets.cards import parse_card
from ember_bench.documents import parse_document
from ember_bench.errors import ConfigError

HUB = "{repository: org/name, split: test, revision: 0123456789abcdef0123456789abcdef01234567}"
FIELDS = "fields: {question: q, target: a}\n"
CHOICES = "fields: {question: q, target: a, choices: c}\n"


def problems(rest: str) -> list[str]:
    text = f"name: quiz\npurpose: A test.\nevaluator: exact_match\n{rest}"
    with pytest.raises(ConfigError) as caught:
        parse_card(parse_document(text, Path("quiz.yaml")))
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        (FIELDS, "quiz.yaml:1:1: missing field 'source'"),
        (
            "source: {}\n" + FIELDS,
            (
                "quiz.yaml:4:1: source: expected exactly one of hub, file, data, url, sql, "
                "records, inspect, lm_eval, reasoning_gym, generated; found none"
            ),
        ),
        (
            "source: {file: a.csv, data: b.csv}\n" + FIELDS,
            (
                "quiz.yaml:4:1: source: expected exactly one of hub, file, data, url, sql, "
                "records, inspect, lm_eval, reasoning_gym, generated; found file and data"
            ),
        ),
        (
            f"source:\n  hub: {HUB.replace('0123456789abcdef', 'main', 1)}\n" + FIELDS,
            (
                "quiz.yaml:5:44: source.hub.revision: expected a commit of 40 hexadecimal digits; "
                "a branch or a tag can move (found 'main0123456789abcdef01234567')"
            ),
        ),
        (
            f"source:\n  hub: {HUB.partition(', revision')[0]}}}\n" + FIELDS,
            "quiz.yaml:5:3: missing field 'source.hub.revision'",
        ),
        (
            "source: {data: ../a.csv}\n" + FIELDS,
            (
                "quiz.yaml:4:10: source.data: expected a path inside the data directory "
                "(found '../a.csv')"
            ),
        ),
        (
            "source: {file: a.csv}\nfields: {question: q, traget: a}\n",
            "quiz.yaml:5:23: unknown field 'traget'; did you mean 'target'?",
        ),
        (
            "source: {file: a.csv}\nprompt: '{question.x}'\n" + FIELDS,
            (
                "quiz.yaml:5:1: prompt: unknown placeholder {question.x}; "
                "did you mean 'question'?; write {{ and }} for literal braces "
                "(found '{question.x}')"
            ),
        ),
        (
            "source: {file: a.csv}\ntarget_pattern: '#### ('\n" + FIELDS,
            (
                "quiz.yaml:5:1: target_pattern: not a regular expression: missing ), unterminated "
                "subpattern at position 5 (found '#### (')"
            ),
        ),
        (
            "source: {file: a.csv}\ntarget_pattern: '####'\n" + FIELDS,
            (
                "quiz.yaml:5:1: target_pattern: expected one group, in parentheses; "
                "found 0 (found '####')"
            ),
        ),
        (
            "source: {file: a.csv}\n",
            "quiz.yaml:1:1: missing field 'fields'",
        ),
        (
            "source: {generated: {generator: arithmetic}}\n" + FIELDS,
            "quiz.yaml:5:1: a generator makes whole items; `fields` has nothing to map",
        ),
        (
            "source: {generated: {generator: arithmetic}}\nwhere: {a: b}\n",
            "quiz.yaml:5:1: a generator makes whole items; `where` has nothing to act on",
        ),
        (
            "source: {data: a.csv}\n" + FIELDS,
            "quiz.yaml:4:1: `data:` needs `available_from:`, so that people know where to get it",
        ),
        (
            "source: {file: a.csv}\nprompt: '{question}'\n" + CHOICES,
            (
                "quiz.yaml:5:1: the prompt has no {choices}, but `fields` has choices: "
                "a model would not see them"
            ),
        ),
        (
            "source: {file: a.csv}\nprompt: '{question} {choices}'\n" + FIELDS,
            "quiz.yaml:5:1: the prompt has {choices}, but `fields` has none",
        ),
        (
            "source: {file: a.csv}\ntarget_is: index\n" + FIELDS,
            "quiz.yaml:5:1: `target_is` needs `choices` in `fields`",
        ),
        (
            "source: {file: a.csv}\nshuffle_choices: true\n" + FIELDS,
            "quiz.yaml:5:1: `shuffle_choices` needs `choices` in `fields`",
        ),
        (
            "source: {file: a.csv}\nchoices_pattern: '(.)'\n" + FIELDS,
            "quiz.yaml:5:1: `choices_pattern` needs `choices` in `fields`",
        ),
        (
            "source: {file: a.csv}\noptions: [a, b]\n" + CHOICES,
            "quiz.yaml:5:1: the choices are either `options` or a field",
        ),
        (
            "source: {file: a.csv}\nempty_target: none\n" + CHOICES,
            "quiz.yaml:5:1: a right choice is never empty; `empty_target` is for other targets",
        ),
        (
            "source: {file: a.csv}\ntarget_is: label\n" + CHOICES,
            "quiz.yaml:6:1: `target_is: label` and `labels` in `fields` need each other",
        ),
    ],
)
def test_a_mistake_in_a_card_has_its_place(rest: str, expected: str) -> None:
    assert expected in problems(rest)


def test_a_card_has_a_json_schema_for_editors() -> None:
    from ember_bench.datasets import DatasetCard

    schema = DatasetCard.model_json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"name", "purpose", "source", "evaluator"}
