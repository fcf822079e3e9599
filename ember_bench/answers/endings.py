"""Where a model's own text ends, and whether that is the end of a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ember_bench.models.types import CutOff

if TYPE_CHECKING:
    from collections.abc import Callable

# Tokens that end a text, where a server has left them in it.
_END_TOKEN = re.compile(
    r"<\|(?:end_?of_?text|im_end|eot_id|end_of_turn|eos|end|return)\|>|<end_of_turn>|</s>|<\uff5cend"
)
# A question of the model's own, as where a base model goes on with the next example.
_NEXT = re.compile(
    r"\n(?:[ \t*#]{0,20}(?P<word>Question|Q|Problem|Exercise|Input|Human|User|\[INST\]"
    r"|\u95ee\u9898|\u554f\u984c|\u9898\u76ee|Pregunta|Frage|Pergunta|Domanda)"
    r"[ \t*]*(?:[:\uff1a]|\#?[0-9]{1,4}[ \t*]*[:\uff1a.)])"
    r"|[ \t]{0,20}(?:<\|(?:user|im_start|start_header_id)\|?>"
    r"|\#{2,3} (?:Instruction|Question|Problem|Human|User)\b))",
)
_MOST_NEXT: Final = 8
_ENDS: Final = tuple(".!?\u3002\uff01\uff1f\u2026\u0964\u06d4\u061f")
_CLOSERS: Final = " \t\r*_`\"'\u201d\u2019\u00bb)]}\u300d\u300f\uff09$|~"
_DANGLING = re.compile(
    r"(?:[-+*/=<>^(\[{,&\\\u00d7\u00f7\u2212\u2248:;]"
    r"|(?:^|\s)(?:the|a|an|of|to|and|or|but|is|are|was|were|be|been|has|have|had|in|on|at|by|for|with"
    r"|from|into|that|which|who|whose|as|than|so|if|when|where|while|because|since|per|its|their|our"
    r"|this|these|equals?|gives?|means?|would|will|can|could|should|must|says?|we|it|they|he|she))$",
    re.IGNORECASE,
)
_LONG: Final = 300  # characters


def own_part(text: str, states: Callable[[str], bool]) -> str:
    """Return `text` up to where a model goes on with what is not its answer any more.

    Args:
        text: A model's text.
        states: Whether a text states an answer: only behind a statement is a question a new one.
    """
    if ("<|" in text or "<e" in text or "</s>" in text) and (end := _END_TOKEN.search(text)):
        text = text[: end.start()]
    if "\n" not in text:
        return text
    head = text.lstrip()[:20]
    for number, following in enumerate(_NEXT.finditer(text)):
        if number == _MOST_NEXT:
            break
        word = following["word"]
        if word and head.lstrip("*# ").startswith(word):
            break  # the model repeats each question before its answer
        if states(text[: following.start()]):
            return text[: following.start()]
    return text


def unfinished(text: str) -> bool:
    """Whether a text stops in the middle of its last line: then what stands there is no answer.

    A text that its model's limit of tokens ended does. Of others it is told by what they end in:
    a bracket that is open, an operator, a word that wants another one.
    """
    if isinstance(text, CutOff):
        return True
    line = text[-_LONG:].rpartition("\n")[2]
    bare = line.rstrip(_CLOSERS)
    if bare.endswith(_ENDS) or not any(map(str.isalnum, bare)):
        return False
    ending = line.rstrip(" \t\r*_`")
    return _DANGLING.search(ending) is not None or _open(line)


def stops_short(text: str) -> bool:
    """Whether a long text ends without the end of a sentence, which proves nothing by itself."""
    line = text.rstrip(_CLOSERS + "\n")
    return len(text) > _LONG and not line.endswith(_ENDS)


def _open(line: str) -> bool:
    return any(line.count(left) > line.count(right) for left, right in ("()", "{}"))
