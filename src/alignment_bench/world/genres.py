"""The four genres by name."""

from __future__ import annotations

from collections.abc import Mapping

from alignment_bench.world import posts, programs, removals, replies
from alignment_bench.world.genre import Genre

GENRES: Mapping[str, Genre] = {
    genre.name: genre for genre in (posts.GENRE, replies.GENRE, programs.GENRE, removals.GENRE)
}
