"""Ray's calls without Ray, one after the other in this process, to test what `launchers.ray` does with them.

`wait` does the first call that waits; `doomed` are the numbers of calls to `do` in which the actor dies.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any


class RayError(Exception):
    """As in ray.exceptions."""


class RayActorError(RayError):
    """As in ray.exceptions."""


class OutOfMemoryError(RayError):
    """As in ray.exceptions."""


class RayTaskError(RayError):
    """As in ray.exceptions."""


class Ref:
    """What a call or `put` gives: done when somebody waits for it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work, self.outcome, self.error, self.done = work, None, None, False  # type: ignore[var-annotated]

    def do(self) -> None:
        if not self.done:
            self.done = True
            try:
                self.outcome = self.work()
            except RayError as error:
                self.error = error
            except Exception as error:
                self.error = RayTaskError(repr(error))


class Queue:
    """As in ray.util.queue."""

    def __init__(self, actor_options: Any = None) -> None:
        self.items: list[Any] = []
        self.actor = SimpleNamespace(put=SimpleNamespace(remote=self.items.append))
        self.put = self.items.append

    def size(self) -> int:
        return len(self.items)

    def get_nowait_batch(self, count: int) -> list[Any]:
        taken, self.items[:] = self.items[:count], self.items[count:]
        return taken


class FakeRay(ModuleType):
    """The module; `asked` is what actors were asked to have, `started` what `init` was given."""

    def __init__(self, doomed: set[int]) -> None:
        super().__init__("ray")
        self.__spec__ = ModuleSpec("ray", None)
        self.__path__: list[str] = []
        self.doomed, self.dos, self.up = doomed, 0, False
        self.asked: list[dict[str, Any]] = []
        self.started: dict[str, Any] = {}
        self.unreachable = False
        errors = (RayError, RayActorError, OutOfMemoryError, RayTaskError)
        self.exceptions = ModuleType("ray.exceptions")
        vars(self.exceptions).update({one.__name__: one for one in errors})
        self.util, queue = ModuleType("ray.util"), ModuleType("ray.util.queue")
        queue.Queue = Queue  # type: ignore[attr-defined]
        self.modules = {"ray": self, "ray.exceptions": self.exceptions, "ray.util": self.util}
        self.modules["ray.util.queue"] = queue

    def install(self, monkeypatch: Any) -> FakeRay:
        """Puts it where ray is imported from."""
        for name, module in self.modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        return self

    def is_initialized(self) -> bool:
        return self.up

    def init(self, **options: Any) -> None:
        if self.unreachable:
            raise ConnectionError("nobody is there\nreally")
        self.started, self.up = options, True

    def shutdown(self) -> None:
        self.up = False

    def put(self, value: Any) -> Ref:
        return Ref(lambda: value)

    def get(self, ref: Ref) -> Any:
        ref.do()
        if ref.error is not None:
            raise ref.error
        return ref.outcome

    def wait(self, refs: list[Ref], num_returns: int, timeout: float) -> tuple[list[Ref], list[Ref]]:
        refs[0].do()
        return refs[:1], refs[1:]

    def kill(self, actor: Any) -> None:
        actor.gone = True

    def remote(self, cls: type) -> Any:
        def options(**asked: Any) -> Any:
            self.asked.append(asked)
            return SimpleNamespace(remote=lambda *args: self._actor(cls(*args)))

        return SimpleNamespace(options=options)

    def _actor(self, one: Any) -> Any:
        def do(*args: Any) -> Any:
            self.dos += 1
            if self.dos in self.doomed:
                raise RayActorError("The actor died.\nWorker exit type: SYSTEM_ERROR")
            return one.do(*args)

        begin = lambda orders: Ref(lambda: one.begin(self.get(orders)))  # noqa: E731
        calls = {"do": lambda *args: Ref(lambda: do(*args)), "begin": begin}
        return SimpleNamespace(gone=False, **{k: SimpleNamespace(remote=call) for k, call in calls.items()})
