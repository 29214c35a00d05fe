"""Any open_clip model, opened for training, and written so that open_clip opens it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import open_clip
import torch
from open_clip.transform import PreprocessCfg, merge_preprocess_dict
from open_clip.transformer import QuickGELU
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from export.finetune.checkpoint import CHECKPOINT_FILE
from export.finetune.errors import BadModel
from export.finetune.options import ModelSource, Options, Tower
from export.finetune.vocabulary import learn_vocabulary

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
Network: TypeAlias = open_clip.CLIP | open_clip.CustomTextCLIP

TOKENIZER_NAME = "tokenizer.json"
"""`hf_tokenizer_name` in our configs; for `local-dir:` open_clip reads the folder itself."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A model, and what is needed to feed it and to describe it.

    Attributes:
        network: open_clip's CLIP or CustomTextCLIP.
        tokenize: texts to tokens, int64 [n, context_length].
        model_cfg: as in open_clip's model configs.
        preprocess: how its pictures are prepared.
    """

    network: Network
    tokenize: Callable[[list[str]], Tensor]
    model_cfg: dict[str, Any]
    preprocess: PreprocessCfg

    @property
    def size_px(self) -> int:
        """Side of the square input."""
        size = self.preprocess.size
        return int(size if isinstance(size, int) else size[0])


def open_model(source: ModelSource, texts: Iterable[str], out_dir: Path) -> Clip:
    """The model to start from; its config and tokenizer are written to `out_dir`.

    Args:
        texts: the training texts, from which a model without a tokenizer learns its vocabulary.

    Raises:
        BadModel: open_clip does not know it, or its weights do not fit.
    """
    if (source.config is None) == (source.name is None):
        raise BadModel(
            "Give either --model, to start from a known model, or --config, to start anew."
        )
    if source.config is not None:
        _prepare_from_scratch(source, source.config, texts, out_dir)
    name = source.name or f"local-dir:{out_dir}"
    try:
        network = open_clip.create_model(
            name,
            pretrained=source.pretrained,
            load_weights=source.config is None,
            force_image_size=source.image_px,
        )
        if source.checkpoint is not None:
            open_clip.load_checkpoint(network, str(source.checkpoint))
    except (OSError, RuntimeError, ValueError, TypeError) as exc:
        raise BadModel(f"The model cannot be opened: {exc}") from exc
    clip = _resized(_described(name, network), source.image_px)
    save_tokenizer = getattr(clip.tokenize, "save_pretrained", None)
    if save_tokenizer is not None and source.config is None:
        save_tokenizer(str(out_dir))
    write_config(clip, out_dir)
    return clip


def opened_folder(folder: Path) -> Clip:
    """A model that was published by a run, for use.

    Raises:
        BadModel: there is none, or it is not whole.
    """
    name = f"local-dir:{folder}"
    try:
        return _described(name, open_clip.create_model(name))
    except (OSError, RuntimeError, ValueError) as exc:
        raise BadModel(f"The model in {folder} cannot be opened: {exc}") from exc


def _described(name: str, network: Network) -> Clip:
    model_cfg = open_clip.get_model_config(name)
    if any(isinstance(module, QuickGELU) for module in network.modules()):
        model_cfg["quick_gelu"] = True  # open_clip adds it for some tags, not in the config by name
    preprocess = PreprocessCfg(**open_clip.get_model_preprocess_cfg(network))
    return Clip(network, open_clip.get_tokenizer(name), model_cfg, preprocess)


def _resized(clip: Clip, image_px: int | None) -> Clip:
    if image_px is None:
        return clip
    vision_cfg = {**clip.model_cfg["vision_cfg"], "image_size": image_px}
    return replace(
        clip,
        model_cfg={**clip.model_cfg, "vision_cfg": vision_cfg},
        preprocess=replace(clip.preprocess, size=(image_px, image_px)),
    )


def _prepare_from_scratch(
    source: ModelSource, config: Path, texts: Iterable[str], out_dir: Path
) -> None:
    """Write the config and a learned tokenizer to `out_dir`; a resumed run keeps its own."""
    try:
        described = json.loads(config.read_text(encoding="utf-8"))
        text_cfg = described["model_cfg"]["text_cfg"]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as exc:
        raise BadModel(
            f"{config} is not a model configuration with model_cfg and text_cfg: {exc}"
        ) from exc
    if (out_dir / CHECKPOINT_FILE).is_file() and (out_dir / CONFIG_FILE).is_file():
        return
    length = text_cfg.get("context_length", 77)
    text_cfg["vocab_size"] = learn_vocabulary(texts, source.vocabulary_size, length, out_dir)
    text_cfg["hf_tokenizer_name"] = TOKENIZER_NAME
    (out_dir / CONFIG_FILE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def write_config(clip: Clip, folder: Path) -> None:
    """The config by which `local-dir:` opens the folder."""
    preprocess = merge_preprocess_dict(clip.preprocess, {})
    described = {"model_cfg": clip.model_cfg, "preprocess_cfg": preprocess}
    (folder / CONFIG_FILE).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def lock_towers(network: Network, options: Options) -> None:
    """Switch off learning where the options say so.

    Raises:
        BadModel: this model cannot lock a tower, or has too few groups of layers.
    """
    try:
        if options.towers is Tower.TEXT or options.unlocked_image_groups:
            network.lock_image_tower(
                unlocked_groups=options.unlocked_image_groups, freeze_bn_stats=True
            )
        if options.towers is Tower.IMAGE:
            network.lock_text_tower()
    except (AttributeError, NotImplementedError, RuntimeError, AssertionError) as exc:
        raise BadModel(f"The tower of this model cannot be locked: {exc}") from exc


def picture_vectors(network: Network, pictures: Tensor) -> Tensor:
    """Unit vectors, float32 [n, dim], of normalised pictures [n, 3, side, side]."""
    return functional.normalize(network.encode_image(pictures).float(), dim=-1)


def text_vectors(network: Network, tokens: Tensor) -> Tensor:
    """Unit vectors, float32 [n, dim], of tokens [n, context_length].

    A causal tower that pools at the end token gives the same vectors without the padding behind
    it, and titles are short, so the padding is cut off; it is most of the text tower's work.
    """
    length = _used_length(network, tokens)
    if length is None:
        return functional.normalize(network.encode_text(tokens).float(), dim=-1)
    shortened: Mapping[str, Tensor] = {
        "positional_embedding": network.positional_embedding[:length],
        "attn_mask": network.attn_mask[:length, :length],
    }
    outputs = functional_call(network, dict(shortened), kwargs={"text": tokens[:, :length]})
    vectors = outputs["text_features"] if isinstance(outputs, dict) else outputs[1]
    return functional.normalize(vectors.float(), dim=-1)


def _used_length(network: Network, tokens: Tensor) -> int | None:
    """Tokens up to the last end token; None where padding is not known to be without effect."""
    if not isinstance(network, open_clip.CLIP) or network.attn_mask is None:
        return None
    if network.text_pool_type == "argmax":
        ends = tokens.argmax(dim=-1)
    elif network.text_pool_type == "eos":
        ends = (tokens == network.text_eos_id).int().argmax(dim=-1)
    else:
        return None
    return int(ends.max()) + 1


def normaliser(preprocess: PreprocessCfg, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Pictures 0 to 1 → what the image tower takes."""
    mean = torch.tensor(preprocess.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(preprocess.std, device=device).view(1, 3, 1, 1)
    return lambda pictures: (pictures - mean) / std
