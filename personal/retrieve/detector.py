"""Things of the owner's categories, found in a photo by an open-vocabulary detector (RAP: Hao et al., CVPR 2025).

Opens what transformers has as AutoModelForZeroShotObjectDetection (Grounding DINO and its kin, OWLv2, OWL-ViT,
OmDet-Turbo), safetensors only, and never code that comes with a checkpoint. RAP's own detector, YOLO-World, is none of
these architectures. Knows categories, but neither concepts nor the index.

Which one: the three below are Apache-2.0. `RECOMMENDED` is the smallest, a look costs a quarter of the next one's, and
the vectors of categories asked for before are kept; Grounding DINO finds more, by their own figures.

                                        download   a look, 10^9 operations        zero-shot AP on COCO
    omlab/omdet-turbo-swin-tiny-hf      462 MB     161 (185 with new categories)  42.5
    IDEA-Research/grounding-dino-tiny   689 MB     660                            48.4
    google/owlv2-base-patch16-ensemble  620 MB     1117                           not looked up

Licences, sizes and AP (their makers' figures) were read in stored copies of the makers' pages in late 2026. Operations
were counted by torch's FlopCounterMode on random weights: three categories, a photo of 4:3, each processor's own size.
The weights themselves were not at hand: how much their boxes help recognition here is not measured.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.concepts import Box, Progress
from personal.errors import ModelError, first_line
from personal.threads import in_foreground, in_thread

if TYPE_CHECKING:
    from PIL.Image import Image

RECOMMENDED = "omlab/omdet-turbo-swin-tiny-hf"
REVISIONS = {
    RECOMMENDED: "dfd82f0987759b5689b08bb0de9f637f6b5faeae",
    "IDEA-Research/grounding-dino-tiny": "a2bb814dd30d776dcf7e30523b00659f4f141c71",
    "google/owlv2-base-patch16-ensemble": "7c77fc1316a353da3109f81d80ae118dd58fd55b",
}
"""The commits that are opened of checkpoints on a hub; of others the newest."""

GENERIC = "object"
"""What is looked for where a concept has no category, or none that the detector can read."""
LONG_SIDE = 1344
"""Pixels of a photo's long side on its way to a processor: none makes more of it, and OWLv2's pads it square."""
SLENDER = 8
"""How many times longer than wide a photo may be for a processor: a slenderer one is stretched."""
LETTERS, TOKENS = 80, 12
"""What a prompt may have at most. OWLv2 reads 16 tokens, two of them its own."""
PROMPTS_AT_ONCE = 16
"""Prompts of one look: with a full stop each they stay below the 256 tokens that Grounding DINO reads."""
MOST_PROMPTS = 31
"""Prompts besides the generic one: two looks."""
MOST_PROPOSALS = 16
SAME = 0.5
"""Boxes that share more than this (intersection over union) show one thing, whatever they are called."""
LEAST = 0.001
"""The share of the photo that a box covers at least."""

_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A box that may hold something of a category; `score` is 0..1 and means what the detector means by it.

    `category` is as it was given, "" where only the generic prompt found it.
    """

    box: Box
    score: float
    category: str


class Detector:
    """A zero-shot object detector. Call `load` first. `source` is a folder or a hub's id."""

    def __init__(self, source: str, *, device: str = "auto") -> None:
        self.source = source
        self.device = device
        self.model: Any = None
        self.processor: Any = None
        self._turn = threading.Lock()

    def load(self) -> Iterator[Progress]:
        """Open the model, yielding progress. Raises ModelError naming the source and what may stand there."""
        if self.model is not None:
            return
        yield Progress(f"Opening the detector {self.source}")
        with self._turn:
            in_thread(self._open)
        yield Progress(f"Opened the detector {self.source}", 1, 1)

    def propose(self, image: Image, categories: Sequence[str]) -> list[Proposal]:
        """Find things of these categories in an RGB image, best first, at most MOST_PROPOSALS, no two the same.

        Categories beyond the first MOST_PROMPTS, and those without words, are looked for as GENERIC. Each detector's
        own threshold decides what counts. Raises ModelError.
        """
        try:
            with self._turn:
                return in_foreground(lambda: self._propose(image, categories))
        except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, AssertionError, MemoryError) as error:
            raise ModelError(
                f"The detector {self.source} could not look at the photo: {first_line(error)[:300].rstrip('.')}"
            ) from error

    def clear(self) -> None:
        """Forget the categories asked for before, whose vectors OmDet-Turbo keeps."""
        with self._turn:
            for name in ("language_cache_class", "language_cache_prompt"):
                if hasattr(self.model, name):
                    kept = getattr(self.model, name)
                    setattr(self.model, name, type(kept)(kept.capacity))

    def _open(self) -> None:
        from safetensors import SafetensorError

        if self.model is not None:
            return
        try:
            self._open_files()
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, MemoryError, SafetensorError) as error:
            said = first_line(error)[:300].rstrip(".")
            if isinstance(error, OSError) and not Path(self.source).is_dir():
                said = f"it was not found here, and no model hub answered with it ({said})"
            raise ModelError(
                f"The detector {self.source} cannot be opened: {said}. PERSONAL_DETECTOR takes the id of a zero-shot "
                f"object detector on a hub, such as {RECOMMENDED}, or a folder with its config.json, processor and "
                "model.safetensors. Leave it empty to do without."
            ) from error

    def _open_files(self) -> None:
        import torch
        from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor
        from transformers.utils import logging

        logging.disable_progress_bar()
        options: dict[str, Any] = {"trust_remote_code": False}
        if not Path(self.source).is_dir():
            options["revision"] = REVISIONS.get(self.source)
        config = _config(self.source, options.get("revision"))
        processor = AutoProcessor.from_pretrained(self.source, **options)
        model, found = AutoModelForZeroShotObjectDetection.from_pretrained(
            self.source, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **options
        )
        absent = sorted(set(found["missing_keys"]) & {name for name, _ in model.named_parameters()})
        if absent:
            raise ValueError(f"its weights are incomplete, {absent[0]} for one is missing")
        if self.device == "auto":
            self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.processor, self.model = processor, model.eval().to(self.device)

    def _propose(self, image: Image, categories: Sequence[str]) -> list[Proposal]:
        image = _fitted(image)
        category_of = self.prompts(categories)
        prompts = list(category_of)
        found: list[Proposal] = []
        for start in range(0, len(prompts), PROMPTS_AT_ONCE):
            for box, score, prompt in self._detect(image, prompts[start : start + PROMPTS_AT_ONCE]):
                found.append(Proposal(box, score, category_of[prompt]))
        return suppress_overlaps(found)

    def prompts(self, categories: Sequence[str]) -> dict[str, str]:
        """Write the categories as prompts: each prompt with the category that it stands for."""
        category_of: dict[str, str] = {}
        generic = not categories
        for category in dict.fromkeys(categories):
            prompt = self._prompt(category) if len(category_of) < MOST_PROMPTS else ""
            if prompt:
                category_of.setdefault(prompt, category)
            else:
                generic = True
        return category_of | {GENERIC: category_of.get(GENERIC, "")} if generic else category_of

    def _prompt(self, category: str) -> str:
        """Keep of a category the first words that the detector can read, and no sign that could steer it."""
        tokenizer = self.processor.tokenizer
        words = _WORD.findall(unicodedata.normalize("NFKC", category[:LETTERS]).lower())
        while words:
            tokens = tokenizer(" ".join(words), add_special_tokens=False)["input_ids"]
            if len(tokens) <= TOKENS and tokenizer.unk_token_id not in tokens:
                break
            words.pop()
        return " ".join(words)

    def _detect(self, image: Image, prompts: list[str]) -> Iterator[tuple[Box, float, str]]:
        """Look for a few prompts: boxes within the photo, scores, and the prompts that found them."""
        import numpy as np
        import torch

        inputs = self.processor(images=image, text=[prompts], return_tensors="pt").to(self.device)
        with torch.inference_mode():
            outputs = self.model(**inputs)
            found = self.processor.post_process_grounded_object_detection(
                outputs, target_sizes=[(image.height, image.width)], text_labels=[prompts]
            )[0]
        boxes = found["boxes"].cpu().double().numpy() / (image.size * 2)
        rows = zip(np.clip(boxes, 0, 1).tolist(), found["scores"].tolist(), found["text_labels"], strict=False)
        for (x0, y0, x1, y1), score, phrase in rows:  # Grounding DINO has a phrase even where there is no box
            if (x1 - x0) * (y1 - y0) >= LEAST:
                yield (x0, y0, x1, y1), score, nearest_prompt(phrase, prompts)


def _fitted(image: Image) -> Image:
    """Shrink a photo that is too long, stretch one that is too slender: boxes are fractions of it all the same."""
    longest = min(LONG_SIDE, max(image.size))
    width, height = (max(side * longest // max(image.size), -(-longest // SLENDER)) for side in image.size)
    return image if (width, height) == image.size else image.resize((width, height))


def _config(source: str, revision: str | None) -> Any:
    """Read what kind of detector a checkpoint is. Raises ValueError where it is none."""
    from transformers import CONFIG_MAPPING, MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING, PreTrainedConfig

    read, _ = PreTrainedConfig.get_config_dict(source, revision=revision)
    kind = read.get("model_type")
    if kind is None:
        raise ValueError("it has no config.json of a model")
    if kind not in CONFIG_MAPPING or CONFIG_MAPPING[kind] not in MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING:
        raise ValueError(f"it is of the kind {kind!r}, which does not find things by their names")
    if read.get("backbone") and not read.get("backbone_config") and read.get("use_timm_backbone", True):
        # As transformers 4 wrote it, and OmDet-Turbo still is: left so, a hub would be asked about it even offline.
        inner = {"model_type": "timm_backbone", "backbone": read.pop("backbone")}
        read["backbone_config"] = inner | (read.pop("backbone_kwargs", None) or {})
    return CONFIG_MAPPING[kind].from_dict(read)


def nearest_prompt(phrase: str, prompts: Sequence[str]) -> str:
    """Return the prompt that a phrase comes from: Grounding DINO returns pieces of the joined prompts."""
    if phrase in prompts:
        return phrase
    words = set(_WORD.findall(phrase))
    return max(prompts, key=lambda p: (len(words & set(p.split())), SequenceMatcher(None, p, phrase).ratio()))


def suppress_overlaps(found: Sequence[Proposal]) -> list[Proposal]:
    """Keep the best of the boxes that show the same thing (non-maximum suppression, across categories), best first."""
    import torch
    from torchvision.ops import nms

    boxes = torch.tensor([proposal.box for proposal in found]).reshape(-1, 4)
    kept = nms(boxes, torch.tensor([proposal.score for proposal in found]), SAME)
    return [found[row] for row in kept[:MOST_PROPOSALS].tolist()]
