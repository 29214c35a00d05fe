"""`lookalike-export finetune`: its options, its progress bar and its last words."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.finetune.options import (
    Augmentation,
    ModelSource,
    Options,
    Precision,
    Schedule,
    Tower,
)

if TYPE_CHECKING:
    from export.finetune.history import Evaluation
    from export.finetune.run import Result

_SCHEDULE, _AUGMENTATION, _SOURCE = Schedule(), Augmentation(), ModelSource()


def finetune(  # noqa: PLR0913 - each is an option of the command
    data: Annotated[
        Path, typer.Option(help="JSONL or CSV of image, text, and optionally group, split.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model, the report and the checkpoint.")],
    model: Annotated[
        str | None, typer.Option(help="open_clip model name, or local-dir:FOLDER.")
    ] = None,
    pretrained: Annotated[
        str | None, typer.Option(help="open_clip tag of published weights.")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="File of weights to start from.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="JSON with model_cfg and preprocess_cfg: train from scratch."),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the pictures, px, if not the model's own.", min=8)
    ] = None,
    vocabulary: Annotated[
        int, typer.Option(help="Tokens to learn from the texts, with --config.", min=300)
    ] = _SOURCE.vocabulary_size,
    steps: Annotated[int, typer.Option(min=1)] = _SCHEDULE.steps,
    batch: Annotated[
        int, typer.Option(help="Products compared with each other.", min=2)
    ] = _SCHEDULE.products_per_batch,
    accumulate: Annotated[
        int, typer.Option(help="Micro-batches in a batch, to fit in memory.", min=1)
    ] = _SCHEDULE.accumulate,
    pictures: Annotated[
        int, typer.Option(help="Pictures of each product in a batch.", min=1, max=4)
    ] = _SCHEDULE.pictures_per_product,
    learning_rate: Annotated[float, typer.Option(min=0)] = _SCHEDULE.learning_rate,
    warmup: Annotated[int, typer.Option(help="Steps.", min=0)] = _SCHEDULE.warmup_steps,
    weight_decay: Annotated[float, typer.Option(min=0)] = _SCHEDULE.weight_decay,
    ema: Annotated[
        float,
        typer.Option(help="Decay of the weights' moving average; 0: none.", min=0, max=0.99999),
    ] = _SCHEDULE.ema_decay,
    evaluate_every: Annotated[int, typer.Option(help="Steps.", min=1)] = _SCHEDULE.evaluate_every,
    patience: Annotated[
        int, typer.Option(help="Evaluations without gain before stopping.", min=1)
    ] = _SCHEDULE.patience,
    seed: Annotated[int, typer.Option(min=0)] = _SCHEDULE.seed,
    augment: Annotated[
        float, typer.Option(help="Strength of the changes to pictures; 0: none.", min=0, max=2)
    ] = 1.0,
    mirror: Annotated[
        float, typer.Option(help="Share of mirrored pictures; 0 if sides matter.", min=0, max=1)
    ] = _AUGMENTATION.mirror,
    heldout_share: Annotated[
        float, typer.Option(help="Products to judge by, where rows have no split.", min=0, max=0.9)
    ] = 0.1,
    train: Annotated[
        Tower, typer.Option(help="Towers that learn; text: the image tower is locked (LiT).")
    ] = Tower.BOTH,
    unlock: Annotated[
        int, typer.Option(help="Only so many last layer groups of the image tower learn.", min=0)
    ] = 0,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:N; the best there is if absent.")
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Of the towers; bf16 where the device has it if absent."),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Forget the run in OUT.")] = False,
) -> None:
    """Fine-tune an open_clip model on your pictures and texts, or go on with a killed run."""
    chosen_device = device or _best_device()
    options = Options(
        data=data,
        out_dir=out,
        source=ModelSource(model, pretrained, checkpoint, config, image_size, vocabulary),
        schedule=Schedule(
            steps=steps,
            products_per_batch=batch,
            accumulate=accumulate,
            pictures_per_product=pictures,
            learning_rate=learning_rate,
            warmup_steps=warmup,
            weight_decay=weight_decay,
            ema_decay=ema,
            evaluate_every=evaluate_every,
            patience=patience,
            seed=seed,
        ),
        augmentation=Augmentation(mirror=mirror).scaled(augment),
        heldout_share=heldout_share,
        device=chosen_device,
        towers=train,
        unlocked_image_groups=unlock,
        precision=precision or _best_precision(chosen_device),
    )
    if restart:
        _forget(out)
    _train(options)


def _train(options: Options) -> None:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from export.finetune.run import run

    console = Console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console)
    task = bar.add_task("training", total=options.schedule.steps)

    def on_step(step: int, loss: float, latest: Evaluation | None) -> None:
        bar.start()  # only now: until the first step, reading the pictures has a bar of its own
        bar.update(task, completed=step, description=_described(loss, latest))

    # open_clip warns of every model without weights, which is what --config asks for.
    logging.getLogger().setLevel(logging.ERROR)
    try:
        result = run(options, on_step)
    finally:
        bar.stop()
    console.print(_summary(result, options.out_dir))


def _described(loss: float, latest: Evaluation | None) -> str:
    words = f"loss {loss:.3f}"
    if latest is not None:
        words += (
            f" · recall@10 text {latest.text_to_picture:.3f}"
            f" picture {latest.picture_to_picture:.3f}"
            f" · {latest.pictures_per_second:.0f} pictures/s"
        )
    return words


def _summary(result: Result, folder: Path) -> str:
    best, lines = result.best, []
    if result.stopped_early:
        lines.append("Stopped early: held-out recall did not grow any more.")
    if result.skipped:
        lines.append(
            f"{result.skipped} pictures could not be read; they are listed in skipped.jsonl."
        )
    lines.append(
        f"Best at step {best.step}: held-out recall@10 text→picture {best.text_to_picture:.3f}, "
        f"picture→picture {best.picture_to_picture:.3f}."
    )
    lines.append(
        f"open_clip loads it as local-dir:{folder}; lookalike-export takes the same as --model."
    )
    return "\n".join(lines)


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _best_precision(device: str) -> Precision:
    """bfloat16 where it is fast: on any recent GPU, and on CPUs that multiply it in hardware."""
    import torch

    if device.startswith("cuda"):
        fast = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        fast = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return Precision.BF16 if fast else Precision.FP32


def _forget(folder: Path) -> None:
    from export.finetune.checkpoint import CHECKPOINT_FILE

    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / "pixels", ignore_errors=True)
