"""Points about answers of the built-in world: the flaw that costs most, in an annotator's words."""

from __future__ import annotations

from collections.abc import Sequence

from alignment_bench.digests import generator
from alignment_bench.pointing import Raised
from alignment_bench.prompts import Key, Prompt
from alignment_bench.world.genre import Flaw, Item
from alignment_bench.world.genres import GENRES


def point(prompt: Prompt, key: Key, text: str) -> Raised | None:
    """The remark on the flaw whose mending is worth most (the first among equals), naming the right value
    where there is one; None without a flaw."""
    genre = GENRES[key.facts["genre"]]
    flaws = genre.flaws(text, key.facts)
    if not flaws:
        return None
    flaw = max(flaws, key=lambda one: one.gain)
    rng = generator("points", prompt.id, text)
    edit = genre.mend(rng, text, Item(prompt.text, key.facts), flaw, explicit=True)
    return Raised(edit.remark, flaw)


def heeded(key: Key, raised: Raised, text: str) -> bool:
    """Whether the flaw is gone: nothing wrong with its fact any more, or no flaw of its kind where it
    concerns none; an empty or unreadable text heeds nothing."""
    flaw: Flaw = raised.about
    left: Sequence[Flaw] = GENRES[key.facts["genre"]].flaws(text, key.facts)
    if not text.strip() or any(one.fault == "broken" for one in left):
        return False
    return not any(one.slot == flaw.slot if flaw.slot else one.fault == flaw.fault for one in left)
