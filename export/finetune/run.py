"""One run of fine-tuning, from the file of pairs to the folder with the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save

from export.finetune.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from export.finetune.errors import BadDevice, BadPairs
from export.finetune.files import write_atomically
from export.finetune.heldout import recall_at_10
from export.finetune.history import Evaluation, write_csv, write_curve
from export.finetune.model import WEIGHTS_FILE, lock_towers, open_model
from export.finetune.options import Options
from export.finetune.pairs import read_rows
from export.finetune.preparation import Prepared, prepare
from export.finetune.report import identity_of, write_report
from export.finetune.training import Stopwatch, Trainer, learning_rate_at

OnStep = Callable[[int, float, Evaluation | None], None]
"""Called after every step with the steps done, the loss, and the last evaluation."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended.

    Attributes:
        best: the evaluation whose weights are in the folder.
        history: all evaluations.
        skipped: number of pictures that could not be read.
        stopped_early: whether recall had not grown for `patience` evaluations.
    """

    best: Evaluation
    history: tuple[Evaluation, ...]
    skipped: int
    stopped_early: bool


def run(options: Options, on_step: OnStep) -> Result:
    """Train, or go on with the run that `out_dir` holds; publish the best weights as they come.

    Raises:
        FinetuneError: one of its kinds, each a sentence.
    """
    rows = read_rows(options.data, options.heldout_share)
    if all(row.held_out for row in rows):
        raise BadPairs(f"{options.data} has no row to train on.")
    _check_device(options.device)
    options.out_dir.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.schedule.seed)
    texts = (text for row in rows if not row.held_out for text in row.texts)
    clip = open_model(options.source, texts, options.out_dir)
    lock_towers(clip.network, options)
    prepared = prepare(rows, clip, options)
    current = _Run(options, prepared, Trainer(clip, prepared.training, options))
    current.resume()
    try:
        stopped_early = current.train(on_step)
    except torch.OutOfMemoryError as exc:
        raise BadDevice(
            f"A batch does not fit into the memory of {options.device}; raise --accumulate."
        ) from exc
    return Result(
        current.best, tuple(current.history), len(prepared.skipped), stopped_early=stopped_early
    )


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as exc:
        raise BadDevice(f"The device {device} cannot be used: {str(exc).splitlines()[0]}") from exc


@dataclass(slots=True)
class _Run:
    """A run on its way; `step` and `history` grow."""

    options: Options
    prepared: Prepared
    trainer: Trainer
    step: int = 0
    history: list[Evaluation] = field(default_factory=list)

    @property
    def best(self) -> Evaluation:
        """The first evaluation with the highest score."""
        return max(self.history, key=lambda item: item.score)

    @property
    def out_of_patience(self) -> bool:
        """Whether the last evaluations, `patience` of them, brought nothing better."""
        since = [item for item in self.history if item.step > self.best.step]
        return len(since) >= self.options.schedule.patience

    def resume(self) -> None:
        """Go back to the last checkpoint, if there is one.

        Raises:
            BadCheckpoint: it is of another run.
        """
        trainer = self.trainer
        saved = load_checkpoint(self.options.out_dir, identity_of(self.options), trainer.device)
        if saved is not None:
            trainer.network.load_state_dict(saved.network)
            trainer.average.network.load_state_dict(saved.average)
            trainer.optimiser.load_state_dict(dict(saved.optimiser))
            self.step, self.history = saved.step, saved.history

    def train(self, on_step: OnStep) -> bool:
        """Steps until the end; True if it stopped early."""
        schedule = self.options.schedule
        watch, losses = Stopwatch(), []
        while self.step < schedule.steps and not self.out_of_patience:
            losses.append(self.trainer.step(self.step))
            self.step += 1
            watch.add(schedule.products_per_batch * schedule.pictures_per_product)
            if self.step % schedule.evaluate_every == 0 or self.step == schedule.steps:
                self._evaluate(sum(losses) / len(losses), watch.read())
                self._publish()
                watch = Stopwatch()
                on_step(self.step, losses[-1], self.history[-1])
                losses = []
            else:
                on_step(self.step, losses[-1], self.history[-1] if self.history else None)
        return self.step < schedule.steps

    def _evaluate(self, loss: float, pictures_per_second: float) -> None:
        trainer = self.trainer
        recall = recall_at_10(
            trainer.average.network, self.prepared.held_out, trainer.normalise, trainer.device
        )
        self.history.append(
            Evaluation(
                step=self.step,
                loss=loss,
                text_to_picture=recall.text_to_picture,
                picture_to_picture=recall.picture_to_picture,
                score=recall.score,
                learning_rate=learning_rate_at(self.step - 1, self.options.schedule),
                pictures_per_second=pictures_per_second,
            )
        )

    def _publish(self) -> None:
        """Weights if they are the best so far, then the report, then the checkpoint.

        In this order a kill in between repeats work, and never leaves a checkpoint that is ahead
        of the weights.
        """
        folder = self.options.out_dir
        if self.best.step == self.step:
            weights = {
                name: tensor.detach().cpu().contiguous()
                for name, tensor in self.trainer.average.network.state_dict().items()
            }
            write_atomically(folder / WEIGHTS_FILE, lambda path: _write(path, save(weights)))
        write_csv(self.history, folder / "curve.csv")
        write_curve(self.history, folder / "curve.png")
        write_report(self.options, self.history, self.best, len(self.prepared.skipped))
        save_checkpoint(self._state(), folder)

    def _state(self) -> Checkpoint:
        return Checkpoint(
            identity=identity_of(self.options),
            step=self.step,
            network=self.trainer.network.state_dict(),
            average=self.trainer.average.network.state_dict(),
            optimiser=self.trainer.optimiser.state_dict(),
            history=self.history,
        )


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
