"""`lookalike-export`: models in, releases out."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from export.engine_command import build_engine
from export.finetune.command import finetune
from export.formats import Device, Hardware, Target
from export.sample.command import sample_data, sample_quality
from export.tune_command import tune
from gateway.domain.errors import LookalikeError
from gateway.domain.release import Precision, ResizeMode

if TYPE_CHECKING:
    from export.release_export import ExportOrder, ExportResult

WIDTH_COLUMNS = 80  # of what is printed: a terminal's default, and a log's

_RESIZING = {
    ResizeMode.SHORTEST: "the short side fitted, the rest cropped",
    ResizeMode.LONGEST: "the long side fitted, the rest filled",
    ResizeMode.SQUASH: "both sides fitted",
}

app = typer.Typer(
    name="lookalike-export",
    help="Turns CLIP models into releases that NVIDIA Triton serves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The program. A refusal is one sentence and exit code 1; a wrong option is exit code 2."""
    try:
        app(args=arguments)
    except LookalikeError as error:
        Console(stderr=True, width=WIDTH_COLUMNS).print(Text(f"Error: {error.detail}", style="red"))
        sys.exit(1)


app.command()(build_engine)
app.command()(finetune)
app.command()(sample_data)
app.command()(sample_quality)
app.command()(tune)


@app.command()
def onnx(  # noqa: PLR0913 - typer reads the options off the signature
    model: Annotated[
        str,
        typer.Option(help="open_clip's name, local-dir:FOLDER or hf-hub:OWNER/NAME."),
    ],
    release: Annotated[str, typer.Option(help="The release's name, such as shoes-v2.")],
    pretrained: Annotated[str | None, typer.Option(help="open_clip's tag of the weights.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A file with the weights.")] = None,
    target: Annotated[Target, typer.Option(help="What Triton computes with.")] = Target.ONNX_CPU,
    device: Annotated[Device, typer.Option(help="Where --target onnx computes.")] = Device.AUTO,
    precision: Annotated[
        Precision, typer.Option(help="The numbers; they are baked into the graphs.")
    ] = Precision.FP32,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Pictures and texts (finetune's --data): int8 needs them, fp16 may."),
    ] = None,
    most_recall_loss: Annotated[
        float, typer.Option(help="Of recall@10: a precision that loses more is refused.")
    ] = 0.005,
    gpu: Annotated[Hardware, typer.Option(help="What queues and batches fit.")] = Hardware.L4,
    engine_cache: Annotated[
        Path, typer.Option(help="Where Triton keeps the engines of --target onnx-tensorrt.")
    ] = Path("/var/cache/lookalike/tensorrt"),
    repository: Annotated[Path, typer.Option(help="Triton's folder.")] = Path("model_repository"),
    force: Annotated[bool, typer.Option("--force", help="Replace a release that exists.")] = False,
) -> None:
    """Export a CLIP model as a release for Triton, checked against PyTorch."""
    console = Console(width=WIDTH_COLUMNS, highlight=False)
    with console.status("Starting PyTorch"):
        from export.model_source import ModelChoice
        from export.release_export import ExportOrder, export_release
        from export.release_writer import Destination
    order = ExportOrder(
        choice=ModelChoice(model, pretrained, checkpoint),
        destination=Destination(repository, release, replace=force),
        target=target,
        precision=precision,
        device=device,
        gpu=gpu,
        engine_cache=PurePosixPath(engine_cache),
        pairs=pairs,
        most_recall_loss=most_recall_loss,
    )
    with console.status("Starting") as status:

        def report(step: str) -> None:
            console.print(Text(f"· {step}", style="dim"))
            status.update(step)

        result = export_release(order, report)
    _print_result(console, order, result)


def _print_result(console: Console, order: ExportOrder, result: ExportResult) -> None:
    release = result.release
    if result.random_weights:
        console.print(
            "Note: no weights were given, so the model is random: good for trying the\n"
            "machinery, useless for search.",
            style="yellow",
        )
    console.print(f"\nRelease {release.id} is in {order.destination.repository}", style="bold")
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(result):
        facts.add_row(name, value)
    console.print(facts)
    console.print(_files(result))
    if order.target is Target.TENSORRT:
        console.print(
            f"\nNext: on the machine with the GPU, build the engines:\n"
            f"  lookalike-export build-engine {release.id}"
        )
        return
    console.print(
        f"\nNext: serve {order.destination.repository} with Triton, then compare what it answers"
        f" with PyTorch:\n  lookalike verify {release.id}"
    )


def _facts(result: ExportResult) -> list[tuple[str, str]]:
    release, image, text = result.release, result.release.image, result.release.text
    buckets = ", ".join(str(bucket) for bucket in text.buckets)
    return [
        ("model", release.architecture),
        ("pictures", f"{image.width_px} x {image.height_px} px, {_RESIZING[image.resize_mode]}"),
        ("texts", f"rows of {buckets} tokens, cleaned by {text.clean}"),
        ("vectors", f"{release.dim} numbers, {release.precision}"),
        (
            "parity",
            f"image {result.image_parity.least_cosine:.7f}, "
            f"text {result.text_parity.least_cosine:.7f} (least cosine with PyTorch)",
        ),
        *_cost(result),
        ("fingerprint", release.fingerprint[:16]),
    ]


def _cost(result: ExportResult) -> list[tuple[str, str]]:
    """What the precision costs, as far as that was measured."""
    cost = result.cost
    if cost is None:
        return []
    before, after = cost.fp32, cost.lowered
    shown = f"words {before.text_to_picture:.4f} → {after.text_to_picture:.4f}"
    if not math.isnan(before.picture_to_picture):
        shown += f", pictures {before.picture_to_picture:.4f} → {after.picture_to_picture:.4f}"
    return [
        (
            "recall@10",
            f"{shown} (fp32 → {result.release.precision}; {cost.texts} texts, {cost.pictures} "
            "pictures)",
        ),
        (
            "speed",
            f"8 pictures {cost.image_speed.fp32_ms:.1f} → {cost.image_speed.lowered_ms:.1f} ms, "
            f"8 texts {cost.text_speed.fp32_ms:.1f} → {cost.text_speed.lowered_ms:.1f} ms (here)",
        ),
        ("loss", f"{cost.recall_loss:+.4f}; least cosine with fp32 {cost.least_cosine:.5f}"),
    ]


def _files(result: ExportResult) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    for name, size_bytes in result.file_bytes.items():
        table.add_row(name, _size(size_bytes))
    return table


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.1f} kB"
