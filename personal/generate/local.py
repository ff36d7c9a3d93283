"""Answer with a language model that runs here: transformers and, for four bits, packed weights or bitsandbytes.

Opens any image-text-to-text checkpoint, or a text-only one, from a folder or the model hub; safetensors only, and never
code that comes with a checkpoint. The model is loaded once, at the first answer or by `load`, and freed by `unload`;
one answer is generated at a time (`personal.generate.switching` sees to that).
"""

from __future__ import annotations

import copy
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.concepts import Piece, Progress
from personal.errors import ModelError
from personal.generate.budget import AVATAR_TOKENS, PHOTO_TOKENS, fit
from personal.generate.models import find_model
from personal.generate.prompt import Message, forget_oldest, with_labels, without_system
from personal.generate.quantization import int8_config, nf4_config
from personal.generate.streaming import Tokens, pieces, runs_in_circles, spoken, texts
from personal.images import open_photo
from personal.labels import Classifier
from personal.labels import read as read_classifier
from personal.memory import give_back
from personal.threads import in_thread

if TYPE_CHECKING:
    from personal.generate.kv_cache import PrefixCache
    from personal.generate.labelling import Labeller
    from personal.generate.sight import Sight

log = logging.getLogger(__name__)

PACKED, NF4, EIGHT = "4 bits (packed integers)", "4 bits (nf4)", "8 bits (int8)"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where and in which numbers a model computes, and why."""

    device: str
    dtype: Any
    bits: str
    reason: str


class LocalGenerator:
    """A Generator on this machine. `source` is a folder or a hub id; `name` is what people call it.

    A photo costs at most `photo_tokens` tokens, an avatar `avatar_tokens`, where the model's processor leaves a choice.

    `quantization`: "4bit" means packed integers on CPUs that have the kernels (`personal.generate.packed`) and nf4
    elsewhere; "nf4" (doubly quantised) and "8bit" are bitsandbytes', where the device can (CPU, CUDA); "none" 16 bits.
    """

    concurrency = 1

    def __init__(
        self,
        source: str,
        *,
        device: str = "auto",
        quantization: str = "4bit",
        name: str | None = None,
        photo_tokens: int = PHOTO_TOKENS,
        avatar_tokens: int = AVATAR_TOKENS,
    ) -> None:
        self.source = source
        self.name = name or source
        self._wish = device
        self._quantization = quantization
        self._photo_tokens, self._avatar_tokens = photo_tokens, avatar_tokens
        self._loading = threading.Lock()
        self._model: Any = None
        self._reader: Any = None
        self._past: Any = None
        self._sight: Any = None
        self._labeller: Labeller | None = None
        self._thinks, self._forgotten = False, 0

    @property
    def sees(self) -> bool:
        """Tell whether the model is given the photos themselves. Raises ModelError where there is no such model."""
        return self._multimodal and self._marks.get("sees") is not False

    @property
    def single_turn(self) -> bool:
        """Tell whether the model learnt on single questions: what was said before only confuses it."""
        return self._marks.get("single_turn") is True

    @property
    def verifies(self) -> bool:
        """Tell whether the model is asked to confirm doubtful matches (`ModelSpec.verifies`)."""
        spec = find_model(self.name)
        return bool(spec and spec.verifies)

    @cached_property
    def _marks(self) -> dict[str, Any]:
        """What a checkpoint made here says of itself."""
        path = Path(self.source) / "personal.json"
        marks: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return marks

    @cached_property
    def _classifier(self) -> Classifier | None:
        """What labels photos for a checkpoint that was trained to read labels."""
        return read_classifier(Path(self.source))

    @property
    def description(self) -> str:
        """Say in words where and in which numbers the model computes, and why."""
        plan = self._plan
        return f"{plan.bits} on {plan.device} ({plan.reason})"

    def load(self) -> Iterator[Progress]:
        """Load the model unless it is loaded, yielding what is being done. Raises ModelError in words."""
        if self._model is not None:
            return
        yield Progress(f"Loading {self.name}: {self.description}")
        with self._loading:
            if self._model is None:
                in_thread(self._open)
        yield Progress(f"{self.name} is loaded", 1, 1)

    @property
    def _one_image(self) -> bool:
        """Tell whether the model learnt on one image a question: then concepts are introduced in words alone."""
        spec = find_model(self.name)
        return (self._marks.get("images") or (spec and spec.images)) == 1

    def unload(self) -> None:
        """Give the model's memory back; the next answer loads it again."""
        self._model = self._reader = self._past = self._sight = self._labeller = None
        _free()

    def clear(self) -> None:
        """Forget what was read and seen last; what an answer under way holds goes with it."""
        if self._model is not None:
            self._remember_nothing()

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_new_tokens: int,
        stop: threading.Event,
        temperature: float = 0.0,
    ) -> Iterator[Piece]:
        """Answer the messages of `prompt.lay_out`, in Pieces as they come.

        Greedy unless `temperature` is above 0. Setting `stop`, or closing the iterator, ends it at the next token.
        Raises ModelError.
        """
        for _ in self.load():
            pass
        halt = threading.Event()

        def generate(tokens: Tokens) -> None:
            self._generate(list(messages), tokens, max_new_tokens, temperature, lambda: stop.is_set() or halt.is_set())

        silent = True
        with self._failing_in_words():
            for piece in spoken(pieces(generate, self._decode, halt), lambda: self._thinks):
                yield replace(piece, forgotten=self._forgotten) if silent else piece
                silent = False
        if silent and self._thinks and not stop.is_set():
            raise self._only_thought(max_new_tokens)

    def answers(self, asked: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """Answer conversations side by side, all at once: greedily, and each as `stream` would but for rounding.

        Fewer at once where the GPU's memory is too small for all; one after the other where the model cannot be given
        its pictures as features. Raises ModelError, for all of them, where one cannot be answered.
        """
        import torch

        for _ in self.load():
            pass
        with self._failing_in_words():
            try:
                rows = in_thread(lambda: self._side_by_side(asked, max_new_tokens)) if asked else []
            except torch.OutOfMemoryError:
                if len(asked) == 1:
                    raise
                rows = []
        if rows is None:
            return [self._alone(messages, max_new_tokens) for messages in asked]
        if len(rows) < len(asked):
            _free()
            half = len(asked) // 2
            parts = (self.answers(part, max_new_tokens=max_new_tokens) for part in (asked[:half], asked[half:]))
            return [text for part in parts for text in part]
        said = ["".join(p.text for p in spoken(texts(row, self._decode), lambda: self._thinks)) for row in rows]
        if self._thinks and not all(said):
            raise self._only_thought(max_new_tokens)
        return said

    def _alone(self, messages: Sequence[Message], max_new_tokens: int) -> str:
        """Answer one conversation, nothing being recalled."""
        self.clear()
        pieces = self.stream(messages, max_new_tokens=max_new_tokens, stop=threading.Event())
        return "".join(piece.text for piece in pieces)

    def _decode(self, ids: list[int]) -> str:
        tokenizer = getattr(self._reader, "tokenizer", self._reader)
        return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    @contextmanager
    def _failing_in_words(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError, IndexError, TypeError, MemoryError) as error:
            self.clear()
            raise ModelError(f"{self.name} could not answer: {_in_words(error)}") from error

    def _only_thought(self, max_new_tokens: int) -> ModelError:
        return ModelError(
            f"{self.name} thought for all {max_new_tokens} tokens that an answer may have. "
            "Raise PERSONAL_MAX_NEW_TOKENS."
        )

    def _generate(
        self,
        messages: list[Message],
        tokens: Tokens,
        max_new_tokens: int,
        temperature: float,
        over: Callable[[], bool],
    ) -> None:
        import torch

        if over():
            return
        read, inputs = self._fitting(messages, max_new_tokens)
        prompt = inputs["input_ids"].shape[1]
        kept = self._past
        past, inputs = self._recalled(inputs, read, kept)

        def halted(ids: Any, _scores: Any, **_: Any) -> Any:
            end = over() or runs_in_circles(ids[0, prompt:].tolist())
            return torch.full((ids.shape[0],), end, device=ids.device, dtype=torch.bool)

        said = self._continued(inputs, past, max_new_tokens, temperature, stopping_criteria=[halted], streamer=tokens)
        kept.keep(past, said[0].tolist(), _keys(read))

    def _side_by_side(self, asked: Sequence[Sequence[Message]], max_new_tokens: int) -> list[list[int]] | None:
        """Return the tokens of the answers; None where the model cannot be given pictures as features."""
        import torch

        from personal.generate.kv_cache import empty

        read = [self._fitting(list(messages), max_new_tokens) for messages in asked]
        sight = self._sight
        seen = [self._features(sight, messages, inputs) for messages, inputs in read]
        if any(rows is None and _keys(messages) for rows, (messages, _) in zip(seen, read, strict=True)):
            return None
        inputs = _below_one_another([inputs for _, inputs in read], self._model.generation_config.pad_token_id or 0)
        if any(seen):
            inputs |= sight.given([torch.cat(layer) for layer in zip(*filter(None, seen), strict=True)], 0)
        prompt, ends = inputs["input_ids"].shape[1], [0] * len(asked)
        eos = self._model.generation_config.eos_token_id
        last = {eos} if isinstance(eos, int) else set(eos or ())

        def halted(ids: Any, _scores: Any, **_: Any) -> Any:
            for row, said in enumerate(ids[:, prompt:].tolist()):
                if not ends[row] and (said[-1] in last or runs_in_circles(said)):
                    ends[row] = len(said)
            return torch.tensor(ends, device=ids.device) > 0

        past = empty(self._model.config)
        rows = self._continued(inputs, past, max_new_tokens, 0.0, stopping_criteria=[halted])[:, prompt:].tolist()
        return [row[: end or None] for row, end in zip(rows, ends, strict=True)]

    def _continued(
        self, inputs: dict[str, Any], past: Any, max_new_tokens: int, temperature: float, **options: Any
    ) -> Any:
        """Let the model go on from a cache; return all ids, (rows, tokens)."""
        import torch

        config = copy.deepcopy(self._model.generation_config)
        config.update(max_new_tokens=max_new_tokens, max_length=None, do_sample=temperature > 0)
        if temperature > 0:
            config.update(temperature=temperature)
        else:
            config.update(temperature=None, top_p=None, top_k=None)
        if hasattr(inner := self._model.base_model, "rope_deltas"):
            inner.rope_deltas = None  # Qwen-VL: positions left by the prompt before would be taken for this one's
        with torch.inference_mode():
            return self._model.generate(**inputs, past_key_values=past, generation_config=config, **options)

    def _recalled(
        self, inputs: dict[str, Any], messages: list[Message], kept: PrefixCache
    ) -> tuple[Any, dict[str, Any]]:
        """Return the cache to go on from, and the inputs with what is yet to be seen: as features where that works."""
        tokens, pictures = inputs["input_ids"][0].tolist(), _keys(messages)
        mark = getattr(self._model.config, "image_token_id", None)
        sight = self._sight
        rows = self._features(sight, messages, inputs)
        past = kept.recall(self._model.config, tokens, pictures, set() if rows is not None or mark is None else {mark})
        known = past.get_seq_length()
        if known or rows is not None:
            inputs = {name: value for name, value in inputs.items() if not name.startswith("pixel_")}
        if rows is not None and mark in tokens[known:]:
            inputs |= sight.given(rows, tokens[:known].count(mark))
        return past, inputs

    def _features(self, sight: Sight, messages: list[Message], inputs: dict[str, Any]) -> list[Any] | None:
        """Return the features of a prompt's pictures; None where it has none, or the model cannot be given them.

        Features of a picture are those of the picture alone; where a model counts other tokens for it among others,
        its pixels are read.
        """
        pictures = _keys(messages)
        rows = sight.rows(pictures, lambda: self._shown(messages)) if pictures else None
        marks = inputs["input_ids"][0].tolist().count(getattr(self._model.config, "image_token_id", None))
        return rows if rows is not None and len(rows[0]) == marks else None

    def _shown(self, messages: list[Message]) -> tuple[list[Any], dict[str, Any]]:
        """Open the pictures of messages, within their budget; and what the processor is told of their sizes."""
        shown = [part for message in messages for part in message["content"] if part["type"] == "image"]
        if not shown:
            return [], {}
        return fit(
            self._reader,
            [open_photo(part["image"]) for part in shown],
            ["concept" in part for part in shown],
            photo_tokens=self._photo_tokens,
            avatar_tokens=self._avatar_tokens,
        )

    def _fitting(self, messages: list[Message], max_new_tokens: int) -> tuple[list[Message], dict[str, Any]]:
        """Encode the messages, forgetting the oldest exchanges where they do not fit into the model's context.

        Return what is left of them, and the model's inputs; note whether the answer begins in a thought.
        """
        if self._one_image:
            messages = [{**m, "content": [p for p in m["content"] if not _avatar(p)]} for m in messages]
        if self._labeller is not None:
            messages = with_labels(messages, self._labeller.line)
        limit = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        self._forgotten = 0
        shorter: list[Message] | None = messages
        while shorter is not None:
            inputs = self._encode(shorter)
            if limit is None or inputs["input_ids"].shape[1] + max_new_tokens <= limit:
                ending = getattr(self._reader, "tokenizer", self._reader).decode(inputs["input_ids"][0, -8:].tolist())
                self._thinks = ending.rstrip().endswith("<think>")
                return shorter, inputs
            shorter = forget_oldest(shorter)
            self._forgotten += 1
        raise ModelError(
            f"The question is too long for {self.name}, which holds {limit} tokens with the answer's {max_new_tokens}. "
            "Ask a shorter one, or with fewer photos and concepts."
        )

    def _encode(self, messages: list[Message]) -> dict[str, Any]:
        """Apply the model's chat template: user text never becomes a control token. Input ids are (1, tokens)."""
        from jinja2 import TemplateError

        images, sizes = self._shown(messages)
        left = iter(images)
        chat = [
            {
                **m,
                "content": [
                    {**part, "image": next(left)} if part["type"] == "image" else part for part in m["content"]
                ],
            }
            for m in messages
        ]
        if not self._multimodal:
            chat = [{**m, "content": "".join(part["text"] for part in m["content"])} for m in chat]
        templated = self._templated if not images or self._interleaves else self._interleaved
        try:
            inputs = templated(chat, sizes)
        except TemplateError:  # a template without a system role
            inputs = templated(without_system(chat), sizes)
        device, dtype = self._model.device, self._model.dtype
        return {k: v.to(device, dtype) if v.is_floating_point() else v.to(device) for k, v in inputs.items()}

    def _templated(self, chat: list[Message], sizes: dict[str, Any]) -> Any:
        def applied(**more: Any) -> Any:
            options: dict[str, Any] = {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
            if sizes:
                options["processor_kwargs"] = {"images_kwargs": dict(sizes)}
            return self._reader.apply_chat_template(chat, return_tensors="pt", **options, **more)

        try:
            return applied(sanitize_control_tokens=True)
        except NotImplementedError:  # LLaVA-1.5: its tokenizer, not its template, writes how a text begins
            template = "{{ bos_token }}" + self._reader.chat_template
            return applied(sanitize_control_tokens=True, chat_template=template)
        except ValueError as error:  # the processor of Idefics3 finds no images in text cleaned so
            if "char_to_token" not in str(error):
                raise
            return applied()  # prompt.neutral has cleaned it already

    @cached_property
    def _interleaves(self) -> bool:
        """Tell whether the chat template leaves images between the words; LLaVA's put them before all words."""
        parts = [{"type": "text", "text": "Before."}, {"type": "image"}, {"type": "text", "text": "After."}]
        text = self._reader.apply_chat_template([{"role": "user", "content": parts}], tokenize=False)
        between = text.partition("Before.")[2].partition("After.")[0]
        return bool(between.strip())

    def _interleaved(self, chat: list[Message], sizes: dict[str, Any]) -> Any:
        """Write the images into the words ourselves, after breaking up what people wrote like a control token."""
        special = [*self._reader.tokenizer.all_special_tokens, self._reader.image_token]
        images = [part["image"] for message in chat for part in message["content"] if part["type"] == "image"]

        def written(part: dict[str, Any]) -> str:
            if part["type"] == "image":
                return str(self._reader.image_token)
            text = part["text"]
            for token in special:
                text = text.replace(token, f"{token[:1]} {token[1:]}")
            return str(text)

        chat = [{**m, "content": [{"type": "text", "text": "".join(map(written, m["content"]))}]} for m in chat]
        text = self._reader.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return self._reader(text=[text], images=images, images_kwargs=sizes, return_tensors="pt")

    @cached_property
    def _config(self) -> Any:
        from huggingface_hub.errors import StrictDataclassError
        from transformers import AutoConfig

        try:
            return AutoConfig.from_pretrained(self.source, trust_remote_code=False)
        except (OSError, ValueError, KeyError, StrictDataclassError) as error:
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
    def _plan(self) -> Plan:
        """Choose device, dtype and bits, and log why. Changed only where a model's layers turn out not to pack."""
        import torch

        from personal.generate import packed

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
        elif self._quantization != "none" and device == "mps":
            reason += "; fewer than 16 bits need a CPU or CUDA"
        elif self._quantization == "4bit" and device == "cpu" and packed.available():
            bits = PACKED
        elif self._quantization != "none":
            bits = EIGHT if self._quantization == "8bit" else NF4
        log.info("%s: %s on %s: %s", self.name, bits, device, reason)
        return Plan(device, dtype, bits, reason)

    def _open(self) -> None:
        from safetensors import SafetensorError
        from transformers import (
            AutoModelForCausalLM,
            AutoModelForImageTextToText,
            AutoProcessor,
            AutoTokenizer,
        )
        from transformers.utils import logging as transformers_logging

        from personal.generate import packed

        transformers_logging.disable_progress_bar()
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses an optional package that downloads
        kind: Any = AutoModelForImageTextToText if self._multimodal else AutoModelForCausalLM
        reader: Any = AutoProcessor if self._multimodal else AutoTokenizer

        def opened() -> Any:
            plan = self._plan
            options: dict[str, Any] = {"dtype": plan.dtype, "device_map": plan.device}
            if plan.bits in {NF4, EIGHT}:
                options["quantization_config"] = nf4_config(plan.dtype) if plan.bits == NF4 else int8_config()
            return kind.from_pretrained(self.source, trust_remote_code=False, use_safetensors=True, **options).eval()

        try:
            self._reader = reader.from_pretrained(self.source, trust_remote_code=False)
            self._model = opened()
            if self._plan.bits == PACKED and not packed.pack(self._model):
                self._model = None
                self._plan = replace(self._plan, bits=NF4, reason=f"{self._plan.reason}; its layers cannot be packed")
                self._model = opened()
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, MemoryError, SafetensorError) as error:
            self.unload()
            raise ModelError(f"{self.name} cannot be loaded: {_in_words(error)}") from error
        self._remember_nothing()

    def _remember_nothing(self) -> None:
        from personal.generate.kv_cache import PrefixCache
        from personal.generate.labelling import Labeller
        from personal.generate.sight import Sight

        self._past, self._sight = PrefixCache(), Sight(self._model, self._reader)
        classifier = self._classifier if self._marks.get("labels") else None
        self._labeller = Labeller(self._model, self._sight, classifier, open_photo) if classifier else None


def _keys(messages: Sequence[Message]) -> list[tuple[str, bool]]:
    """Return the content hashes of the pictures in messages, and of each whether it is an avatar."""
    parts = (part for message in messages for part in message["content"] if part["type"] == "image")
    return [(part["image"].sha256, "concept" in part) for part in parts]


def _below_one_another(prompts: Sequence[dict[str, Any]], padding: int) -> dict[str, Any]:
    """Join the inputs of prompts: shorter ones padded at the left, what is told of pictures one after the other."""
    import torch

    widest = max(prompt["input_ids"].shape[1] for prompt in prompts)
    inputs: dict[str, Any] = {}
    for name in dict.fromkeys(name for prompt in prompts for name in prompt if not name.startswith("pixel_")):
        parts = [prompt[name] for prompt in prompts if name in prompt]
        if len(parts) == len(prompts) and all(
            part.shape == prompt["input_ids"].shape for part, prompt in zip(parts, prompts, strict=True)
        ):
            value = padding if name == "input_ids" else 0
            parts = [torch.nn.functional.pad(part, (widest - part.shape[1], 0), value=value) for part in parts]
        inputs[name] = torch.cat(parts)
    return inputs


def _avatar(part: dict[str, Any]) -> bool:
    return part["type"] == "image" and "concept" in part


def _free() -> None:
    """Give memory that nobody holds any more back to the device and to the system."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    give_back()


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
