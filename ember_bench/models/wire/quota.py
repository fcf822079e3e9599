"""Errors which say that money or a quota is used up, so that no waiting helps.

Providers and gateways answer with the same status (429) to a client that is too fast and to one
that has no credit left. They tell the two apart in different fields (`code`, `type`, `status`,
`reason`, `message`), often inside the body of another provider, so all of the text is searched.
"""

from __future__ import annotations

import json
import re
from typing import Final

# Names of the error, as the providers' documentation has them.
_CODES: Final = (
    r"access_terminated|account_deactivated|allocationquota\.freetieronly|arrearage|"
    "billing_(?:hard_limit_reached|not_active)|"
    "budget_exceeded|consumer_suspended|contract_spend_limit_reached|"
    "credit(?:_balance_(?:too_low|exhausted)|_limit|s_exhausted|_exhausted)|"
    "enforced_spend_limit_reached|exceeded_current_quota(?:_error)?|"
    "insufficient_(?:user_)?(?:quota|balance|credits?|funds)|monthly_(?:limit|quota)_exceeded|"
    "out_of_credits?|payment_required|quota_exhausted|spend(?:ing)?_limit_(?:reached|exceeded)|"
    "usage_limit_(?:reached|exceeded)"
)
_MONEY: Final = r"(?:credits?|balance|funds|quota|prepayment)"
_LIMIT: Final = r"(?:billing|spend(?:ing)?|usage|credit|budget|monthly|hard|weekly|daily)"
_CAP: Final = r"(?:limits?|caps?|quota|budget|credits)"
_GONE: Final = r"(?:reached|exceeded|exhausted|hit|used up|depleted)"
_NO: Final = r"(?:insufficient|not enough|no(?: more| remaining)?|out of|used all(?: available)?)"
_SENTENCES: Final = (
    rf"\b{_NO} (?:account )?{_MONEY}\b",
    rf"\b{_MONEY}\b[^.]{{0,40}}\b(?:too low|exhausted|depleted|insufficient|used up|run out)",
    rf"\b{_LIMIT}\b[^.]{{0,30}}\b{_CAP}\b[^.]{{0,40}}\b{_GONE}\b",
    rf"\b{_GONE}\b[^.]{{0,60}}\b{_LIMIT}\b[^.]{{0,30}}\b{_CAP}\b",
    r"\bsuspended\b[^.]{0,60}\b(?:balance|billing|payment|recharge)",
    r"\bin arrears\b",
    "余额不足|欠费|额度(?:已)?(?:用完|不足|用尽)",
)
_OF_THE_DAY: Final = r"(?:per[ _-]?|/ ?)(?:day|month)(?:\b|per)|\blimit: 0\b"

_NAMED: Final = re.compile(rf"\b(?:{_CODES})\b", re.IGNORECASE)
_SAID: Final = re.compile("|".join(_SENTENCES), re.IGNORECASE)
_EXCEEDED: Final = re.compile(r"exceeded (?:your|the) current quota", re.IGNORECASE)
_DAILY: Final = re.compile(_OF_THE_DAY, re.IGNORECASE)
# Google says "exceeded your current quota" of every limit, the one per minute as well.
_OF_GOOGLE: Final = "RESOURCE_EXHAUSTED"
# A time is stated for limits that pass, also for those of a day that roll on.
_SOON: Final = re.compile(
    r"(?:try again|retry|reset\w*)(?: your request)? (?:in|after) (?:about )?\d[\d.]* ?"
    r"(?:ms|milli|s\b|sec|m\b|m\d|min)",
    re.IGNORECASE,
)
_LONGEST_TEXT: Final = 20_000


def is_spent(error: object) -> bool:
    """Whether an error says that credit, or a quota that lasts for days, is used up.

    Args:
        error: Its body, as JSON's types or as text.
    """
    text = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False, default=str)
    text = text[:_LONGEST_TEXT]
    of_google = _OF_GOOGLE in text
    if _NAMED.search(text) or (of_google and _DAILY.search(text)):
        return True
    said = _SAID.search(text) or _DAILY.search(text)
    if said is None and not of_google:
        said = _EXCEEDED.search(text)
    return said is not None and not _SOON.search(text)
