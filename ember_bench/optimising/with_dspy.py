"""Optimisers of DSPy on a network, which stands there as a module with a predictor a prompt."""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import dspy

from ember_bench.operators.lm import LMModule
from ember_bench.optimising.bench import Bench, Scored
from ember_bench.optimising.prompts import Candidate, Prompt, Wording
from ember_bench.programs import dspy_lm
from ember_bench.programs.asking import PLACE, here

_THREADS: Final = 64
_MINIBATCH: Final = 35
_PROMPT: Final = "prompt"
_RESPONSE: Final = "response"


def bootstrap(bench: Bench, demonstrations: int) -> None:
    """Have `BootstrapFewShot` take demonstrations from trials that score full marks.

    Args:
        bench: Scores candidates.
        demonstrations: The most in a prompt.

    Raises:
        SearchEndedError: if the bench ends it.
    """
    optimiser = dspy.BootstrapFewShot(
        metric=_is_right, max_bootstrapped_demos=demonstrations, max_labeled_demos=0
    )
    with _quiet():
        compiled = optimiser.compile(_Network(bench), trainset=_examples(bench, train=True))
    bench.score(compiled.candidate(), bench.parts.validation)


def mipro(bench: Bench, reflect: LMModule, demonstrations: int, candidates: int, seed: int) -> None:
    """Have `MIPROv2` search over instructions and demonstrations.

    Args:
        bench: Scores candidates.
        reflect: Proposes instructions.
        demonstrations: The most in a prompt; 0 for instructions alone.
        candidates: Number of instructions, and of sets of demonstrations, for each prompt.
        seed: Of its random choices.

    Raises:
        SearchEndedError: if the bench ends it.
    """
    model = dspy_lm(reflect)
    optimiser = dspy.MIPROv2(
        metric=_score,
        prompt_model=model,
        task_model=model,  # asks nothing: the network has its own models
        max_bootstrapped_demos=demonstrations,
        max_labeled_demos=0,
        auto=None,
        num_candidates=candidates,
        num_threads=min(_THREADS, bench.experiment.spec.in_flight),
        seed=seed,
        metric_threshold=1.0,
    )
    # As DSPy recommends for so many candidates (`_set_num_trials_from_num_candidates`).
    variables = len(bench.prompts) * (2 if demonstrations else 1)
    trials = int(max(2 * variables * math.log2(max(2, candidates)), 1.5 * candidates))
    validation = _examples(bench, train=False)
    with _quiet(), dspy.context(**{PLACE: here()}):
        compiled = optimiser.compile(
            _Network(bench),
            trainset=_examples(bench, train=True),
            valset=validation,
            num_trials=trials,
            minibatch=len(validation) > _MINIBATCH,
            minibatch_size=_MINIBATCH,
            program_aware_proposer=False,  # it would read our code
            requires_permission_to_run=None,
        )
    bench.score(compiled.candidate(), bench.parts.validation)


class _Network(dspy.Module):  # type: ignore[misc]  # DSPy is not installed where types are checked
    """A network as DSPy sees it: an item in, a score out, and a trace of its prompts.

    Args:
        bench: Runs it.
    """

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.items = {item.id: item for item in (*bench.parts.train, *bench.parts.validation)}
        self.attributes: dict[str, str] = {}
        for number, (name, prompt) in enumerate(bench.prompts.items()):
            attribute = f"prompt_{number}_{re.sub(r'[^A-Za-z0-9]', '_', name)}"
            self.attributes[name] = attribute
            setattr(self, attribute, dspy.Predict(_signature(prompt.wording.instructions)))

    def __deepcopy__(self, memo: dict[int, object]) -> _Network:
        twin = _Network(self.bench)
        for name, attribute in self.attributes.items():
            mine, theirs = getattr(self, attribute), getattr(twin, attribute)
            theirs.signature, theirs.demos = mine.signature, list(mine.demos)
            del name
        twin._compiled = self._compiled
        return twin

    def candidate(self) -> Candidate:
        """Return the wording of each prompt."""
        return {name: self._wording(name) for name in self.attributes}

    def forward(self, item: str) -> dspy.Prediction:
        """Run the network on an item."""
        candidate = self.candidate()
        (scored,) = self.bench.score(candidate, [self.items[item]])
        if dspy.settings.trace is not None:
            for name, prompt in self.bench.prompts.items():
                for inputs, outputs in self._calls(candidate[name], prompt, scored):
                    step = getattr(self, self.attributes[name]), inputs, outputs
                    dspy.settings.trace.append(step)
        return dspy.Prediction(answer=scored.result.answer, score=scored.result.score)

    def _wording(self, name: str) -> Wording:
        predictor = getattr(self, self.attributes[name])
        instructions = predictor.signature.instructions
        if instructions == _signature("").instructions:
            instructions = ""
        shown = [f"{d[_PROMPT]}{_joint(d[_PROMPT])}{d[_RESPONSE]}" for d in predictor.demos]
        return Wording(instructions, tuple(shown))

    def _calls(
        self, wording: Wording, prompt: Prompt, scored: Scored
    ) -> Iterator[tuple[Mapping[str, str], dspy.Prediction]]:
        """Yield the calls of a prompt in a trial, without what stands before its inputs."""
        for step in self.bench.steps(scored):
            if step.node == prompt.node and step.prompt.startswith(wording.text):
                asked = step.prompt.removeprefix(wording.text).strip()
                yield {_PROMPT: asked}, dspy.Prediction(response=step.answer)


def _signature(instructions: str) -> Any:
    return dspy.Signature(f"{_PROMPT} -> {_RESPONSE}", instructions or None)


def _joint(prompt: str) -> str:
    return " " if prompt.rstrip().endswith(":") else "\n"


def _examples(bench: Bench, *, train: bool) -> list[Any]:
    items = bench.parts.train if train else bench.parts.validation
    return [
        dspy.Example(item=item.id, question=item.question, answer=item.target).with_inputs("item")
        for item in items
    ]


def _score(example: Any, prediction: Any, trace: Any = None) -> float:  # noqa: ARG001 - DSPy's
    return float(prediction.score)


def _is_right(example: Any, prediction: Any, trace: Any = None) -> bool:  # noqa: ARG001 - DSPy's
    return bool(prediction.score >= 1.0)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what optimisers print to themselves: the bench tells of candidates."""
    dspy.disable_logging()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        dspy.enable_logging()
