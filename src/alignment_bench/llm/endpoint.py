"""An OpenAI-compatible endpoint: its fields, its key, and one request.

The key comes from an environment variable and goes into the request's header, nowhere else: what an endpoint
sends back is cleared of it before anything is stored or said.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from alignment_bench.errors import BadInput, BenchError, Problem
from alignment_bench.llm.pacing import retry_after

PACKAGE = "openai"
MISSING = "the openai package is not installed: pip install 'alignment-bench[llm]'"
REPEATED = (408, 409, 429)
"""refusals that may pass, besides every 5xx"""
ABOUT_THIS_REQUEST = (400, 413, 422)
"""refusals of what was asked: too long, against the endpoint's rules, a parameter it does not know"""
SECRET_LETTERS = 12
"""a shorter key is a placeholder that local servers want, and may well occur in an answer"""


@dataclass(frozen=True)
class Endpoint:
    """How a model behind an OpenAI-compatible endpoint is reached, and how patiently.

    Where and how fast it is asked is no part of a cell's digest (`keyed`). What decides whether an answer
    comes at all is one, and so are prices: a cell's record tells the money.
    """

    model: str = ""
    """the model, as the endpoint calls it"""
    base_url: str | None = field(default=None, metadata={"keyed": False})
    """address up to /v1; none: the environment's OPENAI_BASE_URL, or OpenAI's own"""
    key_variable: str | None = field(default="OPENAI_API_KEY", metadata={"keyed": False})
    """environment variable that holds the key; none: the endpoint wants no key"""
    concurrency: int = field(default=8, metadata={"min": 1, "max": 256, "keyed": False})
    """requests under way at once in each process: workers=3 may have three times as many"""
    per_minute: int = field(default=0, metadata={"min": 0, "keyed": False})
    """requests a minute at most in each process, so divide the endpoint's limit by workers=; 0: no limit"""
    attempts: int = field(default=6, metadata={"min": 1})
    """times that one request is sent where no completion comes back: timeouts, 429, 5xx, broken replies"""
    timeout: float = field(default=120.0, metadata={"above": 0.0})
    """seconds to wait for a reply"""
    first_wait: float = field(default=1.0, metadata={"min": 0.0, "keyed": False})
    """seconds before the second attempt, up to half of them left off by chance; they double each time"""
    longest_wait: float = field(default=60.0, metadata={"min": 0.0})
    """seconds between two attempts at most; an endpoint that asks for more is given up"""
    unanswered: int = field(default=5, metadata={"min": 0})
    """requests of one batch that may stay without an answer; one more, or all of them, and the cell fails"""
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """what the endpoint calls the limit on an answer's length"""
    send_seed: bool = True
    """send a seed with each request, which some endpoints heed and few refuse"""
    price_in: float = field(default=0.0, metadata={"min": 0.0})
    """money for a million tokens read"""
    price_out: float = field(default=0.0, metadata={"min": 0.0})
    """money for a million tokens written"""

    def __post_init__(self) -> None:
        """Raises BadInput where an address or a variable's name holds what it must not."""
        problems = []
        # What was typed is never repeated here: it may be a key.
        if self.key_variable is not None and not re.fullmatch(r"[A-Z][A-Z0-9_]*", self.key_variable):
            what = "is not the name of an environment variable (capitals, digits, _)"
            problems.append(Problem("key_variable", what, "export the key, and name its variable"))
        if self.base_url is not None:
            problems += _address_problems(self.base_url)
        if problems:
            raise BadInput(problems)

    def unready(self) -> str | None:
        """Why nothing can be asked of it from here, or None where it can be tried."""
        if not self.model:
            return "no model is named: write model=NAME, as the endpoint calls it"
        if importlib.util.find_spec(PACKAGE) is None:
            return MISSING
        if self.key_variable is not None:
            key = os.environ.get(self.key_variable, "")
            if not key:
                return (
                    f"{self.key_variable} is not set: export it, or say key_variable=none if none is wanted"
                )
            if not re.fullmatch(r"[!-~]+", key):
                return f"{self.key_variable} holds what no key can (white space?): export it anew"
        if self.base_url is None and (set_there := os.environ.get("OPENAI_BASE_URL")):
            return next((f"OPENAI_BASE_URL: {p.message}" for p in _address_problems(set_there)), None)
        return None


class Passing(Exception):
    """No completion came, and asking again may help. `wait` is what the endpoint asked for, in seconds.

    `broken`: something came, but no completion.
    """

    def __init__(self, reason: str, wait: float | None = None, broken: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.broken = broken


class Refused(Exception):
    """The endpoint will not answer this request, whoever asks and however often."""


class EndpointFailed(BenchError):
    """The endpoint answers nobody from here, or too few; what it answered before is kept."""


class Line:
    """An open line to an endpoint; used by many threads at once."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Raises BadInput where the endpoint cannot be asked from here."""
        if reason := endpoint.unready():
            raise BadInput([Problem("model", reason, "then run the same command again")])
        import openai

        self._endpoint = endpoint
        self._key = os.environ[endpoint.key_variable] if endpoint.key_variable else ""
        self._errors = openai
        self._client = openai.OpenAI(
            api_key=self._key or "none",
            base_url=endpoint.base_url,
            timeout=endpoint.timeout,
            max_retries=0,
        )

    def post(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The completion, as the endpoint's JSON says it.

        Raises Passing, Refused, or EndpointFailed where no other request would fare better.
        """
        body, failure = self._sent(request)
        if failure is not None:
            # Raised here, not where the package's own error was caught: that one would come along, and it
            # holds what the endpoint said, uncleared.
            raise failure
        found = completion_in(body)
        # Cleared here and not in the body, where JSON has more than one way of writing a letter.
        text, first = found["text"], found["first"]
        return {
            **found,
            "text": text and self.cleared(text),
            "finish": self.cleared(found["finish"]),
            "first": first and {self.cleared(token): value for token, value in first.items()},
        }

    def _sent(self, request: Mapping[str, Any]) -> tuple[str, Exception | None]:
        """The body that came, uncleared, or what to make of its not coming."""
        errors = self._errors
        try:
            raw = self._client.chat.completions.with_raw_response.create(**request)
            return raw.http_response.text, None
        except errors.APITimeoutError:
            return "", Passing(f"no reply within {self._endpoint.timeout:g} s")
        except errors.APIConnectionError as error:
            cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
            return "", Passing(f"the connection failed{cause}")
        except errors.APIStatusError as error:
            return "", self._refusal(error)

    def cleared(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self._key, "[key]") if len(self._key) >= SECRET_LETTERS else text

    def _refusal(self, error: Any) -> Exception:
        status = error.status_code
        said = self.cleared(" ".join(str(error.message).split()))[:300]
        reason = f"HTTP {status}: {said}"
        if error.code == "insufficient_quota":
            return EndpointFailed(f"{self._endpoint.model}: {reason} (the account has nothing left)")
        if status in REPEATED or status >= 500:
            return Passing(f"HTTP {status}", retry_after(error.response.headers.get("retry-after")))
        if status in ABOUT_THIS_REQUEST:
            return Refused(reason)
        return EndpointFailed(
            f"{self._endpoint.model}: {reason} (check model=, base_url= and the key in "
            f"{self._endpoint.key_variable or 'key_variable='})"
        )


def completion_in(body: str) -> dict[str, Any]:
    """The first choice's text, why it ended, its alternatives and the usage. Raises Passing where the body
    is no chat completion."""
    try:
        said = json.loads(body)
        choice = said["choices"][0]
        message = choice["message"]
        content = message["content"]
        finish = choice.get("finish_reason")
        if content is not None and not isinstance(content, str):
            raise TypeError
    except ValueError:
        raise Passing("the reply is no JSON", broken=True) from None
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Passing("the reply is no chat completion", broken=True) from None
    usage = said.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return {
        "text": content,
        "finish": finish if isinstance(finish, str) else "",
        "first": _first_token(choice),
        "tokens": [_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")],
    }


def _first_token(choice: Mapping[str, Any]) -> dict[str, float] | None:
    """Log-probability of the likeliest first tokens, where the endpoint tells."""
    try:
        top = choice["logprobs"]["content"][0]["top_logprobs"]
        found = {str(one["token"]): float(one["logprob"]) for one in top}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
    # A little above 0 is rounding; nan and what can be no probability is as good as nothing told.
    return found if found and all(value < 0.01 for value in found.values()) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _address_problems(address: str) -> list[Problem]:
    no_address = Problem("base_url", "is no address", "write http://HOST:PORT/v1 or https://HOST/v1")
    try:
        parts = urlsplit(address)
        reachable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number
        return [no_address]
    if not reachable:
        return [no_address]
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        what = "holds more than an address"
        return [Problem("base_url", what, "keys and passwords belong in the variable of key_variable")]
    return []
