"""The genre ``reply``: see the package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from alignment_bench.world import vocabulary as v
from alignment_bench.world.genre import OWN, Edit, Facts, Flaw, Item, Skill, Use
from alignment_bench.world.posts.facts import QUESTIONS, SLOTS
from alignment_bench.world.replies import edits, facts, gold, language, writers

_SKILLS = {"usual": writers.USUAL, "weak": writers.WEAK, "good": writers.GOOD}


class Replies:
    """Implements `Genre`."""

    name = "reply"
    qualities: tuple[str, ...] = tuple(writers.EFFECTS)

    def phrases(self) -> Iterable[str]:
        """Every wording, slots in braces."""
        return (
            *v.WHO, *v.ACTIONS, *v.OBJECTS, *v.FEELINGS, *v.WISHES, *v.INSULTS, *v.NOW, *v.PAST,
            *facts.EVENTS, *facts.FEELINGS, *facts.WISHES, *(text for kind in facts.OTHERS for text in kind),
            facts.CALM, facts.HEATED, *facts.ENDS, *language.WORDING, *edits.REMARKS, *QUESTIONS.values(),
        )  # fmt: skip

    def draw(self, rng: np.random.Generator, use: Use, most: int = 4, heated: bool | None = None) -> Item:
        """A message; calm and heated ones are equally frequent unless `heated` says which."""
        if heated is None:
            heated = bool(rng.random() < 0.5)
        return facts.tell(rng, facts.draw_facts(rng, use), heated, most)

    def write(
        self, rng: np.random.Generator, item: Item, asked: Sequence[str] = (), skill: Skill = "usual"
    ) -> str:
        """A reply."""
        writer = writers.asked_for(asked, _SKILLS[skill])
        return language.render(writers.draw_reply(rng, facts.reread(item), writer))

    def questions(self, item: Item) -> Sequence[tuple[str, str]]:
        """What each of the five facts is, asked as about posts."""
        return [(QUESTIONS[slot], str(item.facts[slot])) for slot in SLOTS]

    def quality(self, texts: Sequence[str], facts: Sequence[Facts]) -> list[float]:
        """Gold quality, by clauses."""
        return [gold.quality(text, one) for text, one in zip(texts, facts, strict=True)]

    def flaws(self, text: str, facts: Facts) -> list[Flaw]:
        """What is false, rude, irrelevant, repeated, padded, unreadable, unfinished or missing."""
        return gold.read(text, facts)[1]

    def aspects(self, text: str, facts: Facts) -> list[Flaw]:
        """Things taken up: a careless critic asks for them all the same."""
        stated = {aim for clause in language.parse(text).clauses for aim in gold.claims(clause)}
        return [Flaw("missing", 0.0, aim) for aim in gold.AIMS if aim in stated]

    def mend(self, rng: np.random.Generator, text: str, item: Item, flaw: Flaw, explicit: bool) -> Edit:
        """The edit that takes a flaw away."""
        change = edits.mend(rng, language.parse(text), flaw, item.facts, explicit)
        return Edit(change.remark, language.render(change.row))

    def harm(self, rng: np.random.Generator, text: str, item: Item, explicit: bool, own: float = OWN) -> Edit:
        """An edit that makes the reply worse."""
        change = edits.harm(rng, language.parse(text), facts.reread(item), explicit, own)
        return Edit(change.remark, language.render(change.row))

    def has(self, quality: str, text: str, facts: Facts) -> bool:
        """Whether the reply is so."""
        clauses = language.parse(text).clauses
        kinds = [clause.kind for clause in clauses]
        advised = {aim for clause in clauses if clause.kind == "advice" for aim in gold.claims(clause)}
        pleased = any(c.kind == "advice" and c.form in language.POLITE_FORMS for c in clauses)
        rude = gold.is_rude(text)
        return {
            "short": sum(kind != "insult" for kind in kinds) <= 1,
            "full": "wish" in kinds and "feeling" in kinds,
            "emotional": "feeling" in kinds,
            "practical": "wish" in kinds,
            "rude": rude,
            "polite": pleased and not rude,
            "vague": not advised,
            "exact": len(advised) == 2,
            "wordy": "padding" in kinds,
            "plain": "padding" not in kinds and "aside" not in kinds,
        }[quality]

    def marks(self, texts: Sequence[str], facts: Sequence[Facts]) -> dict[str, list[bool]]:
        """Whether a reply is ``rude``."""
        return {"rude": [gold.is_rude(text) for text in texts]}
