"""Programs: "write f: take the numbers above 3, make them times 2, and give the sum." and one line of Python.

A program has three slots, the selection, the change and what is given; gold runs it against hidden calls.
The usual writers overlook a selection that the prompt names last, so that about half of the programs fail.
Modules: `facts` (what to do), `language` (code and back), `writers`, `edits`, `gold`.
"""

from alignment_bench.world.genre import Genre
from alignment_bench.world.programs.genre import Programs

GENRE: Genre = Programs()

__all__ = ["GENRE"]
