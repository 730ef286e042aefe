"""Several judges, one verdict: by majority, or unanimously (a jury, Verga et al. 2024, arXiv 2404.18796).

    judge=panel:members=[reference_panel,lm:model=smollm2]
    judge=panel:members=[a,b,c]:without=b        the same panel with one member left out

Members should err differently: judges of one family count their shared faults twice. Answers that a member
has given are stored as its own, so that leaving one out asks nobody again; win rates are stored as each
member alone and each panel without one would give them (`bench table judges=each`).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from alignment_bench import registry
from alignment_bench.errors import BadInput, Problem
from alignment_bench.feedback import Judge, Verdict
from alignment_bench.hosting import Host, host_of
from alignment_bench.labels import ResolvedPart, parse_part, resolve_part
from alignment_bench.prompts import Key, Prompt


@dataclass(frozen=True)
class Panel:
    """Votes of several judges: more members for a text than against it, or no member against it.

    A member votes for the text that its verdict favours; a tie or an unparsable answer is no vote. A pair
    that no member could parse is unparsed.
    """

    name: ClassVar[str] = "panel"

    members: tuple[str, ...] = ()
    """the judges, fields as on the command line: [reference_panel,lm:model=smollm2]"""
    rule: Literal["majority", "unanimous"] = "majority"
    """how votes become a verdict"""
    without: str = ""
    """a member to leave out, as it is written in members"""
    _parts: tuple[ResolvedPart, ...] = field(init=False, repr=False, compare=False, default=())
    _seats: tuple[Judge, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        """Builds the members. Raises BadInput with everything that is wrong with them."""
        problems: list[Problem] = []
        if self.without and self.without not in self.members:
            what = f"{self.without!r} is no member"
            problems.append(Problem("without", what, f"choose from {', '.join(self.members) or 'none'}"))
        twice = sorted({one for one in self.members if self.members.count(one) > 1})
        problems += [Problem("members", f"{one!r} is there twice", "keep one of the two") for one in twice]
        found = [_member(one, problems) for one in self.members if one != self.without]
        if problems:
            raise BadInput(problems)
        parts = tuple(part for part in found if part is not None)
        object.__setattr__(self, "_parts", parts)
        object.__setattr__(self, "_seats", tuple(part.plugin for part in parts))

    @property
    def family(self) -> str:
        """The families of all members: a panel is of the teacher's where any of them is."""
        return "+".join(dict.fromkeys(seat.family for seat in self._seats)) or "panel"

    @property
    def against_reference(self) -> bool:
        """Whether every member may compare an answer with the reference."""
        return all(seat.against_reference for seat in self._seats)

    @property
    def seats(self) -> tuple[Judge, ...]:
        """The members that vote."""
        return self._seats

    def hosted(self, host: Host) -> Panel:
        """The same panel, its members ready to work."""
        ready = copy.copy(self)
        object.__setattr__(ready, "_seats", tuple(host_of(seat, host) for seat in self._seats))
        return ready

    def unfit(self, keys: Sequence[Key]) -> str | None:
        """Why the panel cannot judge these examples, or None where every member can."""
        if not self._seats:
            return "it has no members: write judge=panel:members=[NAME,NAME]"
        reasons = [f"{seat.name}: {reason}" for seat in self._seats if (reason := seat.unfit(keys))]
        return "; ".join(reasons) or None

    def score(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], texts: Sequence[str]
    ) -> list[float] | None:
        """None: votes are no scale of quality."""
        return None

    def compare(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> list[Verdict]:
        """One verdict a pair from the members' votes."""
        return self._votes([seat.compare(prompts, keys, first, second) for seat in self._seats])

    def compare_seated(
        self, prompts: Sequence[Prompt], keys: Sequence[Key], first: Sequence[str], second: Sequence[str]
    ) -> tuple[list[Verdict], dict[str, list[Verdict]]]:
        """The verdicts, those of each member alone, and of three or more those without each member."""
        given = [seat.compare(prompts, keys, first, second) for seat in self._seats]
        names = [part.label for part in self._parts]
        views = {f"only {name}": one for name, one in zip(names, given, strict=True)}
        if len(given) > 2:
            for place, name in enumerate(names):
                views[f"without {name}"] = self._votes([*given[:place], *given[place + 1 :]])
        return self._votes(given), views

    def _votes(self, given: Sequence[Sequence[Verdict]]) -> list[Verdict]:
        return [self._counted(ballot) for ballot in zip(*given, strict=True)]

    def caption(self) -> str:
        """Who sits on the panel, which rule it follows, and what each member says of itself."""
        # a member's source is part of what this judge is, and its caption is part of every key
        named = [f"{part.label} ({registry.digest('judges', part.name)[:8]})" for part in self._parts]
        told = [seat.caption() for seat in self._seats]
        absent = f", without {self.without}" if self.without else ""
        return f"panel, {self.rule} of {len(named)}{absent}: " + "; ".join([*named, *told])

    def _counted(self, ballot: Sequence[Verdict]) -> Verdict:
        if not any(vote.parsed for vote in ballot):
            return Verdict(0.5, parsed=False)
        yes = sum(vote.parsed and vote.value > 0.5 for vote in ballot)
        no = sum(vote.parsed and vote.value < 0.5 for vote in ballot)
        if yes == no or (self.rule == "unanimous" and yes and no):
            return Verdict(0.5)
        return Verdict(float(yes > no))


def _member(text: str, problems: list[Problem]) -> ResolvedPart | None:
    try:
        return resolve_part("judges", parse_part(text, "members"), {}, "members", problems)
    except BadInput as error:
        problems += error.problems
        return None


PLUGIN = Panel
