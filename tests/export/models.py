"""Small open_clip models of every kind that the exporter covers, as `local-dir:` folders.

They have random weights: what is tested is that a graph gives what PyTorch gives, not that it is
any good.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from export.model_source import ModelChoice

VIT = {"image_size": 32, "patch_size": 16, "width": 64, "head_width": 32, "layers": 2}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
SMALL_TEXT = TEXT | {"context_length": 24, "vocab_size": 400}
TIMM = {"image_size": 32, "timm_model_name": "test_resnet", "timm_pool": "avg"}
HF = {"hf_tokenizer_name": "tokenizer.json"}
EOS = SMALL_TEXT | HF | {"pool_type": "eos", "pad_id": 0, "eos_id": 2}

# Name to open_clip's model_cfg. Every one stands for a way in which towers differ.
CONFIGS: dict[str, dict[str, Any]] = {
    "vit-argmax": {"vision_cfg": VIT, "text_cfg": TEXT},
    "vit-quickgelu": {"vision_cfg": VIT, "text_cfg": TEXT, "quick_gelu": True},
    "vit-avg-qknorm": {
        "vision_cfg": VIT | {"pool_type": "avg", "qk_norm": True, "no_ln_pre": True},
        "text_cfg": TEXT | {"qk_norm": True, "scale_heads": True},
    },
    "vit-oblong": {"vision_cfg": VIT | {"image_size": [32, 48]}, "text_cfg": TEXT},
    "resnet": {
        "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16},
        "text_cfg": TEXT,
    },
    "timm-eos": {"vision_cfg": TIMM, "text_cfg": EOS, "custom_text": True},
    "siglip-last": {
        "embed_dim": 96,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": "test_vit3",
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": SMALL_TEXT
        | HF
        | {
            "no_causal_mask": True,
            "pool_type": "last",
            "proj_bias": True,
            "tokenizer_kwargs": {"clean": "canonicalize"},
        },
        "custom_text": True,
        "init_logit_bias": -10,
    },
    "causal-last": {
        "vision_cfg": VIT,
        "text_cfg": SMALL_TEXT | HF | {"pool_type": "last"},
        "custom_text": True,
    },
    "bidirectional-first": {
        "vision_cfg": VIT,
        "text_cfg": SMALL_TEXT | HF | {"no_causal_mask": True, "pool_type": "first"},
        "custom_text": True,
    },
    "class-token": {
        "vision_cfg": VIT,
        "text_cfg": SMALL_TEXT | HF | {"embed_cls": True},
        "custom_text": True,
    },
    "coca": {
        "vision_cfg": VIT
        | {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "text_cfg": SMALL_TEXT | HF | {"embed_cls": True, "output_tokens": True},
        "multimodal_cfg": SMALL_TEXT | {"layers": 1},
        "custom_text": True,
    },
}

# Those whose text vector does not depend on the padding.
ANY_LENGTH = {"vit-argmax", "vit-quickgelu", "vit-avg-qknorm", "vit-oblong", "resnet", "timm-eos"}


def model_folder(folder: Path, config: dict[str, Any]) -> ModelChoice:
    """Writes a `local-dir:` model without weights into `folder`."""
    document = {"model_cfg": {"embed_dim": 48} | config, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(document), encoding="utf-8")
    if "hf_tokenizer_name" in config["text_cfg"]:
        write_tokenizer(folder, byte_bpe())
    return ModelChoice(f"local-dir:{folder}")


def write_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    """Writes a tokenizer as `transformers` reads it from a model's folder."""
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "sep_token": "</s>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def byte_bpe() -> Tokenizer:
    """A byte-level BPE of 400 tokens: 0 pads, 1 starts and 2 ends a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = _between_specials()
    return tokenizer


def unigram() -> Tokenizer:
    """A Unigram model over metaspaces, as SentencePiece's are."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120,
        special_tokens=["<pad>", "<s>", "</s>", "<unk>"],
        unk_token="<unk>",  # noqa: S106 - a token, not a password
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    return tokenizer


def word_piece() -> Tokenizer:
    """A WordPiece model with BERT's normalisation, as CLIPA's is."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))  # noqa: S106 - a token
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200,
        special_tokens=["<pad>", "<s>", "</s>", "<unk>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = _between_specials()
    return tokenizer


def _between_specials() -> processors.TemplateProcessing:
    return processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )


CORPUS = (
    "red running shoe for women, size 38",
    "blue ceramic coffee mug with a white handle",
    "handmade wooden chair with a woven seat",
    "the quick brown fox jumps over the lazy dog",
    "waterproof hiking boots in dark brown leather",
    "men's cotton shirt, slim fit, pack of two",
)
