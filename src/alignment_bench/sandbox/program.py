"""What runs inside a confined process: the program under test, or the check of it.

Nothing here is trusted once the program has been loaded: it can change everything in its process. It can
only answer calls; whether the answers are right is decided elsewhere.
"""

from __future__ import annotations

import builtins
import os
import random
import sys
import types
from typing import Any

from alignment_bench.sandbox import wire

CHANNEL = 3
"""the file descriptor to the judge"""
NO_MEMORY = 77
"""exit status of a program that had no memory left to say so"""
_WORDS = 300


def _words(error: BaseException) -> str:
    """The error's message, shortened; whatever goes wrong in making it is part of it."""
    try:
        return str(error)[:_WORDS]
    except BaseException as again:
        return f"(its message cannot be shown: {type(again).__name__})"


def _failure(error: BaseException) -> dict[str, Any]:
    """An error as plain data: the name of its nearest built-in class, its own name, its message."""
    kind = type(error)
    known = next(c.__name__ for c in kind.__mro__ if c.__module__ == "builtins")
    where = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<program>":
            where = f", line {trace.tb_lineno}"
        trace = trace.tb_next
    return {"error": known, "name": str(kind.__name__)[:_WORDS], "words": _words(error), "where": where}


def _module(name: str) -> dict[str, Any]:
    module = types.ModuleType(name)
    # dataclasses and pickle look their module up
    sys.modules[name] = module
    return vars(module)


def _answer(function: Any, message: Any) -> bytes:
    try:
        return wire.dumps({"value": function(*message["args"], **message["named"])})
    except BaseException as error:
        return wire.dumps(_failure(error))


def serve() -> None:
    """Loads the program that comes first and answers calls until it is killed."""
    message = wire.loads(wire.read(CHANNEL))
    code, entry = message["code"], message["entry"]
    random.seed(0)
    try:
        namespace = _module("solution")
        exec(compile(code, "<program>", "exec", dont_inherit=True), namespace)
        function = namespace[entry]
    except BaseException as error:
        missing = isinstance(error, KeyError) and error.args == (entry,)
        failure = _failure(NameError(f"the program defines no {entry!r}") if missing else error)
        wire.write(CHANNEL, wire.dumps(failure))
        return
    wire.write(CHANNEL, wire.dumps({"loaded": True}))
    while True:
        wire.write(CHANNEL, _answer(function, wire.loads(wire.read(CHANNEL))))


class ProgramError(Exception):
    """Raised in a check for an error of the program that is no built-in Exception."""


def _raise(answer: dict[str, Any]) -> None:
    kind = getattr(builtins, str(answer["error"]), None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        kind = ProgramError
    try:
        error = kind(answer["words"])
    except TypeError:
        # some take more arguments than a message
        error = ProgramError(f"{answer['error']}: {answer['words']}")
    raise error


def check() -> None:
    """Runs the check that comes first, with calls of the candidate carried to the program's process."""
    message = wire.loads(wire.read(CHANNEL))

    def candidate(*args: Any, **named: Any) -> Any:
        wire.write(CHANNEL, wire.dumps({"args": list(args), "named": named}))
        answer = wire.loads(wire.read(CHANNEL))
        if "error" in answer:
            _raise(answer)
        return answer["value"]

    random.seed(0)
    namespace = _module("check")
    verdict: dict[str, Any] = {"verdict": True}
    try:
        exec(compile(message["check"], "<program>", "exec", dont_inherit=True), namespace)
        # tests that call the function by its name reach the program too
        namespace[message["entry"]] = candidate
        namespace["check"](candidate)
    except BaseException as error:
        verdict = {"verdict": False, **_failure(error)}
    wire.write(CHANNEL, wire.dumps(verdict))


def main(role: str) -> None:
    """Runs one role and ends the process without cleaning up."""
    status = 0
    try:
        check() if role == "check" else serve()
    except MemoryError:
        status = NO_MEMORY
    except BaseException:
        # the judge is gone, or the program broke this module
        status = 1
    os._exit(status)
