"""What is to be trained, whole: enough for any process, this one or another, to do it from files.

`carry_out` does it here where one process trains, and hands it to `processes` where several do.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from alignment_bench.digests import derive_seed, generator
from alignment_bench.jobs import Workplace
from alignment_bench.lines import dump_lines
from alignment_bench.models.loading import make_room
from alignment_bench.models.policy import ModelPolicy
from alignment_bench.models.storage import save_policy
from alignment_bench.reward_models import Kind
from alignment_bench.training.batches import Row
from alignment_bench.training.crew import Alone, Crew
from alignment_bench.training.finetune import finetune
from alignment_bench.training.preference import (
    PairRow,
    ScalarHead,
    train_likelihood_ratio,
    train_scalar_head,
)
from alignment_bench.training.scalar import save_head
from alignment_bench.training.settings import Objective, Settings
from alignment_bench.training.start import Start

if TYPE_CHECKING:
    from alignment_bench.runtime import Runtime


class Order(Protocol):
    """A training that can be pickled."""

    @property
    def start(self) -> ModelPolicy:
        """What is trained."""

    def fit(self, folder: Path, crew: Crew) -> None:
        """Trains with the crew and stores what comes of it in `folder`, once."""


@dataclass(frozen=True)
class Supervised:
    """Fine-tuning of `start` on rows, with a policy that a KL penalty holds it to."""

    start: ModelPolicy
    rows: Sequence[Row]
    settings: Settings
    objective: Objective
    reference: ModelPolicy | None
    seed: int

    def fit(self, folder: Path, crew: Crew) -> None:
        """Stores `policy` and the loss of every step, `log.jsonl`."""
        start, rank = self.start, self.settings.lora_rank
        device = crew.device or start.device
        model = crew.ready(start.on(crew.shelf or device).load_for_training(rank, self.seed))
        known = self._known(model, device, crew)
        noise = generator("finetune", self.seed)
        curve = finetune(
            model, self.rows, self.settings, noise, start.pad, device, self.objective, known, crew
        )
        whole = crew.whole(model, lambda: start.on(crew.shelf or device).load_for_training(rank, self.seed))
        if crew.rank == 0:
            save_policy(folder / "policy", whole, parent=start)
            dump_lines(folder / "log.jsonl", [{"step": i, "loss": x} for i, x in enumerate(curve)])

    def _known(self, model: Any, device: str, crew: Crew) -> Any:
        """The reference, if any: where it is what an adapter starts from, the model itself without it."""
        if self.reference is None:
            return None
        rank = self.settings.lora_rank
        if rank and crew.size == 1 and self.reference.digest == self.start.digest:
            return Start(model, self.start.fresh_adapter(rank))
        return self.reference.on(device).scoring_model()


@dataclass(frozen=True)
class Rewarding:
    """A reward model trained from `start` on comparisons."""

    start: ModelPolicy
    pairs: Sequence[PairRow]
    kind: Kind
    beta: float
    settings: Settings
    seed: int

    def fit(self, folder: Path, crew: Crew) -> None:
        """Stores the trained trunk as `policy`, and `reference` or `head.safetensors` beside it."""
        start, settings = self.start, self.settings
        device = crew.device or start.device
        noise = generator("reward model", self.seed)
        model = self._fresh(crew.shelf or device)
        if self.kind == "likelihood_ratio":
            model = crew.ready(model)
            train_likelihood_ratio(model, self.pairs, self.beta, settings, noise, start.pad, device, crew)
            trunk = crew.whole(model, lambda: self._fresh(crew.shelf or device))
            if crew.rank == 0:
                shutil.copytree(start.folder, folder / "reference")
        else:
            head = crew.ready(self._headed(model))
            train_scalar_head(head, self.pairs, settings, noise, start.pad, device, crew)
            whole = crew.whole(head, lambda: self._headed(self._fresh(crew.shelf or device)))
            trunk = None if whole is None else whole.model
            if crew.rank == 0:
                save_head(whole, folder / "head.safetensors")
        if crew.rank == 0:
            save_policy(folder / "policy", trunk, parent=start)

    def _fresh(self, device: str) -> Any:
        return self.start.on(device).load_for_training(self.settings.lora_rank, self.seed)

    def _headed(self, model: Any) -> ScalarHead:
        return ScalarHead(model, derive_seed("scalar head", self.seed))


def carry_out(order: Order, place: Workplace, runtime: Runtime) -> None:
    """Does it in this process, or in as many as the runtime says."""
    if runtime.processes == 1:
        order.fit(place.folder, Alone(place.partial))
        make_room(order.start.n_parameters)
        return
    from alignment_bench.training.processes.launch import launch

    launch(order, place, runtime)
