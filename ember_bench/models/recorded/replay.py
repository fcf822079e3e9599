"""Which of its recorded answers a model gives to a call.

An answer to an item is told apart by replica or draw alone. A call in another role is told apart by
what was recorded of it: the candidates that it is about, the agent, the round. A score or verdict
of which the candidate was not recorded belongs to a sample of the model's answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from ember_bench.errors import ProviderError
from ember_bench.models.recorded.fields import GENERATE
from ember_bench.models.recorded.tapes import Place, Tape
from ember_bench.models.thoughts import as_answer

if TYPE_CHECKING:
    from ember_bench.models.call import Call
    from ember_bench.models.recorded.values import Sample
    from ember_bench.models.strand import Draw
    from ember_bench.models.types import Completion

Numbered = tuple["Completion", int]
"""An answer, and its number among those to the item."""
# Each call is about one candidate.
_ABOUT_ONE: Final = ("critique", "score", "verify")
_LONGEST_SHOWN: Final = 40


class Replay:
    """The answers of one model in one role.

    Args:
        model_id: The model.
        role: The role.
        tape: What was recorded in this role.
        answers: What was recorded of the model's answers to items; None if nothing was.
    """

    def __init__(self, model_id: str, role: str, tape: Tape, answers: Tape | None) -> None:
        self._model_id = model_id
        self._role = role
        self._tape = tape
        self._answers = answers
        self._by_place = bool(tape.places)
        every = {place for places in tape.places.values() for place in places}
        self._by_about = any(place.about is not None for place in every)
        self._by_agent = any(place.agent is not None for place in every)
        self._by_round = any(place.round is not None for place in every)
        self._drawn: tuple[str | None, tuple[Numbered, ...]] = None, ()

    def answer(self, call: Call) -> Numbered:
        """Return the recorded answer, and its number among those to the item (`Tape.samples`).

        Raises:
            ProviderError: if there is none.
        """
        trial = call.trial
        if trial.subject is None:
            raise ProviderError(f"{self._model_id} answers by item, and this call is not about one")
        if trial.epoch >= trial.epochs:
            raise ProviderError(
                f"{self._model_id}: epoch {trial.epoch}, counted from 0, is not among"
                f" {trial.epochs}"
            )
        item = trial.subject.id
        if self._by_place:
            return self._at_place(call, item)
        if self._role in _ABOUT_ONE and len(call.request.about) == 1:
            return self._of_candidate(call, item)
        return self._drawn_by(call, item, self._in_order(item), self.number(call))

    def number(self, call: Call) -> int:
        """Return the number, from 0, of the draw that `call` is among those of its item."""
        try:
            if self._role == GENERATE:
                return draw_number(call.replica, call.draw)
            rounds = () if self._by_round else call.turn[-1:]
            return draw_number(_replica(call.replica), _trimmed((*call.turn[:-1], *rounds)))
        except ValueError as error:
            raise ProviderError(f"{self._model_id}: {error}") from None

    def _drawn_by(
        self, call: Call, item: str, samples: Sequence[Numbered], number: int
    ) -> Numbered:
        trial = call.trial
        place = number * trial.epochs + trial.epoch
        if place >= len(samples):
            what = "" if self._role == GENERATE else f" in the role {self._role!r}"
            raise ProviderError(
                f"{self._model_id} has {_count(len(samples))} of item {item!r}{what}; draw "
                f"{number} in epoch {trial.epoch} of {trial.epochs} needs {place + 1}"
            )
        return samples[place]

    def _in_order(self, item: str) -> Sequence[Numbered]:
        """Return the samples of an item in the order in which they are handed out."""
        if self._drawn[0] != item:  # the draws of an item come one after the other
            samples = self._tape.answers.get(item, ())
            order = sample_order(self._model_id, item, len(samples))
            self._drawn = item, tuple([(samples[number], number) for number in order])
        return self._drawn[1]

    def _at_place(self, call: Call, item: str) -> Numbered:
        """Return the answer of an agent, in a round, about candidates."""
        trial, agent = call.trial, int(_replica(call.replica))
        turn = 0 if self._role == GENERATE else (call.turn or (0,))[-1] + 1
        place = Place(
            call.request.about if self._by_about else None,
            agent if self._by_agent else None,
            turn if self._by_round else None,
        )
        found = self._tape.places.get(item, {}).get(place)
        if found is None:
            raise ProviderError(
                f"{self._model_id} has no answer {self._told(place)}of item {item!r}"
            )
        first = self._tape.number(item, place)
        if self._by_about:
            if len(found) == 1:
                return found[0][0], first  # whoever shows this candidate again is told the same
            linked = self._linked(call, item, found)
            if linked is not None:
                return found[linked][0], first + linked
            number = draw_number("0" if self._by_agent else _replica(call.replica), call.draw)
        else:
            branch = _trimmed(call.turn[:-1]) if self._role != GENERATE else call.draw
            number = draw_number("0" if self._by_agent else _replica(call.replica), branch)
        if len(found) == 1 and not number and trial.epochs == 1:
            return found[0][0], first
        order = sample_order(self._model_id, f"{item}\n{place}", len(found))
        return self._drawn_by(call, item, [(found[n][0], first + n) for n in order], number)

    def _told(self, place: Place) -> str:
        """Return what a call is, as words for a message."""
        told = "" if self._role == GENERATE else f"in the role {self._role!r} "
        if place.agent is not None:
            names = self._tape.agents
            known = place.agent < len(names)
            told += f"of agent {names[place.agent] if known else place.agent + 1} "
        if place.round is not None:
            told += f"in round {place.round} "
        if place.about is not None:
            shown = " and ".join(repr(_short(text)) for text in place.about)
            told += f"about {shown or 'nothing'} "
        return told

    def _of_candidate(self, call: Call, item: str) -> Numbered:
        """Return what was recorded about the sample that a call is about."""
        about, known = call.request.about[0], self._tape.answers.get(item, ())
        numbers = self._tape.numbers.get(item) or range(len(known))
        by_number = {number: (known[at], at) for at, number in enumerate(numbers)}
        if self._answers is None:
            raise ProviderError(
                f"{self._model_id}: its card does not say what a {self._role!r} is about: name the"
                " candidate's field as `about`, or the answers in `fields` of the card"
            )
        number = self._sample(call, item, about)
        if number is None or number not in by_number:
            raise ProviderError(
                f"{self._model_id} has no answer in the role {self._role!r} about"
                f" {_short(about)!r} of item {item!r}"
            )
        return by_number[number]

    def _linked(self, call: Call, item: str, found: Sequence[Sample]) -> int | None:
        """Return which of several answers about samples with one text is about the very sample."""
        same = self._same(item, call.request.about[0]) if len(call.request.about) == 1 else []
        if len(same) != len(found):
            return None
        number = self._sample(call, item, call.request.about[0])
        return None if number is None else sorted(same).index(number)

    def _sample(self, call: Call, item: str, about: str) -> int | None:
        """Return the number of the sample that a call is about; None if there is none."""
        assert self._answers is not None  # noqa: S101 - asked for before
        known, trial = self._answers.answers.get(item, ()), call.trial
        same = set(self._same(item, about))
        order = range(len(known))
        if not self._answers.places:
            order = sample_order(self._model_id, item, len(known))  # type: ignore[assignment]
        drawn = [n for at, n in enumerate(order) if n in same and at % trial.epochs == trial.epoch]
        at = call.draw[0] if call.draw else 0
        if at < len(drawn):
            return self._numbered(item, drawn[at])
        # In branch n of a fork the first request is draw n.
        place = at * trial.epochs + trial.epoch
        if place < len(known) and order[place] in same:
            return self._numbered(item, order[place])
        return self._numbered(item, drawn[-1]) if drawn else None

    def _numbered(self, item: str, place: int) -> int:
        assert self._answers is not None  # noqa: S101 - asked for before
        numbers = self._answers.numbers.get(item)
        return place if numbers is None else numbers[place]

    def _same(self, item: str, about: str) -> list[int]:
        """Return the places of the samples of an item with a text."""
        known = () if self._answers is None else self._answers.answers.get(item, ())
        same = [n for n, sample in enumerate(known) if sample.text == about]
        if same:
            return same
        bare = about.strip()  # operators show texts without thoughts
        return [
            n
            for n, sample in enumerate(known)
            if as_answer(sample.text, sample.finish_reason)[1].strip() == bare
        ]


def draw_number(replica: str, draw: Draw) -> int:
    """Return the number, from 0, of the draw that a call at this place is among an item's draws.

    Raises:
        ValueError: where neither the replica nor the draw alone numbers the draws.
    """
    # A module made on the fly belongs to its node (`node/made`) and is the only one there.
    made = int(replica) if replica.isdecimal() else 0
    if len(draw) > 1 or (made and draw):
        at = ".".join(map(str, draw))
        raise ValueError(
            f"replica {replica} asks for draw {at}, and recorded samples are numbered along "
            "one of the two only: the members of one ensemble, or the draws of one loop"
        )
    return made or (draw[0] if draw else 0)


def sample_order(model_id: str, item: str, samples: int) -> list[int]:
    """Return a permutation of the numbers of an item's samples, fixed by model and item.

    It is the order of hashes, as shuffles of the standard library may change with its version.
    """
    seed = f"{model_id}\n{item}".encode()
    return sorted(range(samples), key=lambda number: blake2b(b"%d\n%b" % (number, seed)).digest())


def _replica(replica: str) -> str:
    """Return the number of a replica, which has the role before it where that is no answer."""
    number = replica.partition("@")[0].rpartition(".")[2]
    return number if number.isdecimal() else "0"


def _trimmed(draw: Draw) -> Draw:
    end = len(draw)
    while end and draw[end - 1] == 0:
        end -= 1
    return draw[:end]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _count(samples: int) -> str:
    return f"{samples} recorded sample{'' if samples == 1 else 's'}"
