"""Which open_clip model to export: its network, its preprocessing and its tokenizer."""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.transform import PreprocessCfg
from torch import nn

from export.errors import ExportRefused
from export.tokenizer_json import OpenClipTokenizer
from gateway.domain.release import Interpolation, ResizeMode

LOCAL_PREFIX = "local-dir:"
HUB_PREFIX = "hf-hub:"
# What open_clip, timm, transformers and PyTorch raise for a model that they cannot make.
_LOADING_ERRORS = (
    AssertionError,
    ImportError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)

RANDOM_SEED = 0  # of the initialisation when a model comes without weights


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What was asked for. `name` is open_clip's: a built-in one, `local-dir:FOLDER` or
    `hf-hub:OWNER/NAME`. At most one of `pretrained` (open_clip's tag) and `checkpoint` is set."""

    name: str
    pretrained: str | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True, slots=True)
class Pixels:
    """How the model wants pictures. `mean` and `std` are per channel, for values from 0 to 1."""

    height_px: int
    width_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation
    resize_mode: ResizeMode
    fill: int


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A loaded open_clip model, in fp32, on the CPU, in evaluation mode.

    `tokenizer` is open_clip's own object for it; `random_weights` is set when nothing was loaded.
    """

    architecture: str
    network: nn.Module
    tokenizer: OpenClipTokenizer
    pixels: Pixels
    random_weights: bool


def load_model(choice: ModelChoice) -> SourceModel:
    """Loads the model that `choice` names, as open_clip's own configuration describes it.

    Raises ExportRefused for an unknown name or tag, unreadable weights, or a preprocessing that
    the gateway does not have.
    """
    _check_choice(choice)
    pretrained = str(choice.checkpoint) if choice.checkpoint else choice.pretrained
    torch.manual_seed(RANDOM_SEED)
    with _as_refusal(choice.name):
        network = open_clip.create_model(
            choice.name, pretrained=pretrained, device="cpu", pretrained_text=False
        )
        tokenizer = open_clip.get_tokenizer(choice.name)
    network.eval().requires_grad_(False)
    return SourceModel(
        architecture=_architecture(choice),
        network=network,
        tokenizer=tokenizer,
        pixels=_pixels(open_clip.get_model_preprocess_cfg(network)),
        random_weights=_has_random_weights(choice),
    )


def _check_choice(choice: ModelChoice) -> None:
    if choice.pretrained and choice.checkpoint:
        raise ExportRefused("Give either a pretrained tag or a checkpoint, not both.")
    if choice.name.startswith(LOCAL_PREFIX):
        _check_folder(choice)
    elif choice.name.startswith(HUB_PREFIX):
        if choice.pretrained or choice.checkpoint:
            raise ExportRefused(f"{choice.name} brings its own weights; leave out any others.")
    else:
        _check_builtin(choice)
    if choice.checkpoint and not choice.checkpoint.is_file():
        raise ExportRefused(f"There is no checkpoint {choice.checkpoint}.")


def _check_folder(choice: ModelChoice) -> None:
    if choice.pretrained or choice.checkpoint:
        raise ExportRefused(f"{choice.name} brings its own weights; leave out any others.")
    folder = Path(choice.name.removeprefix(LOCAL_PREFIX))
    if not (folder / "open_clip_config.json").is_file():
        raise ExportRefused(f"{folder} holds no open_clip_config.json, so it is no model folder.")


def _check_builtin(choice: ModelChoice) -> None:
    known: list[str] = open_clip.list_models()
    if choice.name not in known:
        near = difflib.get_close_matches(choice.name, known, n=3, cutoff=0.4)
        hint = f" Did you mean {_either(near)}?" if near else ""
        raise ExportRefused(f"open_clip has no model {choice.name!r}.{hint}")
    tags: list[str] = open_clip.list_pretrained_tags_by_model(choice.name)
    if choice.pretrained and choice.pretrained not in tags:
        offered = f"It has: {', '.join(tags)}." if tags else "It has none."
        raise ExportRefused(
            f"open_clip has no weights {choice.pretrained!r} for {choice.name}. {offered}"
        )
    if choice.pretrained:
        _check_activation(choice)


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _check_activation(choice: ModelChoice) -> None:
    """QuickGELU weights in a GELU network give vectors that are plausible and wrong. open_clip
    warns of it, after it has fetched the weights."""
    wants_quick = open_clip.get_pretrained_cfg(choice.name, choice.pretrained).get("quick_gelu")
    if wants_quick and not open_clip.get_model_config(choice.name).get("quick_gelu"):
        raise ExportRefused(
            f"The weights {choice.pretrained!r} were trained with another activation (QuickGELU) "
            f"than {choice.name} has; use --model {choice.name}-quickgelu."
        )


@contextmanager
def _as_refusal(name: str) -> Iterator[None]:
    """open_clip's many ways to fail, as one."""
    logging.disable(logging.ERROR)  # it logs what it then raises, and its progress
    try:
        yield
    except _LOADING_ERRORS as exc:
        reason = " ".join(str(exc).split())
        raise ExportRefused(f"{name} cannot be loaded: {reason[:300]}") from exc
    finally:
        logging.disable(logging.NOTSET)


def _architecture(choice: ModelChoice) -> str:
    """The model and its weights for the manifest; nothing of this machine's folders."""
    if choice.checkpoint:
        return f"{choice.name}, weights {choice.checkpoint.name}"
    if not choice.name.startswith(LOCAL_PREFIX):
        return f"{choice.name}, weights {choice.pretrained}" if choice.pretrained else choice.name
    folder = Path(choice.name.removeprefix(LOCAL_PREFIX))
    config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
    vision = config["model_cfg"]["vision_cfg"]
    text = config["model_cfg"]["text_cfg"]
    image = vision.get("timm_model_name") or f"{vision.get('layers')}x{vision.get('width')}"
    words = Path(text.get("hf_model_name") or f"{text.get('layers')}x{text.get('width')}").name
    return f"open_clip image {image}, text {words}"


def _has_random_weights(choice: ModelChoice) -> bool:
    if choice.name.startswith(HUB_PREFIX) or choice.pretrained or choice.checkpoint:
        return False
    if choice.name.startswith(LOCAL_PREFIX):
        folder = Path(choice.name.removeprefix(LOCAL_PREFIX))
        return not any(f.suffix in {".safetensors", ".bin", ".pth"} for f in folder.iterdir())
    return True


def _pixels(raw: dict[str, Any]) -> Pixels:
    cfg = PreprocessCfg(**raw)
    height, width = cfg.size if not isinstance(cfg.size, int) else (cfg.size, cfg.size)
    try:
        return Pixels(
            height_px=int(height),
            width_px=int(width),
            mean=tuple(float(value) for value in cfg.mean),
            std=tuple(float(value) for value in cfg.std),
            interpolation=Interpolation(cfg.interpolation),
            resize_mode=ResizeMode(cfg.resize_mode),
            fill=int(cfg.fill_color),
        )
    except ValueError as exc:
        raise ExportRefused(f"The gateway cannot prepare pictures like that: {exc}.") from exc
