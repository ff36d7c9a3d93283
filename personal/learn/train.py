"""Train connector and LoRA on rows, resumable to the step, on two CPU cores or CUDA."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from personal import memory
from personal.concepts import Progress
from personal.data.rows import Row
from personal.errors import PersonalError
from personal.learn.optimiser import Optimiser, TrainingConfig
from personal.learn.sampler import BatchSampler, SampleGroup

if TYPE_CHECKING:
    import torch

VALIDATION_BATCHES = 3
"""Held-out batches whose mean loss is the validation loss."""
CHECKPOINT, BEST, LOG = "checkpoint.pt", "best.pt", "log.jsonl"
REINFORCED, FINETUNED = "reinforced.pt", "finetuned.pt"
"""The weights of the later stages (`personal.learn.reinforce`), outdated once an earlier stage goes on."""


class TrainableModel(Protocol):
    """A model that trains on sample groups: `cached.CachedModel`, `direct.DirectModel`.

    `statistics` are the mean and deviation by which its feature maps are standardised, empty if they are not.
    """

    trained: dict[str, torch.nn.Parameter]
    statistics: tuple[torch.Tensor, torch.Tensor]

    def train_step(self, groups: Sequence[SampleGroup], *, backward: bool = True) -> StepResult: ...


@dataclass(frozen=True, slots=True)
class StepResult:
    """A batch's mean cross-entropy of its targets, tokens read, and tokens that were targets."""

    loss: float
    tokens: int
    targets: int


@dataclass(frozen=True, slots=True)
class TrainingStage:
    """A resumable stage of a run: its title, its weights, its log, and the log's name for its steps."""

    title: str
    checkpoint: Path
    log: Path
    counter: str = "step"

    def run(
        self,
        optimiser: Optimiser,
        config: TrainingConfig,
        train_one: Callable[[int], dict[str, Any]],
        stopped: Callable[[], bool] = lambda: False,
    ) -> Generator[Progress, None, int]:
        """Call `train_one` for each step that is left, log what it returns, save now and then; return the last step."""
        step, started = optimiser.resume(self.checkpoint), time.monotonic()
        memory.keep_freed()
        with self.log.open("a", encoding="utf-8") as log:
            log.write(json.dumps({self.counter: step, "recipe": asdict(config), "machine": hardware_name()}) + "\n")
            while step < config.steps and not stopped():
                line = {self.counter: step + 1, **train_one(step)}
                step += 1
                log.write(json.dumps({**line, "seconds": round(time.monotonic() - started, 1)}) + "\n")
                log.flush()
                if step % config.save_every == 0 or step == config.steps or stopped():
                    optimiser.save(self.checkpoint, step)
                    memory.give_back()
                yield Progress(f"{self.title}: loss {line['loss']:.3f}", step, config.steps)
        return step


def train(
    rows: Sequence[Row],
    held_out: Sequence[Row],
    open_model: Callable[[bool], TrainableModel],
    out: Path,
    config: TrainingConfig,
) -> Iterator[Progress]:
    """Train until `config.steps`, from the last saved step in `out` if there is one. Raises PersonalError on no rows.

    `open_model` is told whether the run begins. Training stops early if the loss on `held_out` has not fallen for
    `config.patience` validations; the weights of the lowest are saved too.
    """
    if not rows:
        raise PersonalError("There is nothing to train on: the data holds no rows.")
    out.mkdir(parents=True, exist_ok=True)
    batches, validation = BatchSampler(rows, config), BatchSampler(held_out, config)
    model = open_model(not (out / CHECKPOINT).is_file())
    optimiser = Optimiser(model.trained, model.statistics, config)
    val_losses = _logged_val_losses(out / LOG, optimiser.resume(out / CHECKPOINT))

    def train_one(step: int) -> dict[str, Any]:
        delete_outdated(out, REINFORCED, FINETUNED)
        result = model.train_step(batches.batch(step))
        norm = optimiser.step(step)
        line = {"loss": round(result.loss, 4), "norm": round(norm, 3), "tokens": result.tokens}
        line["targets"] = result.targets
        if held_out and ((step + 1) % config.validate_every == 0 or step + 1 == config.steps):
            line["held_out"] = round(_val_loss(model, validation), 4)
            val_losses.append(line["held_out"])
            if val_losses[-1] == min(val_losses):
                optimiser.save(out / BEST, step + 1)
        return line

    def stopped() -> bool:
        return _no_improvement(val_losses, config.patience)

    step = yield from TrainingStage("Training", out / CHECKPOINT, out / LOG).run(optimiser, config, train_one, stopped)
    if step < config.steps:
        yield Progress("Stopped: the held-out loss falls no more", step, config.steps)


def best_checkpoint(run: Path) -> Path:
    """Return the file with the weights of a run's lowest held-out loss, or else the last."""
    return run / BEST if (run / BEST).is_file() else run / CHECKPOINT


def delete_outdated(run: Path, *names: str) -> None:
    """Delete the weights of later stages, since those that they began with change."""
    for name in names:
        (run / name).unlink(missing_ok=True)


def hardware_name() -> str:
    """Return the name of the GPU, or the number of threads and the processor."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} threads of {platform.processor() or platform.machine()}"


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a run's log."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _logged_val_losses(log: Path, step: int) -> list[float]:
    """Return the held-out losses up to a step; what a killed run logged after its last save does not count."""
    if not step or not log.is_file():
        return []
    found = {line["step"]: line["held_out"] for line in read_log(log) if "held_out" in line and line["step"] <= step}
    return [found[at] for at in sorted(found)]


def _no_improvement(val_losses: Sequence[float], patience: int) -> bool:
    return patience > 0 and len(val_losses) > patience and min(val_losses[-patience:]) > min(val_losses)


def _val_loss(model: TrainableModel, batches: BatchSampler) -> float:
    losses = [model.train_step(batches.batch(step), backward=False).loss for step in range(VALIDATION_BATCHES)]
    return sum(losses) / len(losses)
