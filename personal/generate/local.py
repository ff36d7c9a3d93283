"""Answer with a language model that runs here: transformers and, for four bits, bitsandbytes. Only here.

Opens any image-text-to-text checkpoint, or a text-only one, from a folder or the model hub; safetensors only, and never
code that comes with a checkpoint. The model is loaded once, at the first answer or by `load`; answers are generated one
at a time, first come, first served.
"""

from __future__ import annotations

import copy
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from personal.concepts import Piece, Progress, Waiting
from personal.errors import ModelError
from personal.generate.prompt import Message, forget_oldest, without_system
from personal.generate.streaming import Tokens, Turnstile, pieces, runs_in_circles
from personal.images import open_photo

log = logging.getLogger(__name__)

UNQUANTISED = [
    "lm_head",
    *(rf"(model\.)?{tower}" for tower in ("vision_tower", "vision_model", "visual", "vision_encoder", "image_encoder")),
    *(rf"(model\.)?{joint}" for joint in ("multi_modal_projector", "connector", "aligner", "mm_projector")),
]
"""Modules that stay in 16 bits: what looks, what joins, and what chooses the word."""


class LocalGenerator:
    """A Generator on this machine. `source` is a folder or a hub id; `name` is what people call it.

    `quantization` "4bit" means nf4 with double quantisation, computing in 16 bits, where the device can (CPU, CUDA).
    """

    def __init__(
        self, source: str, *, device: str = "auto", quantization: str = "4bit", name: str | None = None
    ) -> None:
        self.source = source
        self.name = name or source
        self._wish = device
        self._quantization = quantization
        self._loading = threading.Lock()
        self._turnstile = Turnstile()
        self._model: Any = None
        self._reader: Any = None

    @property
    def sees(self) -> bool:
        """Tell whether the model is given the photos themselves. Raises ModelError where there is no such model."""
        return self._multimodal and self._marks.get("sees") is not False

    @property
    def single_turn(self) -> bool:
        """Tell whether the model learnt on single questions: what was said before only confuses it."""
        return self._marks.get("single_turn") is True

    @cached_property
    def _marks(self) -> dict[str, Any]:
        """What a checkpoint made here says of itself."""
        path = Path(self.source) / "personal.json"
        marks: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return marks

    @property
    def description(self) -> str:
        """Say in words where and in which numbers the model computes, and why."""
        device, _, bits, reason = self._plan
        return f"{bits} on {device} ({reason})"

    def load(self) -> Iterator[Progress]:
        """Load the model unless it is loaded, yielding what is being done. Raises ModelError in words."""
        if self._model is not None:
            return
        yield Progress(f"Loading {self.name}: {self.description}")
        with self._loading:
            if self._model is None:
                self._open()
        yield Progress(f"{self.name} is loaded", 1, 1)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_new_tokens: int,
        stop: threading.Event,
        temperature: float = 0.0,
    ) -> Iterator[Waiting | Piece]:
        """Answer the messages of `prompt.lay_out`: Waiting while others are before it, then Pieces as they come.

        Greedy unless `temperature` is above 0. Setting `stop`, or closing the iterator, ends it at the next token and
        lets the next one begin. Raises ModelError.
        """
        ticket = self._turnstile.join()
        try:
            yield from self._turnstile.wait(ticket, stop)
            for _ in self.load():
                pass
            if stop.is_set():
                return
            yield from self._answer(list(messages), max_new_tokens, stop, temperature)
        finally:
            self._turnstile.leave(ticket)

    def _answer(
        self, messages: list[Message], max_new_tokens: int, stop: threading.Event, temperature: float
    ) -> Iterator[Piece]:
        import torch

        inputs = self._fitting(messages, max_new_tokens)
        tokenizer = getattr(self._reader, "tokenizer", self._reader)
        halt = threading.Event()
        config = copy.deepcopy(self._model.generation_config)
        config.update(max_new_tokens=max_new_tokens, max_length=None, do_sample=temperature > 0)
        if temperature > 0:
            config.update(temperature=temperature)
        else:
            config.update(temperature=None, top_p=None, top_k=None)

        prompt = inputs["input_ids"].shape[1]

        def halted(ids: Any, _scores: Any, **_: Any) -> Any:
            over = stop.is_set() or halt.is_set() or runs_in_circles(ids[0, prompt:].tolist())
            return torch.full((ids.shape[0],), over, device=ids.device, dtype=torch.bool)

        def generate(tokens: Tokens) -> None:
            with torch.inference_mode():
                self._model.generate(**inputs, generation_config=config, stopping_criteria=[halted], streamer=tokens)

        def decode(ids: list[int]) -> str:
            return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

        try:
            yield from pieces(generate, decode, halt)
        except (RuntimeError, ValueError, IndexError, TypeError, MemoryError) as error:
            raise ModelError(f"{self.name} could not answer: {_in_words(error)}") from error

    def _fitting(self, messages: list[Message], max_new_tokens: int) -> Any:
        """Encode the messages, forgetting the oldest exchanges where they do not fit into the model's context."""
        limit = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        shorter: list[Message] | None = messages
        while shorter is not None:
            inputs = self._encode(shorter)
            if limit is None or inputs["input_ids"].shape[1] + max_new_tokens <= limit:
                return inputs
            shorter = forget_oldest(shorter)
        raise ModelError(
            f"The question is too long for {self.name}, which holds {limit} tokens with the answer's {max_new_tokens}. "
            "Ask a shorter one, or with fewer photos and concepts."
        )

    def _encode(self, messages: list[Message]) -> Any:
        """Apply the model's chat template: user text never becomes a control token. Input ids are (1, tokens)."""
        from jinja2 import TemplateError

        chat = [{**m, "content": [_for_transformers(part) for part in m["content"]]} for m in messages]
        if not self._multimodal:
            chat = [{**m, "content": "".join(part["text"] for part in m["content"])} for m in chat]
        try:
            inputs = self._templated(chat)
        except TemplateError:  # a template without a system role
            inputs = self._templated(without_system(chat))
        device, dtype = self._model.device, self._model.dtype
        return {k: v.to(device, dtype) if v.is_floating_point() else v.to(device) for k, v in inputs.items()}

    def _templated(self, chat: list[Message]) -> Any:
        options = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
        try:
            return self._reader.apply_chat_template(chat, sanitize_control_tokens=True, **options)
        except ValueError as error:  # the processors of Idefics3 and SmolVLM find no images in text cleaned so
            if "char_to_token" not in str(error):
                raise
            return self._reader.apply_chat_template(chat, **options)  # prompt.neutral has cleaned it already

    @cached_property
    def _config(self) -> Any:
        from transformers import AutoConfig

        try:
            return AutoConfig.from_pretrained(self.source, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{self.name} cannot be opened: {_in_words(error)}") from error

    @cached_property
    def _multimodal(self) -> bool:
        from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

        if type(self._config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            return True
        if type(self._config) in MODEL_FOR_CAUSAL_LM_MAPPING:
            return False
        raise ModelError(
            f"{self.name} is of the kind {self._config.model_type!r}, which does not answer in text. "
            "Choose an image-text-to-text or a text-generation model."
        )

    @cached_property
    def _plan(self) -> tuple[str, Any, str, str]:
        """Choose device, dtype and bits, and log why. Never changed silently afterwards."""
        import torch

        device, reason = self._wish, f"PERSONAL_DEVICE={self._wish}"
        if device == "auto":
            device, reason = "cpu", "no GPU was found"
            if torch.cuda.is_available():
                device, reason = "cuda", f"found {torch.cuda.get_device_name()}"
            elif torch.backends.mps.is_available():
                device, reason = "mps", "found Apple's GPU"
        half = device == "mps" or (device == "cuda" and not torch.cuda.is_bf16_supported())
        dtype = torch.float16 if half else torch.bfloat16
        bits = f"16 bits ({str(dtype).removeprefix('torch.')})"
        if getattr(self._config, "quantization_config", None) is not None:
            bits = "the checkpoint's own quantisation"
        elif self._quantization == "4bit" and device == "mps":
            reason += "; four bits need a CPU or CUDA"
        elif self._quantization == "4bit":
            bits = "4 bits (nf4)"
        log.info("%s: %s on %s: %s", self.name, bits, device, reason)
        return device, dtype, bits, reason

    def _open(self) -> None:
        from safetensors import SafetensorError
        from transformers import (
            AutoModelForCausalLM,
            AutoModelForImageTextToText,
            AutoProcessor,
            AutoTokenizer,
        )
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses an optional package that downloads
        device, dtype, bits, _ = self._plan
        options: dict[str, Any] = {"dtype": dtype, "device_map": device}
        if bits.startswith("4"):
            options["quantization_config"] = four_bits(dtype)
        model, reader = AutoModelForCausalLM, AutoTokenizer
        if self._multimodal:
            model, reader = AutoModelForImageTextToText, AutoProcessor
        try:
            self._reader = reader.from_pretrained(self.source, trust_remote_code=False)
            self._model = model.from_pretrained(
                self.source, trust_remote_code=False, use_safetensors=True, **options
            ).eval()
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, MemoryError, SafetensorError) as error:
            raise ModelError(f"{self.name} cannot be loaded: {_in_words(error)}") from error


def four_bits(dtype: Any) -> Any:
    """Return how bitsandbytes quantises here: nf4, doubly, computing in `dtype` (Dettmers et al., NeurIPS 2023)."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=UNQUANTISED,
    )


def _for_transformers(part: dict[str, Any]) -> dict[str, Any]:
    if part["type"] == "image":
        return {"type": "image", "image": open_photo(part["image"])}
    return {"type": "text", "text": part["text"]}


def _in_words(error: BaseException) -> str:
    """Say what an error of the libraries means and what to do, with its first line."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, OSError) and error.errno == 28:
        return "the disk is full. Free some space and try again."
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate" in str(error):
        return "there is not enough memory. Choose a smaller model, or PERSONAL_QUANTIZATION=4bit."
    if isinstance(error, OSError):
        return f"it was not found here, and no model hub answered with it. Check its name or folder. ({said})"
    if "does not recognize this architecture" in str(error) or isinstance(error, KeyError):
        return f"this version of transformers does not know its architecture. ({said})"
    return f"{said} ({type(error).__name__})"
