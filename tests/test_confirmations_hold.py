"""The last confirmation, run again: what was committed as holding has to hold on the same world.

Slow, and on one base and one seed of the recorded runs; the fast half checks that the page shows the records.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from alignment_bench.confirmation.mechanisms import EXPECTED, MECHANISMS, Contrast, Mechanism
from alignment_bench.confirmation.record import PAGE, Record, page, stored
from alignment_bench.confirmation.trial import carry_out, request_for
from alignment_bench.confirmation.verdicts import Trial, finding
from alignment_bench.world import VERSION

DOCS = Path(__file__).parent.parent / "docs"
RECORDS = stored(DOCS / "confirmations")


def test_the_page_lists_every_confirmation_ever_run() -> None:
    assert [record.number for record in RECORDS] == list(range(1, len(RECORDS) + 1))
    assert len({record.world for record in RECORDS}) == len(RECORDS), "a world confirms once"
    assert (DOCS / PAGE).read_text("utf-8") == page(RECORDS, MECHANISMS)


def test_the_last_confirmation_speaks_of_this_world_and_of_all_that_is_claimed() -> None:
    last = RECORDS[-1]
    assert last.versions["world"] == VERSION
    assert {one.name for one in EXPECTED} <= set(last.claims)
    assert not [one.name for one in last.findings if one.verdict == "not run"]


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Trial]:
    """The labels of the asserted mechanisms, on the world of the last record, in its first run."""
    last = RECORDS[-1]
    model, seed = last.runs[0]
    folder = tmp_path_factory.mktemp("confirmation")
    keys = {"results": str(folder / "results"), "budget": last.settings["budget"], "quiet": "true"}
    request = request_for(EXPECTED, last.world, [model], [seed], out=str(folder / "table.txt"), **keys)
    trial, _ = carry_out(EXPECTED, request, print)
    return last, trial


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", EXPECTED, ids=lambda one: one.name)
def test_what_held_holds_again(mechanism: Mechanism, again: tuple[Record, Trial]) -> None:
    """Contrasts by their interval over prompts, numbers of a run by themselves."""
    last, trial = again
    recorded = next(one for one in last.findings if one.name == mechanism.name)
    found = finding(mechanism, trial)
    assert found.mean is not None, found.reason
    print(f"{found.name}: {found.mean:+.3f}, recorded for this run {recorded.per_run[0]:+.3f}")
    alone = not isinstance(mechanism.evidence, Contrast)
    low, high = (found.mean, found.mean) if alone else (found.low, found.high)
    assert low is not None and high is not None
    if recorded.verdict == "holds":
        assert low > 0
    elif recorded.verdict == "contradicted":
        assert high < 0
    else:
        assert recorded.low is not None and recorded.high is not None
        assert low <= recorded.high and high >= recorded.low
