"""Small random checkpoints of the families on offer, each with its own architecture, processor and manner of chat.

`FAMILIES[name].build(folder)` writes one within about a second, the same every time: two thin layers to look and two
(Gemma: four, for its shared ones) to speak. The weights are drawn so that every layer counts, pictures and positions
change the answer, and a dozen words are said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from personal.generate.prompt import BLIND, SEEING

WIDTH = 64
CONTEXT = 4096
LETTERS = [SEEING, BLIND, "What is <bo> doing?", "Who is this? It is a dog. [1. Name: <mochi>, Info: cat.]\n" * 2]
THIN = {"hidden_size": WIDTH, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
SPEAKS = {
    **THIN,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": None,
    "eos_token_id": None,
}
CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
QWEN = (*CHATML, "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<think>", "</think>")


@dataclass(frozen=True)
class Family:
    """How a checkpoint is written, the tokens that steer the family, and the one that stands for a picture, if it sees.

    `ordered` tells whether its template leaves pictures where they are among the words.
    """

    build: Callable[[Path], None]
    control: tuple[str, ...]
    image: str = ""
    ordered: bool = True


def chatml(picture: str, *, opening: str = "") -> str:
    """Write a template of the ChatML kind with the parts of a message in their order."""
    return (
        opening + "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.content is string %}{{ m.content }}{% else %}{% for part in m.content %}"
        "{% if part.type == 'image' %}" + picture + "{% else %}{{ part.text }}{% endif %}"
        "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


PICTURES_FIRST = (
    "{{ m.content | selectattr('type', 'equalto', 'image') | map(attribute='type') | map('replace', 'image', %r)"
    " | join }}{%% for part in m.content | selectattr('type', 'equalto', 'text') %%}%s{%% endfor %%}"
)
"""How LLaVA's templates write a message: its pictures, then its texts, whatever their order was."""
QWEN_SYSTEM = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
VICUNA = (
    "{% for m in messages %}{% if m.role != 'system' %}{{ m.role | upper }}: {% endif %}"
    + PICTURES_FIRST % ("<image>\n", "{{ part.text }} ")
    + "{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
ONEVISION = (
    "{% for m in messages %}<|im_start|>{{ m.role }} "
    + PICTURES_FIRST % ("<image>", "\n{{ part.text }}")
    + "<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SMOL = (
    "<|im_start|>{% for m in messages %}{{ m.role | capitalize }}:{{ '' if m.content[0].type == 'image' else ' ' }}"
    "{% for part in m.content %}{{ '<image>' if part.type == 'image' else part.text }}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}<|turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{% for part in m.content %}{{ '<|image|>' if part.type == 'image' else part.text | trim }}{% endfor %}<turn|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|turn>model\n{% endif %}"
)


@cache
def _merges(sentencepiece: bool) -> str:
    """Train a little byte-pair encoding, of bytes or of SentencePiece's kind; return it as JSON."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    if sentencepiece:
        words = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
        words.normalizer = normalizers.Replace(" ", "▁")
        words.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
        words.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        first = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    else:
        words = Tokenizer(models.BPE())
        words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        words.decoder = decoders.ByteLevel()
        first = []
    alphabet = [] if sentencepiece else sorted(pre_tokenizers.ByteLevel.alphabet())
    words.train_from_iterator(
        LETTERS,
        trainers.BpeTrainer(vocab_size=500, special_tokens=first, initial_alphabet=alphabet, show_progress=False),
    )
    return words.to_str()


def tokenizer(
    control: Sequence[str],
    template: str | None = None,
    *,
    end: str,
    start: str | None = None,
    sentencepiece: bool = False,
    **named: str,
) -> Any:
    """Make a tokenizer with a family's control tokens; `named` are those that its processor asks for by name."""
    from tokenizers import AddedToken, Tokenizer
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer.from_str(_merges(sentencepiece))
    thoughts = {"<think>", "</think>"}  # in the vocabulary, but not special, as Qwen has them
    words.add_tokens([AddedToken(token, special=False, normalized=False) for token in control if token in thoughts])
    words.add_special_tokens([AddedToken(token, normalized=False) for token in control if token not in thoughts])
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token=start,
        eos_token=end,
        pad_token=end,
        extra_special_tokens=named,
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


def write(
    folder: Path,
    kind: str,
    config: Any,
    processor: Any,
    *,
    seed: int,
    sharp: float = 2.0,
    embedded: float = WIDTH**-0.5,
) -> None:
    """Write a checkpoint of the class `kind`, its processor, and what ends an answer.

    The weights keep the size of what passes them (`embedded`: of the words), so that each layer has its say. Attention
    is `sharp`, and a head says a dozen words alone: answers hang on what is read, and rounding does not sway them. The
    `seed` is one whose answers in tests/test_families.py are the surest.
    """
    import torch
    import transformers

    model = getattr(transformers, kind)(config)
    words = getattr(processor, "tokenizer", processor)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.ndim < 2:
                weight.fill_(0.0 if "bias" in name else sharp if "q_norm" in name else 1.0)
            else:
                embeds = "embed_tokens" in name or "position_embed" in name
                gain = sharp if "q_proj" in name else 1.5 if weight.ndim == 4 else 1.0
                weight.normal_(0, embedded if embeds else gain * weight[0].numel() ** -0.5, generator=random)
        said = [n for n in range(len(words)) if words.decode([n]).strip().isalpha() and n not in words.all_special_ids]
        said = sorted(said, key=lambda n: -len(words.decode([n]).strip()))[:12]
        model.get_output_embeddings().weight[[n for n in range(len(words)) if n not in said]] *= 0.02
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=words.bos_token_id, eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def llama(folder: Path) -> None:
    """A text-only Llama 3."""
    from transformers import LlamaConfig

    words = tokenizer(LLAMA_3, LLAMA, start="<|begin_of_text|>", end="<|eot_id|>")
    write(folder, "LlamaForCausalLM", LlamaConfig(**SPEAKS, vocab_size=len(words)), words, seed=29)


def qwen2_5_vl(folder: Path) -> None:
    """Qwen2.5-VL: windows in the tower, positions in three dimensions."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    words = tokenizer(QWEN, end="<|im_end|>")
    template = chatml("<|vision_start|><|image_pad|><|vision_end|>", opening=QWEN_SYSTEM)
    images = Qwen2VLImageProcessor()
    processor = Qwen2_5_VLProcessor(images, words, Qwen2VLVideoProcessor(), chat_template=template)
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]}
    looks = {"hidden_size": WIDTH, "intermediate_size": 128, "depth": 2, "num_heads": 2, "out_hidden_size": WIDTH}
    config = Qwen2_5_VLConfig(
        text_config={**SPEAKS, "vocab_size": len(words), "rope_parameters": rope},
        vision_config={**looks, "fullatt_block_indexes": [1]},
        **_ids(words),
    )
    write(folder, "Qwen2_5_VLForConditionalGeneration", config, processor, seed=3)


def qwen3_vl(folder: Path) -> None:
    """Qwen3-VL: what its tower sees enters several layers of the language model."""
    from transformers import Qwen2VLImageProcessor, Qwen3VLConfig, Qwen3VLProcessor, Qwen3VLVideoProcessor

    words = tokenizer(QWEN, end="<|im_end|>")
    template = chatml("<|vision_start|><|image_pad|><|vision_end|>")
    images = Qwen2VLImageProcessor(patch_size=16, size={"shortest_edge": 4096, "longest_edge": 2**24})
    processor = Qwen3VLProcessor(images, words, Qwen3VLVideoProcessor(), chat_template=template)
    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [6, 5, 5], "mrope_interleaved": True}
    looks = {"hidden_size": WIDTH, "intermediate_size": 128, "depth": 2, "num_heads": 2, "out_hidden_size": WIDTH}
    config = Qwen3VLConfig(
        text_config={**SPEAKS, "vocab_size": len(words), "rope_parameters": rope},
        vision_config={**looks, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64},
        **_ids(words),
    )
    write(folder, "Qwen3VLForConditionalGeneration", config, processor, seed=3)


def _ids(words: Any) -> dict[str, int]:
    names = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start", "vision_end": "vision_end"}
    return {f"{key}_token_id": words.convert_tokens_to_ids(f"<|{token}|>") for key, token in names.items()}


def smolvlm2(folder: Path) -> None:
    """SmolVLM2: a photo is its tiles and itself, 16 tokens each."""
    from transformers import SmolVLMConfig, SmolVLMImageProcessor, SmolVLMProcessor, SmolVLMVideoProcessor

    words = tokenizer(SMOLVLM, end="<end_of_utterance>", start="<|im_start|>")
    tile = {"longest_edge": 64}
    images = SmolVLMImageProcessor(size={"longest_edge": 128}, max_image_size=tile)
    videos = SmolVLMVideoProcessor(size=tile, max_image_size=tile)
    processor = SmolVLMProcessor(images, words, videos, image_seq_len=16, chat_template=SMOL)
    config = SmolVLMConfig(
        text_config={"model_type": "llama", **SPEAKS, "vocab_size": len(words), "pad_token_id": words.pad_token_id},
        vision_config={**THIN, "image_size": 64, "patch_size": 8},
        scale_factor=2,
        image_token_id=words.convert_tokens_to_ids("<image>"),
        pad_token_id=words.pad_token_id,
    )
    write(folder, "SmolVLMForConditionalGeneration", config, processor, seed=19)


def gemma4(folder: Path) -> None:
    """Gemma 4 (E2B, E4B): sliding windows, layers that share keys and values, an embedding for every layer, an ear."""
    from transformers import (
        Gemma4AudioFeatureExtractor,
        Gemma4Config,
        Gemma4ImageProcessor,
        Gemma4Processor,
        Gemma4VideoProcessor,
    )

    named = {"image": "<|image|>", "boi": "<|image>", "eoi": "<image|>"}
    named |= {"audio": "<|audio|>", "boa": "<|audio>", "eoa": "<audio|>"}
    named = {f"{name}_token": token for name, token in named.items()}
    words = tokenizer(GEMMA_4, end="<turn|>", start="<bos>", sentencepiece=True, **named)
    processor = Gemma4Processor(
        Gemma4AudioFeatureExtractor(),
        Gemma4ImageProcessor(max_soft_tokens=70),
        words,
        Gemma4VideoProcessor(),
        image_seq_length=70,
        chat_template=GEMMA,
    )
    audio = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "output_proj_dims": WIDTH}
    config = Gemma4Config(
        text_config={
            **SPEAKS,
            "vocab_size": len(words),
            "vocab_size_per_layer_input": len(words),
            "hidden_size_per_layer_input": WIDTH,
            "num_hidden_layers": 4,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "num_kv_shared_layers": 2,
            "sliding_window": 64,
            "global_head_dim": WIDTH,
            "final_logit_softcapping": 30.0,
            "pad_token_id": words.pad_token_id,
        },
        vision_config={**THIN, "num_key_value_heads": 2, "head_dim": 32, "position_embedding_size": 256},
        audio_config={**audio, "subsampling_conv_channels": [8, 4]},
        **{f"{name}_token_id": words.convert_tokens_to_ids(named[f"{name}_token"]) for name in ("image", "boi", "eoi")},
        **{f"{name}_token_id": words.convert_tokens_to_ids(named[f"{name}_token"]) for name in ("audio", "boa")},
        eoa_token_index=words.convert_tokens_to_ids("<audio|>"),
        video_token_id=words.convert_tokens_to_ids("<|video|>"),
    )
    write(folder, "Gemma4ForConditionalGeneration", config, processor, seed=23, sharp=0.3, embedded=1 / WIDTH)


def internvl(folder: Path) -> None:
    """InternVL3.5: tiles of 16 tokens each, over a Qwen3."""
    from transformers import GotOcr2ImageProcessor, InternVLConfig, InternVLProcessor, InternVLVideoProcessor

    named = {"start_image": "<img>", "end_image": "</img>", "context_image": "<IMG_CONTEXT>", "video": "<video>"}
    words = tokenizer(INTERN, end="<|im_end|>", **{f"{name}_token": token for name, token in named.items()})
    side = {"height": 64, "width": 64}
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=side, max_patches=4),
        words,
        InternVLVideoProcessor(size=side),
        image_seq_length=16,
        chat_template=chatml("<IMG_CONTEXT>\n"),
    )
    config = InternVLConfig(
        text_config={"model_type": "qwen3", **SPEAKS, "vocab_size": len(words)},
        vision_config={**THIN, "image_size": [64, 64], "patch_size": [8, 8]},
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=16,
        tie_word_embeddings=False,
    )
    write(folder, "InternVLForConditionalGeneration", config, processor, seed=10)


def llava(folder: Path) -> None:
    """LLaVA-1.5: 16 tokens a picture, pictures first, and a beginning that its template leaves to the tokenizer."""
    from tokenizers.processors import TemplateProcessing
    from transformers import CLIPImageProcessor, LlavaConfig, LlavaProcessor

    words = tokenizer(LLAMA_2, start="<s>", end="</s>", sentencepiece=True)
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", words.bos_token_id)]
    )
    side = {"height": 64, "width": 64}
    images = CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=side)
    select = {"vision_feature_select_strategy": "default"}
    processor = LlavaProcessor(
        images, words, patch_size=16, num_additional_image_tokens=1, chat_template=VICUNA, **select
    )
    config = LlavaConfig(
        text_config={"model_type": "llama", **SPEAKS, "vocab_size": len(words)},
        vision_config={"model_type": "clip_vision_model", **THIN, "image_size": 64, "patch_size": 16},
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_seq_length=16,
        **select,
    )
    write(folder, "LlavaForConditionalGeneration", config, processor, seed=18)


def llava_onevision(folder: Path) -> None:
    """LLaVA-OneVision: a lone photo in tiles, several without."""
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    words = tokenizer((*CHATML, "<image>", "<video>"), end="<|im_end|>")
    side, grid = {"height": 64, "width": 64}, [[64 * h, 64 * w] for h in range(1, 4) for w in range(1, 4)]
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=side, image_grid_pinpoints=grid),
        words,
        LlavaOnevisionVideoProcessor(size=side),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=ONEVISION,
    )
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **SPEAKS, "vocab_size": len(words)},
        vision_config={"model_type": "siglip_vision_model", **THIN, "image_size": 64, "patch_size": 16}
        | {"vision_use_head": False},
        image_token_index=words.convert_tokens_to_ids("<image>"),
        video_token_index=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid,
    )
    write(folder, "LlavaOnevisionForConditionalGeneration", config, processor, seed=22)


def fastvlm(folder: Path) -> None:
    """FastVLM as the embedded default has it: a convolutional tower, four tokens a picture."""
    from transformers import CLIPImageProcessor, FastVlmConfig, LlavaProcessor, TimmWrapperConfig

    words = tokenizer((*CHATML, "<image>"), end="<|im_end|>", image_token="<image>")
    images = CLIPImageProcessor(size={"height": 64, "width": 64}, do_center_crop=False)
    processor = LlavaProcessor(
        images, words, patch_size=32, vision_feature_select_strategy="full", chat_template=chatml("<image>")
    )
    vision = TimmWrapperConfig(architecture="test_efficientnet", do_pooling=False, num_labels=0, hidden_size=256)
    config = FastVlmConfig(
        text_config={"model_type": "llama", **SPEAKS, "vocab_size": len(words)},
        vision_config=vision,
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    write(folder, "FastVlmForConditionalGeneration", config, processor, seed=6)


SMOLVLM = (
    "<|im_start|>",
    "<end_of_utterance>",
    "<|endoftext|>",
    "<fake_token_around_image>",
    "<global-img>",
    "<image>",
)
SMOLVLM = (*SMOLVLM, "<video>", *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)))
GEMMA_4 = ("<bos>", "<turn|>", "<|turn>", "<|channel>", "<channel|>", "<|think|>", "<|image|>", "<|image>", "<image|>")
GEMMA_4 = (*GEMMA_4, "<|audio|>", "<|audio>", "<audio|>", "<|video|>")
INTERN = (*CHATML, "<img>", "</img>", "<IMG_CONTEXT>", "<video>", "<box>", "</box>", "<ref>", "</ref>")
LLAMA_2 = ("<s>", "</s>", "<image>")
LLAMA_3 = ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>")

FAMILIES = {
    "qwen3-vl": Family(qwen3_vl, QWEN, "<|image_pad|>"),
    "qwen2.5-vl": Family(qwen2_5_vl, QWEN, "<|image_pad|>"),
    "smolvlm2": Family(smolvlm2, SMOLVLM, "<image>"),
    "gemma4": Family(gemma4, GEMMA_4, "<|image|>"),
    "internvl3.5": Family(internvl, INTERN, "<IMG_CONTEXT>"),
    "llava-1.5": Family(llava, LLAMA_2, "<image>", ordered=False),
    "llava-onevision": Family(llava_onevision, (*CHATML, "<image>", "<video>"), "<image>", ordered=False),
    "fastvlm": Family(fastvlm, (*CHATML, "<image>"), "<image>"),
    "llama": Family(llama, LLAMA_3),
}
