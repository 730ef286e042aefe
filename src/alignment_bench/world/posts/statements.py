"""What a free text states: deeds with who did them and to what, feelings and wishes with whose they are.

No parser of English, but a few rules that bind words in one clause: who did it is the nearest person before
an active verb or after "by"; a feeling or a wish is the writer's unless somebody else is the nearest person
before it, says it or advises it; "not" before it denies it; a clause without a person goes on about the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from alignment_bench.world.posts.facts import Slot
from alignment_bench.world.posts.synonyms import MEN, WOMEN
from alignment_bench.world.posts.wordings import Meaning, Unit

_WRITER: Meaning = {"the writer": 1.0}


@dataclass(frozen=True, slots=True)
class Event:
    """A deed that a text tells; None is what it leaves open. `old` where it says that it was long ago."""

    who: Meaning | None
    action: Meaning
    object: Meaning | None
    old: bool
    denied: bool
    place: int


@dataclass(frozen=True, slots=True)
class Mood:
    """A feeling or a wish: `whose` is "writer", "other" or "unclear"; `place` is the clause it stands in."""

    slot: Slot
    means: Meaning
    whose: str
    denied: bool
    place: int


@dataclass(slots=True)
class Statements:
    """What a text states, before it is held against the facts."""

    events: list[Event] = field(default_factory=list)
    moods: list[Mood] = field(default_factory=list)
    mentions: list[tuple[Slot, Meaning, int]] = field(default_factory=list)
    """people and things outside every deed, and the clause"""
    clauses: list[tuple[str, ...]] = field(default_factory=list)
    """the words of each"""
    wordings: list[tuple[str, ...]] = field(default_factory=list)
    """the words of each sentence"""
    sentences: list[tuple[range, bool]] = field(default_factory=list)
    """the numbers of its clauses, and whether it is padding, an insult or a question that any may ask"""


_STOP = frozenset(("end", "pause", "and", "because"))
_PERSONS = frozenset(("who", "narrator", "me", "pronoun", "him", "vague"))
_ADVERBS = frozenset(("adverb", "x", "not", "padding"))


def statements(said: Sequence[Unit]) -> Statements:
    """What a text states: deeds, feelings, wishes, and whose they are."""
    told = Statements()
    first_person = any(unit.text in ("i", "my", "me") for unit in said)
    people: list[Unit] = []
    things: list[Unit] = []
    start = 0
    for end in range(len(said) + 1):
        if end < len(said) and said[end].kind != "end":
            continue
        sentence = said[start:end]
        start = end + 1
        if sentence:
            told.wordings.append(tuple(unit.text for unit in sentence))
            _Sentence(sentence, told, first_person, people, things).read()
    return told


class _Sentence:
    """One sentence, read clause by clause; `people` and `things` of earlier ones are what pronouns mean."""

    def __init__(
        self,
        said: Sequence[Unit],
        told: Statements,
        first_person: bool,
        people: list[Unit],
        things: list[Unit],
    ) -> None:
        self.said, self.told, self.first_person = said, told, first_person
        self.people, self.things = people, things
        self.subject: Unit | None = None
        """of the clause before"""
        self.writer_spoke = False
        """whether the writer was the subject of a clause so far"""
        self.wanted = False
        """whether a clause so far has "wants to" or the like"""
        self.bound: set[int] = set()
        """units that belong to a deed"""

    def read(self) -> None:
        first = len(self.told.clauses)
        start, old = 0, False
        for end in range(len(self.said) + 1):
            if end < len(self.said) and not self._stops(end):
                continue
            kinds = {unit.kind for unit in self.said[start:end]}
            if kinds == {"old"}:
                old = True
            elif kinds:
                self._clause(start, end, old or "old" in kinds)
                old = False
            start = end + 1
        kinds = {unit.kind for unit in self.said}
        is_small_talk = not kinds.isdisjoint(("padding", "insult", "neutral"))
        self.told.sentences.append((range(first, len(self.told.clauses)), is_small_talk))

    def _stops(self, at: int) -> bool:
        kind = self.said[at].kind
        if kind == "so":
            return self._kind(at + 1) not in ("feeling", "adverb", "that", "x")
        if kind == "and" and self._kind(at - 1) == self._kind(at + 1) == "action":
            return False
        return kind in _STOP

    def _kind(self, at: int) -> str:
        return self.said[at].kind if 0 <= at < len(self.said) else "end"

    def _clause(self, start: int, end: int, old: bool) -> None:
        place = len(self.told.clauses)
        self.told.clauses.append(tuple(unit.text for unit in self.said[start:end]))
        subject = next((u for u in self.said[start:end] if u.kind in ("who", "narrator", "pronoun")), None)
        for at in range(start, end):
            unit = self.said[at]
            if unit.kind == "want" or (
                unit.kind in ("modal", "report") and unit.text not in ("can", "could")
            ):
                self.wanted = True
            if unit.kind == "action":
                doer = self._action(start, at, end, old, place)
                subject = (doer if unit.form != "ing" else None) or subject
            elif unit.kind in ("feeling", "wish"):
                subject = self._mood(start, at, old, place) or subject
            elif unit.kind == "who" or (unit.kind == "possessive" and unit.form == "who"):
                self.people.append(unit)
            elif unit.kind == "object":
                self.things.append(unit)
        self.writer_spoke |= any(unit.kind == "narrator" for unit in self.said[start:end])
        self._mentions(start, end, old, place)
        self.subject = subject or self.subject

    def _mentions(self, start: int, end: int, old: bool, place: int) -> None:
        clause = self.said[start:end]
        grammar = any(u.kind in ("is", "am", "do", "have", "be", "feel", "want", "make") for u in clause)
        if old or not grammar or any(u.kind == "report" for u in clause):
            return
        for at in range(start, end):
            unit = self.said[at]
            if unit.kind == "object" and at not in self.bound:
                self.told.mentions.append(("object", unit.means, place))
            elif unit.kind == "who" and at not in self.bound and self._kind(at + 1) == "do":
                self.told.mentions.append(("who", unit.means, place))

    def _action(self, start: int, at: int, end: int, old: bool, place: int) -> Unit | None:
        """Adds a deed; returns who did it where the text says so."""
        unit, said = self.said[at], self.said
        before = at - 1
        while before >= start and said[before].kind == "adverb":
            before -= 1
        lead = said[before].kind if before >= start else ""
        after = said[at + 1].text if at + 1 < end else ""
        if "kept" in unit.means and after.endswith("ing") and not after.endswith("thing"):
            return None  # "kept asking"
        doer_at = self._doer(start, at)
        doer = said[doer_at] if doer_at >= 0 else self.subject
        if doer_at < 0 and said[start].text == "who" and self.people:
            doer = self.people[-1]
        not_yet = lead in ("to", "modal") or (lead == "not" and self._kind(before - 1) == "modal")
        if not_yet and (doer is None or doer.kind != "who"):
            return None
        agent_at = self._agent(at, end)
        has_been = lead in ("is", "be", "am") or (lead == "not" and self._kind(before - 1) in ("is", "be"))
        passive = unit.form in ("participle", "past") and (has_been or agent_at >= 0)
        if unit.form == "past" and not unit.text.endswith(("ed", "t", "d")) and agent_at < 0:
            passive = False
        if unit.form == "noun" and doer_at != at - 1 and agent_at < 0:
            return None
        adjective = unit.form in ("participle", "past") and lead in ("article", "possessive") and not passive
        owner = (
            said[at - 1] if at and said[at - 1].kind == "possessive" and said[at - 1].form == "who" else None
        )
        if passive:
            doer = said[agent_at] if agent_at >= 0 else None
            doer_at = agent_at
            thing_at = self._last(start, at, "object")
            thing = said[thing_at] if thing_at >= 0 else self._next(at, end)[1] or self._it()
        else:
            thing_at, thing = self._next(at, end)
            if thing is None:
                thing_at = self._last(start, at, "object")
                thing = said[thing_at] if thing_at >= 0 else self._it() if self._refers(at, end) else None
            doer = owner or (None if adjective else doer)
        self.bound.update(spot for spot in (doer_at, thing_at) if spot >= 0)
        denied = any(u.kind == "not" for u in said[max(start, at - 4) : at])
        who = self._whom(doer)
        means = unit.means
        if denied and "returned" in means:
            means, denied = {"kept": 1.0}, False
        self.told.events.append(Event(who, means, thing.means if thing else None, old, denied, place))
        return doer if doer is not None and doer.kind == "who" else None

    def _doer(self, start: int, at: int) -> int:
        """The nearest person before a verb in its clause, -1 where there is none."""
        for spot in range(at - 1, start - 1, -1):
            unit = self.said[spot]
            if unit.kind in ("who", "narrator", "pronoun", "vague"):
                return spot
            if unit.kind == "possessive" and unit.form == "who" and spot == at - 1:
                return spot
        return -1

    def _agent(self, at: int, end: int) -> int:
        """The person after "by" behind a verb, -1 where there is none."""
        for spot in range(at + 1, min(at + 6, end)):
            if self.said[spot].kind == "by":
                for later in range(spot + 1, min(spot + 6, end)):
                    if self.said[later].kind in ("who", "narrator", "me", "him", "vague"):
                        return later
        return -1

    def _next(self, at: int, end: int) -> tuple[int, Unit | None]:
        """The thing after a verb, before the next one and before the next person with a verb."""
        for spot in range(at + 1, end):
            kind = self.said[spot].kind
            if kind == "object":
                return spot, self.said[spot]
            if kind in ("action", "want", "feel", "is", "modal"):
                break
        return -1, None

    def _last(self, start: int, at: int, kind: str) -> int:
        return next((spot for spot in range(at - 1, start - 1, -1) if self.said[spot].kind == kind), -1)

    def _refers(self, at: int, end: int) -> bool:
        return any(
            unit.text in ("it", "them", "that", "this") for unit in self.said[at + 1 : min(at + 3, end)]
        )

    def _it(self) -> Unit | None:
        return self.things[-1] if self.things else None

    def _whom(self, doer: Unit | None) -> Meaning | None:
        if doer is None or doer.kind == "vague":
            return None
        if doer.kind in ("who", "possessive"):
            return doer.means
        if doer.kind in ("pronoun", "him"):
            cannot = {"he": WOMEN, "him": WOMEN, "she": MEN, "her": MEN}.get(doer.text, ())
            fitting = (unit for unit in reversed(self.people) if not set(unit.means) <= set(cannot))
            person = next(fitting, None)
            return person.means if person else None
        return _WRITER

    def _mood(self, start: int, at: int, old: bool, place: int) -> Unit | None:
        """Adds a feeling or a wish; returns whose it is where that is the writer."""
        unit, said = self.said[at], self.said
        slot: Slot = "feeling" if unit.kind == "feeling" else "wish"
        if unit.form == "if wanted" and not self.wanted:
            return None
        nearest = self._person(start, at, slot == "feeling" and unit.form != "noun")
        if nearest > start and said[nearest].kind == "him" and said[nearest - 1].kind == "want":
            earlier = self._person(start, nearest, True)
            nearest = earlier if "get a refund" in unit.means else nearest  # "I want them to refund me"
        whose = self._owner(start, at, nearest, unit)
        if slot == "feeling" and unit.form != "noun" and self._kind(at + 1) in ("who", "object"):
            return None  # "my jealous brother", "the sad book": an adjective of something else
        reporter = next((s for s in range(at - 1, start - 1, -1) if said[s].kind in ("report", "want")), -1)
        told_by = -1
        for spot in range(reporter, start - 1, -1):
            if said[spot].kind in ("report", "want"):
                told_by = self._person(start, spot, True)
                if said[spot].kind == "report" and self._kind(spot - 1) in ("is", "be"):
                    whose = "other"
                elif told_by >= 0 and said[told_by].kind == "who":
                    whose = (
                        "other"
                        if slot == "feeling" or said[spot].kind == "report" or whose == "writer"
                        else whose
                    )
        if old and whose == "writer":
            whose = "other"
        floor = max(start, at - (7 if slot == "wish" else 4))
        denied = any(u.kind == "not" for u in said[floor:at])
        self.told.moods.append(Mood(slot, unit.means, whose, denied, place))
        return Unit("narrator", "op") if whose == "writer" and nearest >= 0 else None

    def _owner(self, start: int, at: int, nearest: int, unit: Unit) -> str:
        if nearest < 0:
            first = self._first(start)
            goes_on = first in ("is", "feel", "want", "have", "modal") and start > 0
            if (
                goes_on
                and not self.writer_spoke
                and self.subject is not None
                and self.subject.kind in ("who", "pronoun")
            ):
                finite = self.said[start].text in ("want", "need", "feel", "hope", "plan", "have", "am")
                return "writer" if finite or self._is_writer(self.subject) else "unclear"
            return "writer"
        person = self.said[nearest]
        if unit.form == "noun" and not (person.kind == "possessive" and person.form == "who"):
            return "writer"
        return "writer" if self._is_writer(person) else "other"

    def _first(self, start: int) -> str:
        spot = start
        while self._kind(spot) in _ADVERBS:
            spot += 1
        return self._kind(spot)

    def _is_writer(self, person: Unit) -> bool:
        if person.kind in ("pronoun", "him"):
            return not self.first_person or (person.text == "they" and not self.people)
        return person.kind in ("narrator", "me") or (person.kind == "vague")

    def _person(self, start: int, at: int, no_owners: bool) -> int:
        for spot in range(at - 1, start - 1, -1):
            unit = self.said[spot]
            if unit.kind in _PERSONS or (not no_owners and unit.kind == "possessive" and unit.form):
                return spot
        return -1
