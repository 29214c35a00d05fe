"""A vocabulary of a model's own, learned from the texts it is trained on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

PAD, START, END = "<pad>", "<start>", "<end>"
PAD_ID, START_ID, END_ID = 0, 1, 2


def learn_vocabulary(texts: Iterable[str], size: int, context_length: int, folder: Path) -> int:
    """Write `tokenizer.json` and `tokenizer_config.json` as open_clip and transformers read them.

    Byte-level BPE on lower-cased NFKC text, so that no text is ever unknown. The end token has a
    fixed id, for a text tower with `pool_type: eos`.

    Returns:
        the number of tokens, which is smaller than `size` where the texts have no more to give.
    """
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sorted(set(texts)), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, START_ID), (END, END_ID)]
    )
    tokenizer.enable_truncation(context_length)
    tokenizer.enable_padding(pad_id=PAD_ID, pad_token=PAD)
    tokenizer.save(str(folder / "tokenizer.json"))
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": START,
        "eos_token": END,
        "pad_token": PAD,
        "model_max_length": context_length,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=2) + "\n")
    return int(tokenizer.get_vocab_size())
