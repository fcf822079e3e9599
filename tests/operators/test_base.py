from __future__ import annotations

import asyncio
import importlib.util
import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from ember_bench import bridge
from ember_bench.answers import formats
from ember_bench.answers.formats import AnswerFormat
from ember_bench.errors import SignatureError
from ember_bench.models.strand import TrialContext
from ember_bench.operators import (
    BestOf,
    EnsembleOperator,
    LMModule,
    MostCommonOperator,
    Operator,
    SelfRefine,
    Signature,
    VerifierOperator,
)
from ember_bench.operators.fan_in import LMFanIn
from tests.support.models import in_trial, module, modules, serve, simulated, telling

SERVICE = serve(simulated(), simulated("other"))


def lm(**config: Any) -> LMModule:
    return module(SERVICE, simulated(), **config)


class Add(Operator):
    signature = Signature(required_inputs=["a", "b"])

    def forward(self, inputs: Any) -> Any:
        return {"sum": inputs["a"] + inputs["b"]}


class Pair(BaseModel):
    a: int
    b: int


class Total(BaseModel):
    sum: int


class TestCalling:
    def test_takes_a_mapping_fields_both_or_a_model(self) -> None:
        add = Add()
        assert add({"a": 1, "b": 2}) == {"sum": 3}
        assert add(a=1, b=2) == {"sum": 3}
        assert add({"a": 1, "b": 5}, b=2) == {"sum": 3}
        assert add(Pair(a=1, b=2)) == {"sum": 3}

    def test_changes_nothing_of_what_it_is_given(self) -> None:
        given = {"a": 1}
        Add()(given, b=2)
        assert given == {"a": 1}

    def test_inputs_without_names_are_refused(self) -> None:
        with pytest.raises(SignatureError, match="found str"):
            Add()("question")  # type: ignore[arg-type]

    def test_a_missing_field_is_named_and_so_is_the_operator(self) -> None:
        with pytest.raises(SignatureError, match="missing input 'b'") as caught:
            Add()(a=1)
        assert caught.value.__notes__ == ["in Add"]

    def test_inputs_are_checked_before_any_call(self) -> None:
        asked = []

        class Asks(Operator):
            def forward(self, inputs: Any) -> Any:
                asked.append(inputs)

        with pytest.raises(SignatureError):
            Asks(signature=Signature(required_inputs=["query"]))(question="q")
        with pytest.raises(SignatureError):
            Asks(signature=Signature(input_model=Pair))(a=1, b="two")
        assert asked == []

    def test_outputs_are_cast_to_the_structured_output(self) -> None:
        assert Add(signature=Signature(structured_output=Total))(a="1", b="2") == {"sum": 12}

    def test_outputs_that_do_not_fit_are_refused_by_field(self) -> None:
        with pytest.raises(SignatureError, match="output does not fit Total: sum: "):
            Add(signature=Signature(structured_output=Total))(a="one", b="two")

    def test_a_signature_may_be_given_as_a_class(self) -> None:
        class Needs(Signature):
            required_inputs: list[str] = ["c"]  # noqa: RUF012 - a field

        with pytest.raises(SignatureError, match="missing input 'c'"):
            Add(signature=Needs)(a=1, b=2)

    def test_a_prompt_needs_a_signature(self) -> None:
        class Shows(LMFanIn):
            def forward(self, inputs: Any) -> Any:
                return self._ask_about_all([], inputs)

        with pytest.raises(SignatureError, match="Shows has no signature, and so no prompt"):
            Shows(lm_modules=[lm()])(query="?")

    def test_a_class_may_have_a_signature_class(self) -> None:
        class Needs(Signature):
            required_inputs: list[str] = ["c"]  # noqa: RUF012 - a field

        class Picky(Operator):
            signature = Needs  # type: ignore[assignment]

            def forward(self, inputs: Any) -> Any:
                return inputs["c"]

        assert Picky()(c=3) == 3
        with pytest.raises(SignatureError, match="missing input 'c'"):
            Picky()(a=1)

    def test_without_a_forward_it_says_so(self) -> None:
        with pytest.raises(NotImplementedError, match=r"Operator has no forward\(\)"):
            Operator()()


class TestAsyncForward:
    class Slow(Operator):
        def __init__(self, lms: list[LMModule]) -> None:
            self.members = lms

        async def forward(self, inputs: Any) -> Any:
            first = await self.members[0].acall("q")
            await asyncio.sleep(0)
            second = self.members[1]("q")  # synchronously
            return [first, second]

    def test_works_in_a_script_and_in_a_trial(self) -> None:
        model = telling()
        slow = self.Slow(modules(serve(model), model, 2))
        assert len(set(slow())) == 2
        inside, strand = in_trial(slow)
        assert len(set(inside)) == 2
        assert [call.key.hex() for call in strand.trial.calls] == inside

    def test_its_output_is_checked(self) -> None:
        class Wrong(Operator):
            async def forward(self, inputs: Any) -> Any:
                return {"total": 1}

        with pytest.raises(SignatureError, match="sum"):
            Wrong(signature=Signature(structured_output=Total))()


class TestBlockingForward:
    class Blocks(Operator):
        blocking = True

        def __init__(self, body: Callable[[], Any]) -> None:
            self.body = body

        def forward(self, inputs: Any) -> Any:
            return self.body(), threading.current_thread()

    def test_gets_a_thread_and_the_loop_goes_on(self) -> None:
        free = threading.Event()
        blocks = self.Blocks(lambda: free.wait(10))

        async def main() -> Any:
            blocked = asyncio.ensure_future(bridge.run(blocks))
            await asyncio.sleep(0.01)
            free.set()  # a blocked loop would not get here
            return await blocked

        was_set, thread = asyncio.run(main())
        assert was_set
        assert thread is not threading.main_thread()

    def test_model_calls_in_it_belong_to_the_trial(self) -> None:
        model = telling()
        asker = module(serve(model), model)
        blocks = self.Blocks(lambda: [asker("q"), asker("q")])
        (answers, _), strand = in_trial(blocks)
        assert [call.key.hex() for call in strand.trial.calls] == answers
        assert len(set(answers)) == 2

    def test_it_may_be_async_too(self) -> None:
        class Both(Operator):
            blocking = True

            async def forward(self, inputs: Any) -> Any:
                return await module(SERVICE, simulated()).acall("q")

        assert isinstance(in_trial(Both())[0], str)

    def test_its_errors_keep_their_frames(self) -> None:
        def explode() -> None:
            raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine") as caught:
            self.Blocks(explode)()
        assert caught.traceback[-1].name == "explode"


class TestNesting:
    class Holder(Operator):
        """Never calls `super().__init__()`, and registers nothing."""

        def __init__(self, inner: Operator) -> None:
            self.inner = inner
            self.many = [MostCommonOperator(), (MostCommonOperator(),)]
            self.named = {"one": MostCommonOperator()}
            self.asker = lm()

        def forward(self, inputs: Any) -> Any:
            return self.inner(inputs)

    def test_parts_are_found_without_registration(self) -> None:
        holder = self.Holder(EnsembleOperator(lm_modules=[lm(), lm()]))
        assert [path for path, _ in holder.named_operators()] == [
            "", "inner", "many.0", "many.1.0", "named.one",
        ]  # fmt: skip
        assert [(path, role) for path, _, role in holder.named_lm_modules()] == [
            ("asker", "generate"), ("inner.lms.0", "generate"), ("inner.lms.1", "generate"),
        ]  # fmt: skip
        assert len(holder.lm_modules()) == 3

    def test_a_module_in_two_places_is_one_module(self) -> None:
        shared = lm()
        ensemble = EnsembleOperator(lm_modules=[shared, shared])
        assert len(list(ensemble.named_lm_modules())) == 2
        assert ensemble.lm_modules() == [shared]

    @pytest.mark.slow
    def test_operators_that_hold_each_other_are_walked_once(self) -> None:
        holder = self.Holder(Add())
        holder.inner.outer = holder  # type: ignore[attr-defined]
        assert len(list(holder.named_operators())) == 5
        assert holder.describe() == holder.describe()

    def test_it_works_like_a_function(self) -> None:
        assert self.Holder(Add())(a=1, b=2) == {"sum": 3}


def scale(x: float, by: float = 2.0) -> float:
    return x * by


class Threshold:
    def __init__(self, least: float) -> None:
        self.least = least

    def __call__(self, x: float) -> bool:
        return x >= self.least

    def check(self, x: float) -> bool:
        return x >= self.least


class Holds(Operator):
    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def forward(self, inputs: Any) -> Any:
        return None


def adder(n: int) -> Callable[[int], int]:
    return lambda x: x + n


def defaulting(n: int) -> Callable[..., int]:
    return lambda x, n=n: x + n


def same(make: Callable[[], Any]) -> bool:
    return Holds(make()).describe() == Holds(make()).describe()


class TestDescription:
    """It changes with all that can change what is computed, and with nothing else."""

    BASE: Callable[[], Operator] = staticmethod(lambda: EnsembleOperator(lm_modules=[lm()]))  # type: ignore[assignment]

    @pytest.mark.parametrize(
        "other",
        [
            lambda: EnsembleOperator(lm_modules=[lm(temperature=0.5)]),
            lambda: EnsembleOperator(lm_modules=[lm(persona="p")]),
            lambda: EnsembleOperator(lm_modules=[lm(), lm()]),
            lambda: EnsembleOperator(lm_modules=[module(SERVICE, simulated("other"))]),
            lambda: EnsembleOperator(
                lm_modules=[lm()], signature=Signature(prompt_template="{query}!")
            ),
            MostCommonOperator,
        ],
        ids=["parameter", "persona", "count", "model", "prompt", "operator"],
    )
    def test_changes_with(self, other: Callable[[], Operator]) -> None:
        assert other().describe() != EnsembleOperator(lm_modules=[lm()]).describe()

    def test_is_equal_for_equal_operators(self) -> None:
        make = lambda: EnsembleOperator(lm_modules=[lm(temperature=0.5)])  # noqa: E731
        assert make().describe() == make().describe()

    def test_changes_with_a_nested_operator(self) -> None:
        one, two = (Holds([MostCommonOperator(ties=ties)]) for ties in ("first", "random"))
        assert one.describe() != two.describe()

    def test_a_class_that_has_moved_keeps_its_name_and_subclasses_have_their_own(self) -> None:
        class Moved(Operator):
            described_as = "package.earlier.Moved"

        class Derived(Moved):
            pass

        assert Moved().describe()["operator"] == "package.earlier.Moved"
        assert Derived().describe()["operator"].endswith("Derived")

    def test_is_plain_data(self) -> None:
        assert json.dumps(Holds(lm(), Threshold(0.5), {1: {"x"}}, scale).describe())

    @pytest.mark.parametrize(
        ("one", "two"),
        [
            (scale, adder(1)),
            (adder(1), adder(2)),
            (partial(scale, by=2.0), partial(scale, by=3.0)),
            (Threshold(0.5), Threshold(0.6)),
            (Threshold(0.5).check, Threshold(0.6).check),
            (defaulting(1), defaulting(2)),
            ([1, 2], [2, 1]),
            ({"a": 1}, {"a": 2}),
            ({1, 2}, {1, 3}),
            (1, True),
            (Pair(a=1, b=2), Pair(a=1, b=3)),
            (Pair, Total),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_tells_apart_what_computes_differently(self, one: Any, two: Any) -> None:
        assert json.dumps(Holds(one).describe()) != json.dumps(Holds(two).describe())

    @pytest.mark.parametrize(
        "make",
        [
            lambda: scale,
            lambda: adder(1),
            lambda: partial(scale, by=2.0),
            lambda: Threshold(0.5),
            lambda: Threshold(0.5).check,
            lambda: {"b": 1, "a": {3, 1, 2}},
            lambda: TrialContext(epoch=3),
            lambda: Pair(a=1, b=2),
        ],
        ids=["function", "closure", "partial", "callable", "method", "data", "slots", "model"],
    )
    def test_is_the_same_for_what_computes_the_same(self, make: Callable[[], Any]) -> None:
        assert same(make)

    def load(self, folder: Path, source: str) -> ModuleType:
        """Import a user's module from a folder of its own, always under the same name."""
        folder.mkdir()
        (folder / "users.py").write_text(source)
        spec = importlib.util.spec_from_file_location("users", folder / "users.py")
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        import sys

        sys.modules["users"] = loaded
        spec.loader.exec_module(loaded)
        return loaded

    USERS = (
        "from ember_bench.operators import Operator\n"
        "class Base(Operator):\n"
        "    def helper(self): return 1\n"
        "class Mine(Base):\n"
        "    def forward(self, inputs): return self.helper()\n"
    )

    @pytest.mark.parametrize(
        ("old", "new", "changed"),
        [("", "", False), ("self.helper()", "2", True), ("return 1", "return 2", True)],
        ids=["unchanged", "class", "base class"],
    )
    def test_changes_with_the_users_source(
        self, tmp_path: Path, old: str, new: str, changed: bool
    ) -> None:
        import linecache

        before = self.load(tmp_path / "before", self.USERS).Mine().describe()
        linecache.clearcache()
        after = self.load(tmp_path / "after", self.USERS.replace(old, new)).Mine().describe()
        assert (before != after) == changed

    @pytest.mark.parametrize(
        ("make", "form"),
        [
            (lambda: MostCommonOperator(answer_format="number"), "number"),
            (lambda: VerifierOperator(lm_modules=[lm()], answer_format="choice"), "choice"),
            (lambda: VerifierOperator(lm_modules=[lm()]), "yes_no"),
            (lambda: SelfRefine(lm_modules=[lm()]), "yes_no"),
            (lambda: BestOf(lm_modules=[lm()]), "number"),
            (lambda: Holds(MostCommonOperator(answer_format="number")), "number"),
        ],
        ids=["argument", "of a verifier", "verdicts", "critiques", "scores", "within another"],
    )
    def test_changes_with_the_version_of_the_answer_formats_it_reads_by(
        self, make: Callable[[], Operator], form: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        operator = make()
        before = operator.describe()
        assert before == make().describe()
        newer = AnswerFormat(form, 99, formats.get_answer_format(form).parse)
        monkeypatch.setitem(formats._FORMATS, form, newer)
        assert operator.describe() != before

    def test_a_text_that_names_no_format_is_described_as_it_is(self) -> None:
        named = MostCommonOperator(answer_format="nothing")
        assert named.describe()["attributes"]["answer_format"] == "nothing"

    def test_of_a_users_class_changes_with_the_version_of_a_built_in_base_and_not_with_its_source(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Derived(MostCommonOperator):
            version = 3

        before = Derived().describe()["version"]
        (base,) = before["bases"]
        assert (before["own"], before["bases"][base]) == (3, 1)
        assert "tests/operators/test_base.py" in before["user code"]
        assert not [name for name in before["user code"] if "ember_bench" in name]
        monkeypatch.setattr(MostCommonOperator, "version", 2)
        assert Derived().describe()["version"] == {**before, "bases": {base: 2}}

    def test_changes_with_the_version_of_a_built_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = MostCommonOperator().describe()
        monkeypatch.setattr(MostCommonOperator, "version", 99)
        assert MostCommonOperator().describe() != before
