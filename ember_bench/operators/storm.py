"""The steps of STORM: perspectives, simulated conversations, an outline, an article.

"Assisting in Writing Wikipedia-like Articles From Scratch with Large Language Models" (Shao, Jiang,
Kanell, Xu, Khattab and Lam, NAACL 2024, arXiv:2402.14207). Differences from the paper: a model
names the perspectives, which the paper reads from the tables of contents of related articles; a
question is searched for unchanged, and is not split into queries; the sources are a local corpus
in place of the web, or none, and then the expert answers from memory. The article has no citations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from ember_bench.operators.base import Inputs, Operator, OperatorKind, operator
from ember_bench.operators.fan_in import as_responses, one_lm
from ember_bench.operators.lm import LMModule, check_modules
from ember_bench.operators.mapping import parallel
from ember_bench.operators.retrieve import Retrieve
from ember_bench.operators.signature import Signature, as_signature

# The paper's p0, which is added to those that the model names.
BASIC_PERSPECTIVE: Final = "Basic fact writer: covers the basic facts of the topic broadly."
_GOODBYE: Final = re.compile(r"thank you so much for your help", re.IGNORECASE)
_BULLET: Final = re.compile(r"^[ \t]*(?:[-*\u2022]|\d{1,3}[.)])?[ \t]*")
_SECTION: Final = re.compile(r"^#[ \t]+(\S.*)$", re.MULTILINE)
_NOTHING_FOUND: Final = "(nothing)"


@operator
class FindPerspectives(Operator):
    """Has a model name perspectives on a topic.

    Inputs: `query`, the topic. Outputs: `perspectives`, the basic one first, without repetitions.

    Args:
        lm_modules: One LM module.
        count: Maximum number of perspectives, without the basic one.
        signature: The prompt; names `query` and `count`, and requests one perspective per line.
    """

    kind = OperatorKind.FAN_OUT
    gives = ("perspectives",)
    default_signature = "storm_perspectives"

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        count: int = 3,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(lm_modules=one_lm(lm_modules, self), signature=signature)
        self.count = count

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Call the model, unless `count` is 0."""
        found: list[str] = []
        if self.count:
            said = self.lms[0](self._prompt({**inputs, "count": self.count}))
            lines = [_BULLET.sub("", line).strip() for line in said.splitlines()]
            found = list(dict.fromkeys(line for line in lines if line))[: self.count]
        return {"perspectives": [BASIC_PERSPECTIVE, *found]}


class _Researched(Operator):
    """An operator that searches a corpus, if there is one."""

    def __init__(
        self,
        lm_modules: Sequence[LMModule],
        corpus: str | Path | Sequence[str] | None,
        documents: int,
    ) -> None:
        super().__init__(lm_modules=lm_modules)
        self.corpus = corpus
        self.documents = documents
        self.retrieve = None if corpus is None else Retrieve(corpus=corpus, k=documents)

    def describe(self) -> dict[str, Any]:
        """Return the description; the corpus is described by its content, in `retrieve`."""
        described = super().describe()
        del described["attributes"]["corpus"]
        return described

    def _context(self, query: str) -> str:
        if self.retrieve is None:
            return _NOTHING_FOUND
        return str(self.retrieve({"query": query})["context"]) or _NOTHING_FOUND


@operator
class Interview(_Researched):
    """Simulates a conversation between a writer and an expert for each perspective.

    The writer sees the conversation so far and asks a question; the corpus is searched for it; the
    expert answers with the documents found. The conversations are held at the same time. Inputs:
    `query`, the topic; `perspectives`. Outputs: `conversations`, one text per perspective.

    Args:
        lm_modules: The writer and the expert.
        rounds: Maximum number of questions; a conversation ends earlier if the writer says thanks.
        corpus: The documents, as for `Retrieve`; by default none.
        documents: Maximum number of documents for a question.
        question_signature: The writer's prompt; names `query`, `perspective` and `conversation`.
        answer_signature: The expert's prompt; names `query`, `question` and `context`.
    """

    kind = OperatorKind.RECURRENT
    needs = ("perspectives",)
    gives = ("conversations",)

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        rounds: int = 3,
        corpus: str | Path | Sequence[str] | None = None,
        documents: int = 3,
        question_signature: Signature | type[Signature] | None = None,
        answer_signature: Signature | type[Signature] | None = None,
    ) -> None:
        check_modules(lm_modules, type(self).__name__)
        if len(lm_modules) != 2:
            raise ValueError(f"Interview takes a writer and an expert, found {len(lm_modules)}")
        super().__init__(lm_modules, corpus, documents)
        self.rounds = rounds
        self.question_signature = as_signature(question_signature, "storm_question")
        self.answer_signature = as_signature(answer_signature, "storm_answer")

    def check_fields(self, given: Inputs) -> Inputs:
        """Check that there are perspectives, and what both prompts name."""
        outputs = super().check_fields(given)
        self.question_signature.check_rendering(given, "perspective", "conversation")
        self.answer_signature.check_rendering(given, "question", "context")
        return outputs

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Hold all conversations."""
        self.check_fields(inputs)
        calls = [partial(self._conversation, inputs, p) for p in inputs["perspectives"]]
        return {"conversations": parallel(calls)}

    def _conversation(self, inputs: Inputs, perspective: str) -> str:
        writer, expert = self.lms
        turns: list[str] = []
        for _ in range(self.rounds):
            given = {**inputs, "perspective": perspective, "conversation": "\n\n".join(turns)}
            question = writer(self.question_signature.ask(given)).strip()
            if _GOODBYE.search(question):
                break
            given = {**inputs, "question": question, "context": self._context(question)}
            answer = expert(self.answer_signature.ask(given)).strip()
            turns += [f"Writer: {question}", f"Expert: {answer}"]
        return "\n\n".join([f"Perspective: {perspective}", *turns])


@operator
class Outline(Operator):
    """Has a model draft an outline from memory, then improve it with the conversations.

    Inputs: `query`, the topic; `conversations`. Outputs: `outline`, with sections as `# Heading`.

    Args:
        lm_modules: The writer, one LM module.
        draft_signature: The first prompt; names `query`.
        refine_signature: The second prompt; names `query`, `outline` and `conversations`.
    """

    kind = OperatorKind.FAN_IN
    needs = ("conversations",)
    gives = ("outline",)

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        draft_signature: Signature | type[Signature] | None = None,
        refine_signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(lm_modules=one_lm(lm_modules, self))
        self.draft_signature = as_signature(draft_signature, "storm_outline")
        self.refine_signature = as_signature(refine_signature, "storm_outline_refine")

    def check_fields(self, given: Inputs) -> Inputs:
        """Check that there are conversations, and what both prompts name."""
        outputs = super().check_fields(given)
        self.draft_signature.check_rendering(given)
        self.refine_signature.check_rendering(given, "outline")
        return outputs

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Draft and refine."""
        self.check_fields(inputs)
        lm = self.lms[0]
        said = "\n\n".join(inputs["conversations"])
        draft = lm(self.draft_signature.ask(inputs))
        given = {**inputs, "outline": draft, "conversations": said}
        return {"outline": lm(self.refine_signature.ask(given))}


@operator
class WriteArticle(_Researched):
    """Has a model write the sections of an outline at the same time, then the lead.

    An outline without headings is one section. Inputs: `query`, the topic; `outline`;
    `conversations`. Outputs: `responses`, the article; and `final_answer`, which is read from the
    lead, for topics that are questions.

    Args:
        lm_modules: The writer, one LM module.
        corpus: The documents, as for `Retrieve`; by default none.
        documents: Maximum number of documents for a section.
        answer_format: Format of the final answer; by default the `answer_format` of the inputs.
        section_signature: The prompt of a section; names `query`, `outline`, `section`, `context`
            and `conversations`.
        lead_signature: The prompt of the lead; names `query` and `article`.
    """

    kind = OperatorKind.FAN_IN
    needs = ("query", "outline", "conversations")
    gives = ("responses", "final_answer")

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        corpus: str | Path | Sequence[str] | None = None,
        documents: int = 3,
        answer_format: str | None = None,
        section_signature: Signature | type[Signature] | None = None,
        lead_signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(one_lm(lm_modules, self), corpus, documents)
        self.answer_format = answer_format
        self.section_signature = as_signature(section_signature, "storm_section")
        self.lead_signature = as_signature(lead_signature, "storm_lead")

    def check_fields(self, given: Inputs) -> Inputs:
        """Check its inputs, and what both prompts name."""
        outputs = super().check_fields(given)
        self.section_signature.check_rendering(given, "section", "context")
        self.lead_signature.check_rendering(given, "article")
        return outputs

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Write the sections, then the lead."""
        self.check_fields(inputs)
        headings = [match[1].strip() for match in _SECTION.finditer(inputs["outline"])]
        sections = list(dict.fromkeys(headings)) or [str(inputs["query"])]
        texts = parallel([partial(self._section, inputs, section) for section in sections])
        body = "\n\n".join(
            f"# {section}\n\n{text}" for section, text in zip(sections, texts, strict=True)
        )
        lead = self.lms[0](self.lead_signature.ask({**inputs, "article": body})).strip()
        answer = as_responses([lead], inputs, self.answer_format)["final_answer"]
        return {"responses": [f"{lead}\n\n{body}"], "final_answer": answer}

    def _section(self, inputs: Inputs, section: str) -> str:
        said = "\n\n".join(inputs["conversations"])
        context = self._context(f"{inputs['query']} {section}")
        given = {**inputs, "section": section, "context": context, "conversations": said}
        return self.lms[0](self.section_signature.ask(given)).strip()
