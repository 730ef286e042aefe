"""The word-level tokenizer of the tiny models: a word, a punctuation mark or a special token is one id."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from alignment_bench.world import vocabulary as v
from alignment_bench.world.corpus import vocabulary


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer whose `decode` of a summary is the text that wrote it."""
    ids = {word: place for place, word in enumerate(vocabulary())}
    words = Tokenizer(models.WordLevel(ids, unk_token=v.UNKNOWN))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("isolated")]
    )
    glue = [decoders.Replace(apart, together) for apart, together in v.GLUED]
    spaced = decoders.WordPiece(prefix="##", cleanup=False)
    words.decoder = decoders.Sequence([spaced, decoders.Fuse(), *glue])
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=v.PAD,
        eos_token=v.EOS,
        unk_token=v.UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )
