"""Operators that revise answers in rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ember_bench.operators.asking import ask_all, ask_requests
from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator
from ember_bench.operators.candidates import read_answer
from ember_bench.operators.fan_in import as_responses, numbered, says_yes
from ember_bench.operators.fields import joined, names
from ember_bench.operators.lm import LMModule, check_modules
from ember_bench.operators.mapping import parallel
from ember_bench.operators.references import called
from ember_bench.operators.signature import Signature, as_signature


class _Revising(Operator):
    """An operator in which a writer answers, and revises the answer with a critic."""

    kind = OperatorKind.RECURRENT
    fills = ()
    gives = ("responses", "final_answer", "rounds", "transcript")
    default_signature = "generate"

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        rounds: int,
        answer_format: str | None,
        signature: Signature | type[Signature] | None,
    ) -> None:
        check_modules(lm_modules, type(self).__name__)
        if not 1 <= len(lm_modules) <= 2:
            raise ValueError(
                f"{type(self).__name__} takes one LM module, or a writer and a critic; "
                f"found {len(lm_modules)}"
            )
        if rounds < 0:
            raise ValueError(f"rounds must be at least 0, found {rounds}")
        super().__init__(lm_modules=lm_modules, signature=signature)
        self.rounds = rounds
        self.answer_format = answer_format

    def check_fields(self, given: Inputs) -> Inputs:
        """Check what all prompts name; with drafts, the first prompt is not used."""
        if self.rounds:
            self._check(given)
        signature = self._signature()
        if "responses" in given and signature is not None:
            given = joined(names(*signature.placeholders), given)
        return super().check_fields(given)

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Revise the given drafts at the same time, or write one first."""
        if self.rounds:
            self._check(inputs)
        drafts = inputs.get("responses")
        if drafts is None:
            drafts = [self.lms[0](self._with_turns(inputs), role="generate")]
        histories = parallel([partial(self._revise, inputs, draft) for draft in drafts])
        last = [history[-1]["response"] for history in histories]
        return {
            **as_responses(last, inputs, self.answer_format),
            "rounds": [len(history) - 1 for history in histories],
            "transcript": histories,
        }

    def _check(self, inputs: Inputs) -> None:
        """Check that no later prompt misses an input, before anything is asked."""
        raise NotImplementedError

    def _revise(self, inputs: Inputs, draft: str) -> list[dict[str, str]]:
        """Return the texts, each a `response` with the `critique` on it if there is one."""
        raise NotImplementedError

    def _about(self, inputs: Inputs, text: str) -> list[str]:
        return [read_answer(text, inputs, self.answer_format) or text]


@operator
class SelfRefine(_Revising):
    """Answers, then criticises and rewrites the answer until the critique finds no mistake.

    Self-Refine (Madaan et al. 2023). Inputs: `query`; and optionally `responses`, each of which is
    refined in the place of a first answer. Outputs: `responses`, as many; `final_answer` if there
    is one response; `rounds`, the number of revisions of each; and `transcript`, for each the texts
    in their order, a `response` with the `critique` on it.

    Args:
        lm_modules: The writer and optionally another model as the critic.
        rounds: Maximum number of revisions.
        stop: Function of a critique that returns True to accept the answer. By default, the
            critique must end in a verdict of yes.
        converge: Stop also as soon as a revision does not change the answer.
        answer_format: Format of the final answer; by default the `answer_format` of the inputs.
        signature: The prompt for the first answer; names `query`.
        critique_signature: The critic's prompt; names `query` and `response`.
        refine_signature: The prompt for the next answer; names also `critique`.
    """

    reads = ("yes_no",)
    # An attribute of instances only where it is given: it is then part of their description.
    converge: bool = False

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        rounds: int = 3,
        stop: Callable[[str], bool] = says_yes,
        converge: bool = False,
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
        critique_signature: Signature | type[Signature] | None = None,
        refine_signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(
            lm_modules=lm_modules, rounds=rounds, answer_format=answer_format, signature=signature
        )
        self.stop = called(stop, "stop")
        if converge:
            self.converge = True
        self.critique_signature = as_signature(critique_signature, "critique")
        self.refine_signature = as_signature(refine_signature, "refine")

    def _check(self, inputs: Inputs) -> None:
        self.critique_signature.check_rendering(inputs, "response")
        self.refine_signature.check_rendering(inputs, "response", "critique")

    def _revise(self, inputs: Inputs, draft: str) -> list[dict[str, str]]:
        writer, critic = self.lms[0], self.lms[-1]
        history = [{"response": draft}]
        for _ in range(self.rounds):
            given = {**inputs, "response": draft}
            about = self._about(inputs, draft)
            prompt = self.critique_signature.ask(given)
            critique = critic(prompt, role="critique", about=about)
            history[-1]["critique"] = critique
            if self.stop(critique):
                break
            prompt = self.refine_signature.ask({**given, "critique": critique})
            draft = writer(prompt, role="refine", about=about)
            history.append({"response": draft})
            if self.converge and self._about(inputs, draft) == about:
                break
        return history


@operator
class Reflect(_Revising):
    """Answers, then reflects on the mistakes of the answer and answers again, in rounds.

    After Reflexion (Shinn et al. 2023): the prompt of each attempt contains all reflections so
    far. No external signal tells that an attempt was right, so all rounds are run, which may break
    right answers (Huang et al. 2024, "Large Language Models Cannot Self-Correct Reasoning Yet").
    Inputs: `query`; and optionally `responses`, each of which is a first attempt. Outputs:
    `responses`, as many; `final_answer` if there is one response; `rounds`; and `transcript`, as of
    `SelfRefine`.

    Args:
        lm_modules: The writer and optionally another model as the critic.
        rounds: Number of reflections.
        answer_format: Format of the final answer; by default the `answer_format` of the inputs.
        signature: The prompt for the first answer; names `query`.
        reflect_signature: The critic's prompt; names `query` and `response`.
        retry_signature: The prompt for the next attempt; names also `reflections`.
    """

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        rounds: int = 1,
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
        reflect_signature: Signature | type[Signature] | None = None,
        retry_signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(
            lm_modules=lm_modules, rounds=rounds, answer_format=answer_format, signature=signature
        )
        self.reflect_signature = as_signature(reflect_signature, "reflect")
        self.retry_signature = as_signature(retry_signature, "retry")

    def _check(self, inputs: Inputs) -> None:
        self.reflect_signature.check_rendering(inputs, "response")
        self.retry_signature.check_rendering(inputs, "response", "reflections")

    def _revise(self, inputs: Inputs, draft: str) -> list[dict[str, str]]:
        writer, critic = self.lms[0], self.lms[-1]
        reflections: list[str] = []
        history = [{"response": draft}]
        for _ in range(self.rounds):
            given = {**inputs, "response": draft}
            about = self._about(inputs, draft)
            prompt = self.reflect_signature.ask(given)
            reflections.append(critic(prompt, role="critique", about=about))
            history[-1]["critique"] = reflections[-1]
            shown = "\n\n".join(f"Reflection {i}:\n{r}" for i, r in enumerate(reflections, start=1))
            prompt = self.retry_signature.ask({**given, "reflections": shown})
            draft = writer(prompt, role="refine", about=about)
            history.append({"response": draft})
        return history


@operator
class Debate(Operator):
    """Several models answer, then each reads the responses of the others and answers again.

    Multiagent debate (Du et al. 2023), to be followed by a vote. Its first round equals an
    ensemble. Inputs: `query`. Outputs: `responses` of the last round, one per LM module; and
    `transcript`, the responses of all rounds.

    Args:
        lm_modules: The agents, at least two.
        rounds: Number of answers of each agent, including the first.
        converge: Stop as soon as all agents give the same answer, or none changed its own.
        answer_format: Format of the answers; by default the `answer_format` of the inputs.
        signature: The prompt of the first round; names `query`.
        debate_signature: The prompt of the other rounds; names also `response`, the agent's own,
            and `candidates`, a numbered list of the others.
    """

    kind = OperatorKind.RECURRENT
    fills = ()
    gives = ("responses", "transcript")
    default_signature = "generate"
    converge: bool = False  # as in `SelfRefine`

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        rounds: int = 2,
        converge: bool = False,
        answer_format: str | None = None,
        signature: Signature | type[Signature] | None = None,
        debate_signature: Signature | type[Signature] | None = None,
    ) -> None:
        check_modules(lm_modules, type(self).__name__)
        if len(lm_modules) < 2:
            raise ValueError("a debate needs at least two LM modules")
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1, found {rounds}")
        super().__init__(lm_modules=lm_modules, signature=signature)
        self.rounds = rounds
        if converge:
            self.converge = True
        self.answer_format = answer_format
        self.debate_signature = as_signature(debate_signature, "debate")

    def check_fields(self, given: Inputs) -> Inputs:
        """Check what the prompts of all rounds name."""
        self._check(given)
        return super().check_fields(given)

    def _check(self, inputs: Inputs) -> None:
        if self.rounds > 1:
            self.debate_signature.check_rendering(inputs, "response", "candidates")

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Run all rounds; within a round all agents answer at the same time."""
        self._check(inputs)
        prompt = self._with_turns(inputs)
        said = ask_all([(lm, prompt) for lm in self.lms], role=self.role)
        transcript = [[response.data for response in said]]
        answers = [self._answers(transcript[0], inputs)]
        while len(transcript) < self.rounds and not (self.converge and _is_settled(answers)):
            transcript.append(self._next(transcript[-1], answers[-1], inputs))
            answers.append(self._answers(transcript[-1], inputs))
        return {"responses": transcript[-1], "transcript": transcript}

    def _answers(self, responses: Sequence[str], inputs: Inputs) -> list[str | None]:
        return [read_answer(text, inputs, self.answer_format) for text in responses]

    def _next(
        self, responses: Sequence[str], answers: Sequence[str | None], inputs: Inputs
    ) -> list[str]:
        requests = []
        for index, lm in enumerate(self.lms):
            others = [*responses[:index], *responses[index + 1 :]]
            prompt = self.debate_signature.ask(
                {**inputs, "response": responses[index], "candidates": numbered(others)}
            )
            # The agent's own answer comes first.
            about = [a for a in (answers[index], *answers[:index], *answers[index + 1 :]) if a]
            requests.append((lm, lm.request(prompt, role="debate", about=about)))
        return [response.data for response in ask_requests(requests)]


def _is_settled(rounds: Sequence[Sequence[str | None]]) -> bool:
    """Whether the agents agree, or none has changed its answer since the round before."""
    agreed = len(set(rounds[-1])) == 1 and None not in rounds[-1]
    return agreed or (len(rounds) > 1 and rounds[-1] == rounds[-2])
