"""Replies: what to say to somebody who was wronged and asks for advice, calmly or in a rage.

A message tells who did what to which object, how the writer feels and what they want, among distractors; a
good reply shares the feeling, sends the writer to the right person about the right thing, takes up the wish,
and insults nobody. The usual writers give half of that, and answer name-calling with name-calling.
Modules: `facts` (messages), `language` (clauses and back), `writers`, `edits`, `gold`.
"""

from alignment_bench.world.genre import Genre
from alignment_bench.world.replies.genre import Replies

GENRE: Genre = Replies()

__all__ = ["GENRE"]
