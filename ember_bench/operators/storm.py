"""The steps of STORM: perspectives, simulated conversations, an outline, an article.

"Assisting in Writing Wikipedia-like Articles From Scratch with Large Language Models" (Shao, Jiang,
Kanell, Xu, Khattab and Lam, NAACL 2024, arXiv:2402.14207). What is done otherwise than there: the
perspectives are a model's own, where the paper reads them off the tables of contents of articles on
related topics; a question is looked up as it stands, and is not broken into queries; and what is
looked up in is a local corpus and not the web, or nothing, and then the expert answers from memory.
The article has no citations.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from ember_bench.operators.base import Inputs, Operator, OperatorKind
from ember_bench.operators.concurrency import parallel
from ember_bench.operators.fan_in import as_responses, one_lm
from ember_bench.operators.lm import LMModule
from ember_bench.operators.retrieve import Retrieve
from ember_bench.operators.signature import Signature, builtin_signature

# The paper's p0, which stands beside those that are found.
BASIC_PERSPECTIVE: Final = "Basic fact writer: covers the basic facts of the topic broadly."
_GOODBYE: Final = re.compile(r"thank you so much for your help", re.IGNORECASE)
_BULLET: Final = re.compile(r"^[ \t]*(?:[-*\u2022]|\d{1,3}[.)])?[ \t]*")
_SECTION: Final = re.compile(r"^#[ \t]+(\S.*)$", re.MULTILINE)
_NOTHING_FOUND: Final = "(nothing)"


class FindPerspectives(Operator):
    """Has a model name the perspectives from which a topic can be looked at.

    Inputs: `query`, the topic. Outputs: `perspectives`, the basic one first, without repetitions.

    Args:
        lm_modules: Who names them, one LM module.
        count: Most perspectives beside the basic one.
        signature: The prompt; names `query` and `count`, and asks for one perspective a line.
    """

    kind = OperatorKind.FAN_OUT

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        count: int = 3,
        signature: Signature | type[Signature] | None = None,
    ) -> None:
        super().__init__(
            lm_modules=one_lm(lm_modules, self),
            signature=signature or builtin_signature("storm_perspectives"),
        )
        self.count = count

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Ask, unless only the basic one is wanted."""
        found: list[str] = []
        if self.count:
            assert self.signature is not None  # noqa: S101 - set by __init__
            said = self.lms[0](self.signature.render({**inputs, "count": self.count}))
            lines = [_BULLET.sub("", line).strip() for line in said.splitlines()]
            found = list(dict.fromkeys(line for line in lines if line))[: self.count]
        return {"perspectives": [BASIC_PERSPECTIVE, *found]}


class _Researched(Operator):
    """An operator that looks things up in a corpus, where there is one."""

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
        """As any operator's; the corpus is that of `retrieve`, by its content."""
        described = super().describe()
        del described["attributes"]["corpus"]
        return described

    def _context(self, query: str) -> str:
        if self.retrieve is None:
            return _NOTHING_FOUND
        return str(self.retrieve({"query": query})["context"]) or _NOTHING_FOUND


class Interview(_Researched):
    """Simulates a conversation between a writer and an expert for each perspective.

    The writer asks from its perspective, knowing what has been said; what the corpus has to the
    question is looked up; the expert answers on that ground. The conversations are held at the
    same time. Inputs: `query`, the topic; `perspectives`. Outputs: `conversations`, one text for
    each.

    Args:
        lm_modules: The writer and the expert.
        rounds: Most questions in a conversation; it ends before if the writer says thank you.
        corpus: Where things are looked up, as `Retrieve` takes it; by default nowhere.
        documents: Most documents for a question.
        question_signature: The writer's prompt; names `query`, `perspective` and `conversation`.
        answer_signature: The expert's prompt; names `query`, `question` and `context`.
    """

    kind = OperatorKind.RECURRENT

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        rounds: int = 3,
        corpus: str | Path | Sequence[str] | None = None,
        documents: int = 3,
        question_signature: Signature | None = None,
        answer_signature: Signature | None = None,
    ) -> None:
        if len(lm_modules) != 2:
            raise ValueError(f"Interview takes a writer and an expert, found {len(lm_modules)}")
        super().__init__(lm_modules, corpus, documents)
        self.rounds = rounds
        self.question_signature = question_signature or builtin_signature("storm_question")
        self.answer_signature = answer_signature or builtin_signature("storm_answer")

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Hold all conversations."""
        calls = [partial(self._conversation, inputs, p) for p in inputs["perspectives"]]
        return {"conversations": parallel(calls)}

    def _conversation(self, inputs: Inputs, perspective: str) -> str:
        writer, expert = self.lms
        turns: list[str] = []
        for _ in range(self.rounds):
            given = {**inputs, "perspective": perspective, "conversation": "\n\n".join(turns)}
            question = writer(self.question_signature.render(given)).strip()
            if _GOODBYE.search(question):
                break
            given = {**inputs, "question": question, "context": self._context(question)}
            answer = expert(self.answer_signature.render(given)).strip()
            turns += [f"Writer: {question}", f"Expert: {answer}"]
        return "\n\n".join([f"Perspective: {perspective}", *turns])


class Outline(Operator):
    """Has a model draft an outline from what it knows, then improve it by what was said.

    Inputs: `query`, the topic; `conversations`. Outputs: `outline`, with sections as `# Heading`.

    Args:
        lm_modules: Who writes it, one LM module.
        draft_signature: The first prompt; names `query`.
        refine_signature: The second; names `query`, `outline` and `conversations`.
    """

    kind = OperatorKind.FAN_IN

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        draft_signature: Signature | None = None,
        refine_signature: Signature | None = None,
    ) -> None:
        super().__init__(lm_modules=one_lm(lm_modules, self))
        self.draft_signature = draft_signature or builtin_signature("storm_outline")
        self.refine_signature = refine_signature or builtin_signature("storm_outline_refine")

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Draft and refine."""
        lm = self.lms[0]
        draft = lm(self.draft_signature.render(inputs))
        said = "\n\n".join(inputs["conversations"])
        given = {**inputs, "outline": draft, "conversations": said}
        return {"outline": lm(self.refine_signature.render(given))}


class WriteArticle(_Researched):
    """Has a model write the sections of an outline at the same time, then the lead.

    An outline without headings is one section. Inputs: `query`, the topic; `outline`;
    `conversations`. Outputs: `responses`, the article; and `final_answer`, which where the topic is
    a question is read out of the lead.

    Args:
        lm_modules: Who writes, one LM module.
        corpus: Where the ground of each section is looked up; by default nowhere.
        documents: Most documents for a section.
        answer_format: How the final answer is read; by default as the inputs' `answer_format` says.
        section_signature: Names `query`, `outline`, `section`, `context` and `conversations`.
        lead_signature: Names `query` and `article`.
    """

    kind = OperatorKind.FAN_IN

    def __init__(
        self,
        *,
        lm_modules: Sequence[LMModule],
        corpus: str | Path | Sequence[str] | None = None,
        documents: int = 3,
        answer_format: str | None = None,
        section_signature: Signature | None = None,
        lead_signature: Signature | None = None,
    ) -> None:
        super().__init__(one_lm(lm_modules, self), corpus, documents)
        self.answer_format = answer_format
        self.section_signature = section_signature or builtin_signature("storm_section")
        self.lead_signature = lead_signature or builtin_signature("storm_lead")

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        """Write."""
        headings = [match[1].strip() for match in _SECTION.finditer(inputs["outline"])]
        sections = list(dict.fromkeys(headings)) or [str(inputs["query"])]
        texts = parallel([partial(self._section, inputs, section) for section in sections])
        body = "\n\n".join(
            f"# {section}\n\n{text}" for section, text in zip(sections, texts, strict=True)
        )
        lead = self.lms[0](self.lead_signature.render({**inputs, "article": body})).strip()
        answer = as_responses([lead], inputs, self.answer_format)["final_answer"]
        return {"responses": [f"{lead}\n\n{body}"], "final_answer": answer}

    def _section(self, inputs: Inputs, section: str) -> str:
        said = "\n\n".join(inputs["conversations"])
        context = self._context(f"{inputs['query']} {section}")
        given = {**inputs, "section": section, "context": context, "conversations": said}
        return self.lms[0](self.section_signature.render(given)).strip()
