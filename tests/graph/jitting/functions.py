"""Functions that ask models, pure and impure, for `test_functions`.

Each takes a `World`, whose content it may change, and a question.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import functools
import io
import itertools
import json
import logging
import pickle
import random
import re
import string
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import ember_bench
from ember_bench import EnsembleOperator, MostCommonOperator, NoNGraphData, Operator, parallel, vmap
from ember_bench.errors import ProviderError
from ember_bench.operators import LMModule
from ember_bench.operators.asking import ask_all

logger = logging.getLogger("functions")

KEPT: list[Any] = []
LATEST: Any = None
FUNCTIONS: list[Callable[[World, str], Any]] = []


@dataclass
class World:
    """What a function may ask and change."""

    lms: list[LMModule]
    path: Path
    history: list[Any] = field(default_factory=list)
    cache: dict[Any, Any] = field(default_factory=dict)
    seen: set[Any] = field(default_factory=set)
    latest: Any = None
    count: int = 0
    counts: collections.Counter[Any] = field(default_factory=collections.Counter)
    by_length: Any = field(default_factory=lambda: collections.defaultdict(list))
    recent: Any = field(default_factory=lambda: collections.deque(maxlen=3))
    shared: ClassVar[list[Any]] = []
    best: ClassVar[Any] = None

    def lm(self, prompt: str) -> str:
        return self.lms[0](prompt)

    def noted(self, prompt: str) -> str:
        answer = self.lms[0](prompt)
        self.history.append(answer)
        return answer

    @property
    def fresh(self) -> str:
        return self.lms[1]("fresh")

    @functools.cached_property
    def first(self) -> str:
        return self.lms[1]("first")


@dataclass
class Result:
    answer: str
    size: int = 1


class Pair(NamedTuple):
    left: str
    right: str


class Meter:
    """Counts what it is called with."""

    def __init__(self, lm: LMModule) -> None:
        self.lm = lm
        self.calls = 0

    def __call__(self, prompt: str) -> str:
        self.calls += 1
        return self.lm(prompt)


class Polite(Meter):
    def __call__(self, prompt: str) -> str:
        return super().__call__(f"please {prompt}")


class Secret:
    def __init__(self, lm: LMModule) -> None:
        self.__lm = lm
        self.__told: list[str] = []

    def tell(self, prompt: str) -> tuple[str, int]:
        self.__told.append(self.__lm(prompt))
        return self.__told[-1], len(self.__told)


class Remembering(Operator):
    def __init__(self, lm: LMModule) -> None:
        super().__init__(lm_modules=[lm])
        self.told: list[str] = []

    def forward(self, inputs: Any) -> Any:
        answer = self.lms[0](f"remember {inputs['text']}")
        self.told.append(answer)
        return {"text": answer, "number": len(self.told)}


class Asking(Operator):
    def forward(self, inputs: Any) -> Any:
        drafts = [self.lms[0](f"{inputs['text']} {n}") for n in range(3)]
        if drafts[0] == "red":
            return {"text": self.lms[0]("red again")}
        return {"text": drafts[-1]}


@functools.lru_cache(maxsize=8)
def remembered(lm: LMModule, prompt: str) -> str:
    return lm(prompt)


def helper(lm: LMModule, prompt: str, *, loud: bool = False) -> str:
    answer = lm(f"help {prompt}")
    return answer.upper() if loud else answer


def collecting(lm: LMModule, prompt: str, into: list[str] = []) -> list[str]:  # noqa: B006
    into.append(lm(prompt))
    return into


def answers_of(lm: LMModule, prompts: list[str]) -> Iterator[str]:
    for prompt in prompts:
        yield lm(prompt)


def case(function: Callable[[World, str], Any]) -> Callable[[World, str], Any]:
    FUNCTIONS.append(function)
    return function


# ---- what only computes


@case
def plain_loop(w: World, q: str) -> Any:
    answers = []
    for n in range(4):
        answers.append(w.lms[0](f"{q} {n}"))  # noqa: PERF401
    return answers


@case
def equal_requests(w: World, q: str) -> Any:
    return [w.lms[0](q) for _ in range(4)] + [w.lms[2](q), w.lms[0](q)]


@case
def chains_side_by_side(w: World, q: str) -> Any:
    return [w.lms[0](f"improve {w.lms[0](f'{q} {n}')}") for n in range(3)]


@case
def dict_of_answers(w: World, q: str) -> Any:
    return {name: w.lms[0](f"{name} {q}") for name in ("x", "y")}


@case
def dict_by_answer(w: World, q: str) -> Any:
    return {w.lms[0](f"{n} {q}"): n for n in range(4)}


@case
def set_of_answers(w: World, q: str) -> Any:
    return sorted({w.lms[0](f"{n} {q}") for n in range(4)} | {w.lms[0](q)})


@case
def nested_containers(w: World, q: str) -> Any:
    draft = w.lms[0](q)
    table = {"a": [draft, (draft, {"b": draft})]}
    table["a"].append(w.lms[0]("more"))
    return table, [table["a"]], table["a"][1][1]["b"]


@case
def aliases(w: World, q: str) -> Any:
    one: list[Any] = []
    other = one
    one.append(w.lms[0](q))
    other.append(one[0])
    pair = (one[0], 1)
    return one is other, one, other, [pair, pair]


@case
def texts_of_answers(w: World, q: str) -> Any:
    a, b = w.lms[0](q), w.lms[1](q)
    return w.lms[0](f"{a!r:>9}|{b:^7}|{a!s}|{3:02d}" + a + "x" + "%s-%5s" % (a, b) + a * 2)  # noqa: UP031


@case
def format_and_template(w: World, q: str) -> Any:
    a = w.lms[0](q)
    return "{} {x}".format(a, x=a), string.Template("$a!").substitute(a=a), "{[0]}".format(a)  # noqa: UP032


@case
def joined(w: World, q: str) -> Any:
    drafts = [w.lms[0](f"{q} {n}") for n in range(3)]
    listed = "\n".join(f"{n}. {draft}" for n, draft in enumerate(drafts, start=1))
    return w.lms[0](f"best?\n{listed}"), ", ".join(drafts), drafts[0].join("ab")


@case
def methods_of_texts(w: World, q: str) -> Any:
    a = w.lms[0](q)
    made = a.strip().upper().replace("R", "xx").title().center(9, "*")
    return w.lms[0](made), a.find("e"), a.encode(), a.isalpha(), a.count("e")


@case
def pieces_of_texts(w: World, q: str) -> Any:
    a = w.lms[0](q)
    head, _, tail = a.partition("e")
    return a[0], a[1:], a[::-1], a.split("e")[0], head, tail, [*a][:2], a[-1] + a[: len(q)]


@case
def if_on_an_answer(w: World, q: str) -> Any:
    drafts = [w.lms[0](f"{q} {n}") for n in range(4)]
    if drafts[0] == "red":
        return w.lms[0]("it is red")
    return w.lms[0]("other"), drafts


@case
def chooses(w: World, q: str) -> Any:
    a = w.lms[0](q)
    return w.lms[0]("r" if a == "red" else "other"), a == "red" or w.lms[1](a), a and "yes", not a


@case
def compares(w: World, q: str) -> Any:
    a, b = w.lms[0](q), w.lms[0](q)
    return a == b, a != b, a < b <= "z", "e" in a, a in ("red", "green"), a in {"red"}, a is None


@case
def membership_of_lists(w: World, q: str) -> Any:
    answers = [w.lms[0](f"{q} {n}") for n in range(3)]
    return "red" in answers, answers == ["red"] * 3, answers.count("red"), answers < ["green"]


@case
def numbers(w: World, q: str) -> Any:
    lengths = [len(w.lms[0](f"{q} {n}")) for n in range(4)]
    return sum(lengths), max(lengths), lengths[0] + 1, -lengths[1], 10 - lengths[0] * 2


@case
def parses_numbers(w: World, q: str) -> Any:
    numbers = [int(w.lms[0](f"{q} {n}"), 36) % 7 for n in range(3)]
    return w.lms[0](f"{sum(numbers)}"), [w.lms[1]("x") for _ in range(numbers[0] % 3)]


@case
def votes(w: World, q: str) -> Any:
    votes = collections.Counter(w.lms[0](f"{q} {n}") for n in range(5))
    return votes.most_common(1)[0], votes


@case
def counts_a_list(w: World, q: str) -> Any:
    answers = [w.lms[0](f"{q} {n}") for n in range(5)]
    best, number = collections.Counter(answers).most_common(1)[0]
    return w.lms[1](f"{best} {number}")


@case
def regular_expressions(w: World, q: str) -> Any:
    a = w.lms[0](q)
    found = re.search(r"[aeiou]+", a)
    return found and found[0], re.findall(r"[a-f]", f"<{a}>"), re.sub("e", "3", a)


@case
def regular_expressions_with_functions(w: World, q: str) -> Any:
    return re.sub("[aeiou]", lambda m: w.lms[0](m[0])[:1], w.lms[0](q))


@case
def json_of_answers(w: World, q: str) -> Any:
    text = json.dumps({"a": w.lms[0](q), "b": [w.lms[1](q)]})
    return text, json.loads(text)["b"], w.lms[0](text)


@case
def changes_what_it_parsed(w: World, q: str) -> Any:
    parsed = json.loads(json.dumps([w.lms[0](q)]))
    same = parsed
    parsed.append(w.lms[0]("more"))
    return same, w.lms[0](f"{parsed}")


@case
def text_wrapped(w: World, q: str) -> Any:
    return textwrap.shorten(f"{w.lms[0](q)} {w.lms[1](q)}", 8), textwrap.indent(w.lms[0](q), "> ")


@case
def sorts(w: World, q: str) -> Any:
    answers = [w.lms[0](f"{q} {n}") for n in range(4)]
    answers.sort()
    return answers, sorted(answers, key=len), max(answers, key=lambda a: a[-1]), min(answers)


@case
def sorts_by_asking(w: World, q: str) -> Any:
    return sorted([f"{q} {n}" for n in range(3)], key=w.lms[0])


@case
def first_that_fits(w: World, q: str) -> Any:
    prompts = [f"{q} {n}" for n in range(6)]
    found = next((p for p in prompts if w.lms[0](p) == "red"), None)
    return found, any(w.lms[0](p) == "blue" for p in prompts), all(w.lms[0](p) for p in prompts)


@case
def mapped_and_filtered(w: World, q: str) -> Any:
    prompts = [f"{q} {n}" for n in range(4)]
    return list(map(w.lms[0], prompts)), [*filter(lambda p: w.lm(p) > "c", prompts)]


@case
def zipped(w: World, q: str) -> Any:
    answers = [w.lms[0](f"{q} {n}") for n in range(3)]
    pairs = [f"{a}{b}" for a, b in zip(answers, answers[1:], strict=False)]  # noqa: RUF007
    return pairs, list(enumerate(answers)), dict(zip("abc", answers, strict=True))


@case
def chained_iterators(w: World, q: str) -> Any:
    answers = [w.lms[0](f"{q} {n}") for n in range(2)]
    return list(itertools.chain(answers, reversed(answers))), tuple(itertools.permutations(answers))


@case
def loops_until(w: World, q: str) -> Any:
    asked = 0
    while (answer := w.lms[0](f"{q} {asked}")) != "red" and asked < 9:
        asked += 1
    return asked, answer


@case
def loops_with_break(w: World, q: str) -> Any:
    for number in range(9):
        if w.lms[0](f"{q} {number}").startswith("b"):
            break
    else:
        return "never"
    return number


@case
def loops_over_letters(w: World, q: str) -> Any:
    return [letter.upper() for letter in w.lms[0](q)], [f"{k}" for k in w.lms[0](q).split("e")]


@case
def refines(w: World, q: str) -> Any:
    text = w.lms[0](q)
    for _ in range(3):
        text = w.lms[0](f"improve {text}")
    return text


@case
def recursion(w: World, q: str) -> Any:
    def down(depth: int, text: str) -> str:
        return text if not depth else down(depth - 1, w.lms[0](f"{depth} {text}"))

    return down(3, q)


@case
def helpers(w: World, q: str) -> Any:
    return helper(w.lms[0], q), helper(w.lms[0], q, loud=True), w.lm(q), helper(*[w.lms[1], q])


@case
def inner_functions(w: World, q: str) -> Any:
    total = ""

    def add(text: str) -> None:
        nonlocal total
        total += w.lms[0](text)

    for n in range(3):
        add(f"{q} {n}")
    twice = lambda x: w.lms[0](x) + x  # noqa: E731
    return total, twice(q)


@case
def returns_closures(w: World, q: str) -> Any:
    answer, answers = w.lms[0](q), [w.lms[1](q)]

    def later() -> Any:
        return answer, answers

    return later(), [make() for make in [later]]


@case
def generators(w: World, q: str) -> Any:
    return list(answers_of(w.lms[0], [q, f"{q}?"])), [*answers_of(w.lms[1], [q])]


@case
def inner_generators(w: World, q: str) -> Any:
    def some(n: int) -> Iterator[str]:
        for i in range(n):
            yield w.lms[0](f"{q} {i}")

    found = some(3)
    return next(found), list(found), "-".join(some(2))


@case
def matches(w: World, q: str) -> Any:
    match w.lms[0](q), w.lms[1](q):
        case "red", other:
            return w.lms[0](f"r {other}")
        case first, _ if first < "c":
            return w.lms[0]("b")
        case _:
            return "neither"


@case
def unpacks(w: World, q: str) -> Any:
    answers = [w.lms[0](f"{q} {n}") for n in range(3)]
    first, *rest = answers
    (a, b), c = (first, rest[0]), rest
    first, rest = rest, first
    return a, b, c, first, rest, [*answers, *c], {"x": a, "y": b}


@case
def keyword_arguments(w: World, q: str) -> Any:
    given = {"prompt": w.lms[0](q), "loud": True}
    return helper(w.lms[0], **given), helper(lm=w.lms[0], prompt=q)


@case
def partials(w: World, q: str) -> Any:
    ask = functools.partial(helper, w.lms[0], loud=True)
    return [ask(f"{q} {n}") for n in range(2)], functools.partial(w.lms[0], q)()


@case
def types_of_answers(w: World, q: str) -> Any:
    a = w.lms[0](q)
    return (
        isinstance(a, str),
        type(a),
        type(a) is str,
        callable(a),
        hash(a) == hash(f"{a}"),
        bool(a),
    )


@case
def whole_responses(w: World, q: str) -> Any:
    response = w.lms[0].respond(q)
    return response.data, response.usage, w.lms[0](f"{response.data}"), response.cost


@case
def asked_together(w: World, q: str) -> Any:
    return [r.data for r in ask_all([(lm, q) for lm in w.lms])], w.lms[0](q)


@case
def copies(w: World, q: str) -> Any:
    answers = [w.lms[0](q)]
    return copy.copy(answers), copy.deepcopy({"a": answers}), pickle.loads(pickle.dumps(answers))


@case
def changes_lists(w: World, q: str) -> Any:
    a = [w.lms[0](f"{q} {n}") for n in range(4)]
    a.insert(1, w.lms[1](q))
    a[0] = w.lms[1](f"{q}?")
    popped = a.pop()
    a += [popped, "x"]
    a[1:3] = ["y"]
    a.extend(f"{x}!" for x in a[:2])
    del a[0]
    a.remove("x")
    return a, popped, a.index("y"), a * 2, a + [popped]  # noqa: RUF005


@case
def changes_dicts(w: World, q: str) -> Any:
    d: dict[str, Any] = {}
    for n in range(3):
        d[f"k{n}"] = w.lms[0](f"{q} {n}")
    d.setdefault("z", []).append(w.lms[1](q))
    d["k0"] += "!"
    d.update(k1=w.lms[1]("u"), w="w")
    del d["k2"]
    return (
        d,
        d.get("k0"),
        d.pop("w"),
        list(d.items()),
        [f"{v}" for v in d.values()],
        {k: v for k, v in d.items() if v},
    )


@case
def attribute_errors(w: World, q: str) -> Any:
    return w.lms[0](q).no_such_attribute  # type: ignore[attr-defined]


@case
def wrong_numbers(w: World, q: str) -> Any:
    return int(w.lms[0](q))


@case
def wrong_index(w: World, q: str) -> Any:
    return w.lms[0](f"first {w.lms[1](q).split()[3]}")


# ---- exceptions


@case
def tries_numbers(w: World, q: str) -> Any:
    found = []
    for n in range(3):
        try:
            found.append(int(w.lms[0](f"{q} {n}")))
        except ValueError as error:
            found.append(len(str(error)))
    return found


@case
def tries_models(w: World, q: str) -> Any:
    answers = []
    for n in range(6):
        answer = "none"
        try:
            answer = w.lms[0](f"{q} {n}")
        except ProviderError:
            answers.append(w.lms[1]("instead"))
        else:
            answers.append(w.lms[1](f"after {answer}"))
        finally:
            w.count += 1
        answers.append(answer)
    return answers


@case
def swallows_everything(w: World, q: str) -> Any:
    try:
        answer = w.lms[0](q)
        if answer == "red":
            raise KeyError(answer)
        return w.lms[1](f"not {answer}")
    except:  # noqa: E722
        return w.lms[1]("swallowed")


@case
def swallows_while_looking(w: World, q: str) -> Any:
    found = []
    for n in range(3):
        answer = w.lms[0](f"{q} {n}")
        try:
            found.append(answer[20])
        except BaseException:
            found.append(w.lms[1]("short"))
    return found


@case
def raises(w: World, q: str) -> Any:
    answers = [w.lms[0](f"{q} {n}") for n in range(2)]
    raise RuntimeError(f"so: {answers}")


@case
def suppresses(w: World, q: str) -> Any:
    found = []
    with contextlib.suppress(ValueError):
        found.append(w.lms[0](q))
        found.append(int(w.lms[0](q)))
    return found


@case
def asserts(w: World, q: str) -> Any:
    answer = w.lms[0](q)
    assert answer != "red", f"it was {answer}"
    return answer


# ---- what changes something


@case
def history(w: World, q: str) -> Any:
    for n in range(3):
        w.history.append(w.lms[0](f"{q} {n}"))
    w.history += [w.lms[1](q)]
    return len(w.history)


@case
def attributes(w: World, q: str) -> Any:
    w.latest = w.lms[0](q)
    w.latest = [w.latest, w.lms[0]("more")]
    w.count += len(w.latest)
    return w.lms[0](f"{w.latest}")


@case
def keeps_its_list(w: World, q: str) -> Any:
    answers = [w.lms[0](q)]
    w.latest = answers
    answers.append(w.lms[0]("more"))
    return answers is w.latest


@case
def keeps_a_tuple(w: World, q: str) -> Any:
    a, b = w.latest, w.cache["pair"] = w.lms[0](q), w.lms[1](q)
    return a, b


@case
def caches(w: World, q: str) -> Any:
    for prompt in (q, "b", q):
        if prompt not in w.cache:
            w.cache[prompt] = w.lms[0](prompt)
    return [w.cache[p] for p in (q, "b")]


@case
def cached_functions(w: World, q: str) -> Any:
    return remembered(w.lms[0], q), remembered(w.lms[0], q), remembered(w.lms[1], w.lms[0](q))


@case
def inner_caches(w: World, q: str) -> Any:
    @functools.lru_cache
    def ask(prompt: str) -> str:
        return w.lms[0](prompt)

    return ask(q), ask(q), ask("b"), ask.cache_info().hits


@case
def counters(w: World, q: str) -> Any:
    for n in range(4):
        answer = w.lms[0](f"{q} {n}")
        w.counts[answer] += 1
        w.by_length[len(answer)].append(answer)
        w.recent.append(answer)
        w.seen.add(answer)
    return w.counts.most_common()


@case
def global_variables(w: World, q: str) -> Any:
    global LATEST  # noqa: PLW0603
    LATEST = w.lms[0](q)
    KEPT.append(LATEST)
    KEPT[-1] += "!"
    return w.lms[0](f"{LATEST}")


@case
def class_attributes(w: World, q: str) -> Any:
    World.best = w.lms[0](q)
    World.shared.append((World.best, q))
    return World.best


@case
def mutable_defaults(w: World, q: str) -> Any:
    return len(collecting(w.lms[0], q)), list(collecting(w.lms[0], "more"))


@case
def function_attributes(w: World, q: str) -> Any:
    helper.latest = w.lms[0](q)  # type: ignore[attr-defined]
    return helper.latest  # type: ignore[attr-defined]


@case
def sets_attributes_by_name(w: World, q: str) -> Any:
    setattr(w, "latest", [w.lms[0](q)])  # noqa: B010
    vars(w)["count"] = 7
    return getattr(w, "latest")  # noqa: B009


@case
def prints(w: World, q: str) -> Any:
    print("asking", q)
    answer = w.lms[0](q)
    print(f"got {answer}", answer, [answer], end=".\n")
    return answer


@case
def logs(w: World, q: str) -> Any:
    answer = w.lms[0](q)
    logger.warning("got %s", answer)
    logger.warning(f"got {w.lms[1](q)}")
    return answer


@case
def writes_files(w: World, q: str) -> Any:
    with w.path.open("a") as file:
        for n in range(2):
            file.write(w.lms[0](f"{q} {n}") + "\n")
        print(w.lms[1](q), file=file)
    w.path.with_suffix(".json").write_text(json.dumps([w.lms[1](q)]))
    return w.path.read_text()


@case
def writes_buffers(w: World, q: str) -> Any:
    buffer = io.StringIO()
    buffer.write(w.lms[0](q))
    print(w.lms[1](q), file=buffer)
    return buffer.getvalue()


@case
def objects(w: World, q: str) -> Any:
    result = Result(w.lms[0](q))
    result.answer = w.lms[1](result.answer)
    return result, Pair(w.lms[0](q), "x"), [Result(w.lms[0](f"{q} {n}"), n) for n in range(2)]


@case
def callable_objects(w: World, q: str) -> Any:
    meter, polite = Meter(w.lms[0]), Polite(w.lms[0])
    return [meter(f"{q} {n}") for n in range(3)], polite(q), meter.calls, polite.calls


@case
def private_names(w: World, q: str) -> Any:
    secret = Secret(w.lms[0])
    return secret.tell(q), secret.tell(q)


@case
def properties(w: World, q: str) -> Any:
    return w.lms[1]("fresh"), w.fresh, w.first, w.first, w.lms[1]("fresh")


@case
def methods_that_note(w: World, q: str) -> Any:
    return [w.noted(f"{q} {n}") for n in range(3)], len(w.history)


@case
def random_numbers(w: World, q: str) -> Any:
    chance = random.Random(3)
    return [w.lms[0](f"{q} {chance.random()}") for _ in range(3)], chance.choice(["a", "b"])


@case
def sees_its_variables(w: World, q: str) -> Any:
    answer = w.lms[0](q)
    return sorted(locals()), locals()["answer"]


@case
def evaluates(w: World, q: str) -> Any:
    answer = w.lms[0](q)  # noqa: F841
    return eval("answer + q")


@case
def defines_classes(w: World, q: str) -> Any:
    class Local:
        said = w.lms[0](q)

    return Local.said, Local().said


# ---- operators, graphs, and what runs at the same time


@case
def operators_with_state(w: World, q: str) -> Any:
    remembering = Remembering(w.lms[0])
    outputs = [remembering(text=f"{q} {n}") for n in range(3)]
    return [output["text"] for output in outputs], remembering.told, outputs


@case
def operators_that_branch(w: World, q: str) -> Any:
    one, other = Asking(lm_modules=[w.lms[0]]), Asking(lm_modules=[w.lms[2]])
    return one(text=q)["text"], other({"text": q}), w.lms[1](one(text="more")["text"])


@case
def votes_of_operators(w: World, q: str) -> Any:
    ensemble, vote = EnsembleOperator(lm_modules=w.lms), MostCommonOperator()
    return [vote(ensemble(query=f"{q} {n}"))["final_answer"] for n in range(2)]


@case
def graphs(w: World, q: str) -> Any:
    graph = NoNGraphData()
    graph.add_node(name="asked", operator=EnsembleOperator(lm_modules=w.lms))
    graph.add_node(name="vote", operator=MostCommonOperator(), inputs=["asked"])
    return graph(query=q), graph(query=w.lms[0](q))["final_answer"], w.lms[0](q)


@case
def parallel_functions(w: World, q: str) -> Any:
    before = w.lms[0](q)
    found = parallel([lambda: w.lms[0](q), lambda: [w.lms[0](f"{before} {n}") for n in range(2)]])
    return found, w.lms[0](q)


@case
def mapped_functions(w: World, q: str) -> Any:
    return vmap(lambda n: w.lms[0](f"{q} {n}"))(range(3)), vmap(w.lms[0])([q, w.lms[1](q)])


@case
def measured(w: World, q: str) -> Any:
    w.lms[0]("before")
    with ember_bench.usage() as used:
        answers = [w.lms[0](f"{q} {n}") for n in range(3)]
    return len(used.calls), answers, w.lms[0]("after")


@case
def searched_lists(w: World, q: str) -> Any:
    drafts = [w.lms[0](f"{q} {n}") for n in range(3)]
    sizes = [len(w.lms[1](draft)) for draft in drafts]
    best = drafts[sizes.index(max(sizes))]
    found = drafts.index(best), drafts.count(w.lms[0](f"{q} again"))
    drafts.remove(best)
    return best, found, drafts


@case
def generators_with_keys(w: World, q: str) -> Any:
    longest = max((w.lms[0](f"{q} {n}") for n in range(3)), key=len)
    last = sorted((w.lms[1](f"{q} {n}") for n in range(3)), key=lambda answer: answer[-1])
    left = (w.lms[0](f"{n} {q}") for n in range(3))
    return longest, last, next(left), max(left, key=len), list(left)


@case
def counted_generators(w: World, q: str) -> Any:
    return collections.Counter(w.lms[0](f"{q} {n}") for n in range(3)).most_common()


@case
def calls_itself(w: World, q: str, depth: int = 2) -> Any:
    if not depth:
        return w.lms[0](q)
    return w.lms[1](" and ".join(calls_itself(w, f"{q}.{n}", depth - 1) for n in range(2)))
