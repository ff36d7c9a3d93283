"""Open-vocabulary detection: small random checkpoints of every family, made here and opened from their folders."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from personal.errors import ModelError
from personal.retrieve import detector as module
from personal.retrieve.detector import GENERIC, LEAST, MOST_PROMPTS, MOST_PROPOSALS, SAME, Detector, Proposal
from personal.retrieve.regions import pairwise_iou

WIDTH = 32
THIN = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2}
HOSTILE = [
    "dog. cat? [SEP] [CLS] <|endoftext|> <|startoftext|>",
    "cat\n\n\x00\u202e. object. [MASK]",
    "../../etc/passwd; $(reboot) {{7*7}} %s",
    "m" * 100_000,
    "mug " * 10_000,
    "⒈．？ 🐶🐶",
    " \t\n",
    "_",
]
SIZES = [(300, 200), (64, 48), (1, 1), (4000, 10), (10, 4000), (3, 1)]


@cache
def bert():
    """A tokenizer that has BERT's special tokens where Grounding DINO expects them, letters, and a few words."""
    from transformers import BertTokenizer

    special = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["dog", "cat", "mug", "object", "grey", *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = special | dict(enumerate(words, 200))
    return BertTokenizer(vocab={vocabulary.get(n, f"[unused{n}]"): n for n in range(1100)})


@cache
def clip():
    """A tokenizer of CLIP's kind that spells everything out, but for a few words."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("d", "o"), ("do", "g</w>"), ("c", "a"), ("ca", "t</w>"), ("m", "u"), ("mu", "g</w>")]
    words = [*alphabet, *(f"{letter}</w>" for letter in alphabet), *("".join(merge) for merge in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=merges, model_max_length=16)


def ends(words) -> dict[str, int]:
    return {f"{name}_token_id": getattr(words, f"{name}_token_id") for name in ("bos", "eos", "pad")}


def grounding_dino(prefix: str = "GroundingDino"):
    import transformers
    from transformers import BertConfig, GroundingDinoImageProcessor, GroundingDinoProcessor, SwinConfig

    thin = {"embed_dim": 8, "depths": [1] * 4, "num_heads": [1, 1, 2, 2], "window_size": 4, "image_size": 64}
    config = getattr(transformers, f"{prefix}Config")(
        backbone_config=SwinConfig(**thin, out_indices=[2, 3, 4]),
        text_config=BertConfig(**THIN, vocab_size=1100),
        d_model=2 * WIDTH,
        num_queries=30,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=WIDTH,
        decoder_ffn_dim=WIDTH,
    )
    images = GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 128})
    return getattr(transformers, f"{prefix}ForObjectDetection")(config), GroundingDinoProcessor(images, bert())


def mm_grounding_dino():
    return grounding_dino("MMGroundingDino")


def owl(prefix: str = "Owlv2"):
    import transformers

    def named(part: str):
        return getattr(transformers, f"{prefix}{part}")

    words = clip()
    config = named("Config")(
        text_config={**THIN, "vocab_size": len(words), **ends(words)},
        vision_config={**THIN, "image_size": 96, "patch_size": 16},
        projection_dim=WIDTH,
    )
    processor = named("Processor")(named("ImageProcessor")(size={"height": 96, "width": 96}), words)
    return named("ForObjectDetection")(config), processor


def owlvit():
    return owl("OwlViT")


def omdet_turbo():
    from transformers import (
        CLIPTextConfig,
        DetrImageProcessor,
        OmDetTurboConfig,
        OmDetTurboForObjectDetection,
        OmDetTurboProcessor,
    )

    words = clip()
    config = OmDetTurboConfig(
        backbone_config={"model_type": "timm_backbone", "backbone": "test_efficientnet", "out_indices": [2, 3, 4]},
        apply_layernorm_after_vision_backbone=False,
        encoder_in_channels=[32, 48, 64],
        vision_features_channels=[WIDTH] * 3,
        text_config=CLIPTextConfig(
            **{**THIN, "hidden_size": 48}, max_position_embeddings=77, vocab_size=len(words), **ends(words)
        ),
        text_projection_in_dim=48,
        text_projection_out_dim=48,
        class_embed_dim=48,
        task_encoder_hidden_dim=WIDTH,
        encoder_hidden_dim=WIDTH,
        decoder_hidden_dim=WIDTH,
        encoder_dim_feedforward=WIDTH,
        decoder_dim_feedforward=WIDTH,
        encoder_attention_heads=2,
        decoder_num_heads=2,
        decoder_num_layers=1,
        num_queries=30,
        image_size=64,
    )
    images = DetrImageProcessor(size={"height": 64, "width": 64})
    return OmDetTurboForObjectDetection(config), OmDetTurboProcessor(images, words)


FAMILIES = {
    "grounding-dino": grounding_dino,
    "mm-grounding-dino": mm_grounding_dino,
    "owlv2": owl,
    "owlvit": owlvit,
    "omdet-turbo": omdet_turbo,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of a family's checkpoint, written when it is first asked for."""
    import torch

    @cache
    def written(family: str) -> Path:
        folder = tmp_path_factory.mktemp("detectors") / family
        torch.manual_seed(0)
        model, processor = FAMILIES[family]()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim > 1:
                    weight.normal_(0, weight[0].numel() ** -0.5)
                elif name.endswith("bias"):
                    weight.zero_()  # MM Grounding DINO begins with one that finds nothing
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        return folder

    return written


def opened(source) -> Detector:
    detector = Detector(str(source), device="cpu")
    steps = list(detector.load())
    assert steps[0].text.startswith("Opening the detector")
    return detector


@pytest.fixture(scope="module")
def detectors(folders):
    return cache(lambda family: opened(folders(family)))


@pytest.fixture(scope="module", params=FAMILIES)
def detector(request, detectors) -> Detector:
    return detectors(request.param)


def photo(width: int = 300, height: int = 200) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def check(proposals: list[Proposal], categories: set[str]) -> None:
    """Whatever was asked of whichever detector, this holds."""
    assert len(proposals) <= MOST_PROPOSALS
    assert {proposal.category for proposal in proposals} <= categories
    scores = [proposal.score for proposal in proposals]
    assert scores == sorted(scores, reverse=True)
    for proposal in proposals:
        x0, y0, x1, y1 = proposal.box
        assert 0 <= x0 < x1 <= 1
        assert 0 <= y0 < y1 <= 1
        assert 0 < proposal.score <= 1
    if proposals:
        shared = pairwise_iou(tuple(proposal.box for proposal in proposals))
        assert (shared[~np.eye(len(proposals), dtype=bool)] <= SAME).all()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_family_finds_boxes_in_photos_of_any_shape(detector, size):
    proposals = detector.propose(photo(*size), ["dog", "cat"])
    assert proposals or max(size) > 100 * min(size)  # what OWLv2 sees of those is mostly its own margin
    check(proposals, {"dog", "cat"})


def test_the_best_box_is_the_models_own(detector):
    """What the model says itself is read here without its processor's help."""
    import torch

    image, prompts = photo(), ["dog", "cat", "mug"]
    inputs = detector.processor(images=image, text=[prompts], return_tensors="pt")
    with torch.inference_mode():
        outputs = detector.model(**inputs)
    omdet, owlv2 = hasattr(outputs, "decoder_coord_logits"), detector.model.config.model_type == "owlv2"
    middle, size = (outputs.decoder_coord_logits if omdet else outputs.pred_boxes)[0].split(2, dim=-1)
    square = torch.tensor([1.0, 300 / 200]) if owlv2 else 1.0  # OWLv2 sees the photo in a square
    boxes = torch.cat([(middle - size / 2) * square, (middle + size / 2) * square], dim=-1).clip(0, 1)
    logits = (outputs.decoder_class_logits if omdet else outputs.logits)[0]
    scores, best = logits.sigmoid().max(dim=-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=-1)
    first = int(scores.where(areas >= LEAST, -1).argmax())

    found = detector.propose(image, prompts)[0]
    assert found.score == pytest.approx(float(scores[first]), abs=1e-5)
    assert found.box == pytest.approx(boxes[first].tolist(), abs=1e-4)
    if "grounding" not in detector.model.config.model_type:  # whose columns are tokens
        assert found.category == prompts[int(best[first])]


def test_a_photo_in_which_nothing_is_found_has_no_boxes(detector):
    def unsure(model, _inputs, outputs):
        for name in ("logits", "decoder_class_logits"):
            if name in outputs:
                outputs[name] -= 1000

    hook = detector.model.register_forward_hook(unsure)
    try:
        assert detector.propose(photo(), ["dog", "cat"]) == []
    finally:
        hook.remove()


def test_boxes_do_not_depend_on_the_photos_scale_beyond_what_a_detector_reads(detectors):
    detector = detectors("owlvit")
    small = Image.new("RGB", (600, 400), "teal")
    large = small.resize((6000, 4000))
    for one, other in zip(detector.propose(small, ["dog"]), detector.propose(large, ["dog"]), strict=True):
        assert one.box == pytest.approx(other.box, abs=0.01)


@pytest.mark.parametrize("category", HOSTILE, ids=range(len(HOSTILE)))
def test_what_people_write_as_a_category_does_nothing(detector, category):
    proposals = detector.propose(photo(), [category, "dog"])
    check(proposals, {category, "dog", ""})
    tokenizer = detector.processor.tokenizer
    for prompt in detector.prompts([category]):
        tokens = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        assert 0 < len(tokens) <= module.TOKENS
        assert not set(tokens) & {*tokenizer.all_special_ids, 1012, 1029}


def test_categories_become_prompts_once_each(detectors):
    prompts = detectors("owlv2").prompts
    assert prompts(["Dog", " dog", "DOG!", "cat"]) == {"dog": "Dog", "cat": "cat"}
    assert prompts(["t-shirt", "--cat--", "dog_cat"]) == {"t-shirt": "t-shirt", "cat": "--cat--", "dog cat": "dog_cat"}


def test_long_categories_keep_the_words_that_can_be_read(detectors):
    assert list(detectors("owlv2").prompts(["dog " * 30])) == [" ".join(["dog"] * 12)]
    assert list(detectors("grounding-dino").prompts(["grey cat 猫"])) == ["grey cat"]


@pytest.mark.parametrize("categories", [[], [""], ["?!"], ["", " ", ""]], ids=str)
def test_without_a_category_anything_is_looked_for(detectors, categories):
    detector = detectors("omdet-turbo")
    assert detector.prompts(categories) == {GENERIC: ""}
    proposals = detector.propose(photo(), categories)
    assert proposals
    check(proposals, {""})


def test_a_category_called_as_the_generic_prompt_keeps_its_name(detectors):
    assert detectors("owlv2").prompts(["Object", ""]) == {GENERIC: "Object"}


def test_many_categories_take_two_looks_and_the_rest_is_looked_for_as_anything(detector):
    looks = []
    hook = detector.model.register_forward_hook(lambda *_: looks.append(1))
    categories = [f"dog {n}" for n in range(500)]
    proposals = detector.propose(photo(), categories)
    hook.remove()
    assert len(looks) == 2
    assert list(detector.prompts(categories)) == [*categories[:MOST_PROMPTS], GENERIC]
    check(proposals, {*categories[:MOST_PROMPTS], ""})


def test_pieces_of_prompts_are_told_apart():
    """Grounding DINO answers with the words that fired, not with the prompt they stand in."""
    prompts = ["grey cat", "golden retriever", "mug"]
    for phrase, prompt in [("cat", 0), ("golden", 1), ("##triever", 1), ("grey cat mug", 0), ("mug", 2)]:
        assert module.nearest_prompt(phrase, prompts) == prompts[prompt]


def test_of_boxes_that_show_one_thing_the_best_stays():
    dog = Proposal((0.1, 0.1, 0.5, 0.5), 0.6, "dog")
    cat = Proposal((0.12, 0.1, 0.5, 0.5), 0.9, "cat")
    part = Proposal((0.1, 0.1, 0.3, 0.3), 0.4, "dog")
    assert module.suppress_overlaps([dog, part, cat]) == [cat, part]
    assert module.suppress_overlaps([]) == []
    grid = [Proposal((x / 40, 0.0, (x + 1) / 40, 1.0), 1 - x / 100, "dog") for x in range(40)]
    assert module.suppress_overlaps(grid[::-1]) == grid[:MOST_PROPOSALS]


def test_photos_may_come_from_several_threads_at_once(detector):
    alone = [detector.propose(photo(), [category]) for category in ("dog", "cat")]
    detector.clear()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(detector.propose, photo(), [category]) for category in ("dog", "cat") * 4]
        for future, wanted in zip(asked, alone * 4, strict=True):
            found = future.result()  # how many threads computed it moves the last digits
            assert [one.category for one in found] == [one.category for one in wanted]
            assert np.allclose([one.box for one in found], [one.box for one in wanted], atol=1e-3)


def test_clearing_forgets_the_categories_asked_for(detectors):
    detector = detectors("omdet-turbo")
    before = detector.propose(photo(), ["dog"])
    assert detector.model.language_cache_class.cache
    detector.clear()
    assert not detector.model.language_cache_class.cache
    assert not detector.model.language_cache_prompt.cache
    assert detector.propose(photo(), ["dog"]) == before


def test_a_checkpoint_of_transformers_4_opens_without_asking_a_hub(folders, tmp_path, monkeypatch):
    """OmDet-Turbo's config on the hub names its backbone, which transformers 5 would look for there."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    folder = shutil.copytree(folders("omdet-turbo"), tmp_path / "omdet")
    config = json.loads((folder / "config.json").read_text())
    inner = config.pop("backbone_config")
    config |= {"backbone_config": None, "backbone": inner["backbone"], "use_timm_backbone": True}
    config["backbone_kwargs"] = {"out_indices": inner["out_indices"]}
    (folder / "config.json").write_text(json.dumps(config))
    processor = json.loads((folder / "processor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(
        json.dumps(processor["image_processor"] | {"processor_class": "OmDetTurboProcessor"})
    )
    (folder / "processor_config.json").unlink()
    assert opened(folder).propose(photo(), ["dog"]) == opened(folders("omdet-turbo")).propose(photo(), ["dog"])


def refused(source) -> str:
    with pytest.raises(ModelError) as error:
        list(Detector(str(source), device="cpu").load())
    said = str(error.value)
    assert str(source) in said
    assert "PERSONAL_DETECTOR takes" in said
    return said


def test_a_model_on_a_hub_that_is_not_here_is_refused_in_words(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "no model hub answered" in refused("nobody-at-all/no-such-detector")


def test_of_the_recommended_one_the_pinned_commit_is_opened(folders, tmp_path, monkeypatch):
    """As a hub's cache keeps it; what its main branch has become is not read."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    kept = tmp_path / f"models--{module.RECOMMENDED.replace('/', '--')}"
    pinned = kept / "snapshots" / module.REVISIONS[module.RECOMMENDED]
    shutil.copytree(folders("omdet-turbo"), pinned)
    later = kept / "snapshots" / ("f" * 40)
    later.mkdir()
    (later / "config.json").write_text('{"model_type": "bert"}')
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(later.name)
    assert opened(module.RECOMMENDED).propose(photo(), ["dog"]) == opened(pinned).propose(photo(), ["dog"])


def test_a_folder_that_is_none_is_refused_in_words(tmp_path):
    assert "not found here" in refused(tmp_path / "nowhere")
    assert "it has no config.json" in refused(tmp_path)


def test_a_model_that_detects_nothing_is_refused_in_words(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": 32}')
    assert "'bert', which does not find things" in refused(tmp_path)


def test_a_config_that_is_none_is_refused_in_words(tmp_path):
    (tmp_path / "config.json").write_text("[1, 2")
    refused(tmp_path)


def test_code_that_comes_with_a_checkpoint_never_runs(folders, tmp_path):
    folder = shutil.copytree(folders("owlvit"), tmp_path / "coded")
    config = json.loads((folder / "config.json").read_text())
    ran = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Evil: pass\n")
    config["auto_map"] = {"AutoConfig": "evil.Evil", "AutoModelForZeroShotObjectDetection": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "evil"}))
    refused(folder)
    (folder / "config.json").write_text(json.dumps(config))
    assert opened(folder).propose(photo(), ["dog"])
    assert not ran.exists()


def test_pickled_weights_are_refused(folders, tmp_path):
    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(folders("owlvit"), tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert "model.safetensors" in refused(folder).partition("PERSONAL_DETECTOR")[0]


def test_weights_that_are_damaged_or_incomplete_are_refused(folders, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(folders("owlvit"), tmp_path / "damaged")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "class_head" in name)
    del weights[name]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert name in refused(folder)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    refused(folder)
    (folder / "model.safetensors").write_bytes(data)
    for file in folder.glob("*processor_config.json"):
        file.unlink()
    refused(folder)


def test_what_goes_wrong_while_looking_is_said_in_words(folders):
    detector = opened(folders("owlvit"))
    detector.processor = None
    with pytest.raises(ModelError, match="could not look at the photo"):
        detector.propose(photo(), ["dog"])
