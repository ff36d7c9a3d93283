"""Turn chat messages into a model's inputs with its own processor and chat template; user text stays plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from personal.concepts import Photo
from personal.errors import ModelError
from personal.generate.biasing import Expected
from personal.generate.budget import AVATAR_TOKENS, PHOTO_TOKENS, fit
from personal.generate.prompt import described_photo, drop_oldest_turn, with_labels, without_system
from personal.images import open_photo
from personal.labels import Labels
from personal.messages import Message, images_of, is_avatar, make_message

Chat = list[dict[str, Any]]
"""Messages as a chat template takes them: opened images, or plain text."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages that fit into a model's context, and the inputs that they become; input ids are (1, tokens).

    `dropped_turns` is the number of earliest exchanges that did not fit. `in_reasoning`: the template ends inside a
    reasoning block, so the answer begins with reasoning. `expected` are words that the answer should hold, with the
    bias that their tokens get (`biasing`).
    """

    messages: list[Message]
    inputs: dict[str, Any]
    dropped_turns: int
    in_reasoning: bool
    expected: Expected = ()

    @property
    def ids(self) -> list[int]:
        ids: list[int] = self.inputs["input_ids"][0].tolist()
        return ids

    @property
    def images(self) -> list[tuple[str, bool]]:
        """The content hash of every image, and whether it is an avatar."""
        return [(part["image"].sha256, part["avatar"]) for part in images_of(self.messages)]


class PromptEncoder:
    """Encodes messages for one model. `labels` labels photos for a model that was trained to read labels."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        name: str = "",
        *,
        multimodal: bool = True,
        one_image: bool = False,
        labels: Callable[[Photo], Labels] | None = None,
        photo_tokens: int = PHOTO_TOKENS,
        avatar_tokens: int = AVATAR_TOKENS,
    ) -> None:
        self._model = model
        self._processor = processor
        self._name = name
        self._multimodal = multimodal
        self._one_image = one_image
        self._labels = labels
        self._photo_tokens, self._avatar_tokens = photo_tokens, avatar_tokens

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, which is the processor itself for a text-only model."""
        return getattr(self._processor, "tokenizer", self._processor)

    def fit(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """Encode messages, dropping the earliest exchanges that do not fit into the context. Raises ModelError."""
        if self._one_image:
            messages = [make_message(m["role"], *(p for p in m["content"] if not is_avatar(p))) for m in messages]
        expected = self._expected(messages)
        if labels := self._labels:
            messages = with_labels(messages, lambda photo: labels(photo).prompt_line())
        limit = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        dropped_turns, shorter = 0, list(messages)
        while True:
            inputs = self.encode(shorter)
            if limit is None or inputs["input_ids"].shape[1] + max_new_tokens <= limit:
                ending = self.tokenizer.decode(inputs["input_ids"][0, -8:].tolist())
                return Prompt(shorter, inputs, dropped_turns, ending.rstrip().endswith("<think>"), expected)
            fewer = drop_oldest_turn(shorter)
            if fewer is None:
                break
            shorter, dropped_turns = fewer, dropped_turns + 1
        raise ModelError(
            f"The question is too long for {self._name}, which holds {limit} tokens with the answer's "
            f"{max_new_tokens}. Ask a shorter one, or with fewer photos and concepts."
        )

    def _expected(self, messages: Sequence[Message]) -> Expected:
        """Return the words that a description should hold, by what labels the photo."""
        photo = described_photo(messages) if self._labels else None
        if photo is None or self._labels is None:
            return ()
        words = self._labels(photo).expected().items()
        return tuple((tuple(self.tokenizer.encode(f" {word}", add_special_tokens=False)), bias) for word, bias in words)

    def encode(self, messages: Sequence[Message]) -> dict[str, Any]:
        """Apply the model's chat template; user text never becomes a control token."""
        from jinja2 import TemplateError

        images, options = self.open_images(messages)
        chat = self._as_chat(messages, images)
        apply = self._apply_template if not images or self._interleaves else self._apply_with_images_in_text
        try:
            inputs = apply(chat, options)
        except TemplateError:  # a template without a system role
            inputs = apply(self._as_chat(without_system(messages), images), options)
        device, dtype = self._model.device, self._model.dtype
        return {k: v.to(device, dtype) if v.is_floating_point() else v.to(device) for k, v in inputs.items()}

    def open_images(self, messages: Sequence[Message]) -> tuple[list[Any], dict[str, Any]]:
        """Open the images of messages within their token budgets; return them and the processor's `images_kwargs`."""
        parts = images_of(messages)
        if not parts:
            return [], {}
        return fit(
            self._processor,
            [open_photo(part["image"]) for part in parts],
            [part["avatar"] for part in parts],
            photo_tokens=self._photo_tokens,
            avatar_tokens=self._avatar_tokens,
        )

    def _as_chat(self, messages: Sequence[Message], images: Sequence[Any]) -> Chat:
        if not self._multimodal:
            return [
                {"role": m["role"], "content": "".join(part["text"] for part in m["content"] if part["type"] == "text")}
                for m in messages
            ]
        left = iter(images)
        return [
            {
                "role": message["role"],
                "content": [
                    {"type": "image", "image": next(left)}
                    if part["type"] == "image"
                    else {"type": "text", "text": part["text"]}
                    for part in message["content"]
                ],
            }
            for message in messages
        ]

    def _apply_template(self, chat: Chat, images_kwargs: dict[str, Any]) -> Any:
        def apply(**more: Any) -> Any:
            options: dict[str, Any] = {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
            if images_kwargs:
                options["processor_kwargs"] = {"images_kwargs": dict(images_kwargs)}
            return self._processor.apply_chat_template(chat, return_tensors="pt", **options, **more)

        try:
            return apply(sanitize_control_tokens=True)
        except NotImplementedError:  # LLaVA-1.5: its tokenizer, not its template, writes how a text begins
            template = "{{ bos_token }}" + self._processor.chat_template
            return apply(sanitize_control_tokens=True, chat_template=template)
        except ValueError as error:  # the processor of Idefics3 finds no images in text cleaned so
            if "char_to_token" not in str(error):
                raise
            return apply()  # escape_control_tokens has cleaned it already

    @cached_property
    def _interleaves(self) -> bool:
        """Whether the chat template leaves images between the words; LLaVA's put them before all words."""
        parts = [{"type": "text", "text": "Before."}, {"type": "image"}, {"type": "text", "text": "After."}]
        text = self._processor.apply_chat_template([{"role": "user", "content": parts}], tokenize=False)
        between = text.partition("Before.")[2].partition("After.")[0]
        return bool(between.strip())

    def _apply_with_images_in_text(self, chat: Chat, images_kwargs: dict[str, Any]) -> Any:
        """Write the image tokens between the words ourselves, after breaking up control tokens that people wrote."""
        special = [*self._processor.tokenizer.all_special_tokens, self._processor.image_token]
        images = [part["image"] for message in chat for part in message["content"] if part["type"] == "image"]

        def written(part: dict[str, Any]) -> str:
            if part["type"] == "image":
                return str(self._processor.image_token)
            text = part["text"]
            for token in special:
                text = text.replace(token, f"{token[:1]} {token[1:]}")
            return str(text)

        chat = [{**m, "content": [{"type": "text", "text": "".join(map(written, m["content"]))}]} for m in chat]
        text = self._processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return self._processor(text=[text], images=images, images_kwargs=images_kwargs, return_tensors="pt")
