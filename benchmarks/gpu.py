"""Measure full-size models on a GPU: `python -m benchmarks.gpu [--models ID …] [--bits 4 16]` → JSON, a table.

Speed and memory do not depend on what the weights are: they are drawn at random from the published configuration, and
nothing is downloaded. Batch 1, a prompt of 1,024 tokens, greedy, 128 tokens: first token, tokens a second, peak memory,
and the share of the memory bandwidth that is used (bytes of weights read for a token, times tokens a second, over the
bandwidth that copying a large tensor shows).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from personal.generate.models import find_model
from personal.generate.quantization import nf4_config

MODELS = ("Qwen/Qwen3-VL-8B-Instruct", "llava-hf/llava-1.5-7b-hf")
PROMPT, TOKENS = 1024, 128
DEVICE = "cuda"
SAVED = Path(__file__).parent / "gpu.json"


def bandwidth(gigabytes: int = 4) -> float:
    """Bytes a second that copying a tensor reads and writes."""
    source = torch.empty(gigabytes * 2**30, dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(6):
        torch.cuda.synchronize()
        began = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return 2 * source.numel() / statistics.median(seconds[1:])


def opened(model_id: str, bits: int) -> Any:
    """Draw a model of the published shape on the GPU; in 4 bits its matrices are quantised as the app does."""
    from transformers import CONFIG_MAPPING, AutoModelForImageTextToText
    from transformers.integrations import replace_with_bnb_linear

    found = find_model(model_id)
    if found is None:
        raise SystemExit(f"{model_id} is not in the catalogue.")
    config = CONFIG_MAPPING[found.config["model_type"]].from_dict(dict(found.config))
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
        if bits == 4:
            quantization = nf4_config(torch.bfloat16)
            model = replace_with_bnb_linear(
                model, modules_to_not_convert=quantization.llm_int8_skip_modules, quantization_config=quantization
            )
    _materialise(model)
    torch.set_default_dtype(torch.float32)
    return model.eval()


def _materialise(model: Any) -> None:
    """Put random weights where a model has none, module by module; bitsandbytes quantises what comes to the GPU."""
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            drawn = torch.randn(parameter.shape, dtype=torch.bfloat16, device="cpu") * 0.02
            if type(parameter) is torch.nn.Parameter:
                setattr(module, name, torch.nn.Parameter(drawn.to(DEVICE), requires_grad=False))
            else:
                options = parameter.__dict__
                setattr(module, name, type(parameter)(drawn, requires_grad=False, **options).to(DEVICE))
        for name, buffer in list(module.named_buffers(recurse=False)):
            if buffer.is_meta:
                module.register_buffer(name, torch.zeros(buffer.shape, dtype=buffer.dtype, device=DEVICE), False)
    for module in model.modules():
        if (
            hasattr(module, "inv_freq")
            and hasattr(module, "config")
            and hasattr(module, "compute_default_rope_parameters")
        ):
            module.inv_freq = module.compute_default_rope_parameters(module.config, DEVICE)[0]
    model.tie_weights()


def weights_read(model: Any) -> int:
    """Bytes of weights that one token reads: the language model's, without the table of words."""
    text, head = model.get_decoder(), model.get_output_embeddings()
    table = {id(p) for p in model.get_input_embeddings().parameters()} - {id(p) for p in head.parameters()}
    parameters = {id(p): p for p in (*text.parameters(), *head.parameters()) if id(p) not in table}
    return sum(p.numel() * p.element_size() for p in parameters.values())


def measure(model_id: str, bits: int, copied: float) -> dict[str, Any]:
    """Measure one model."""
    torch.cuda.reset_peak_memory_stats()
    model = opened(model_id, bits)
    ids = torch.randint(100, 20_000, (1, PROMPT), device=DEVICE)
    options = {"attention_mask": torch.ones_like(ids), "do_sample": False, "eos_token_id": -1, "pad_token_id": 0}
    firsts, rates = [], []
    for _ in range(4):
        seconds = []
        for tokens in (1, TOKENS):
            torch.cuda.synchronize()
            began = time.perf_counter()
            with torch.inference_mode():
                model.generate(ids, max_new_tokens=tokens, min_new_tokens=tokens, **options)
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
        firsts.append(seconds[0])
        rates.append((TOKENS - 1) / (seconds[1] - seconds[0]))
    rate = statistics.median(rates[1:])
    return {
        "first_token_s": round(statistics.median(firsts[1:]), 3),
        "tokens_per_s": round(rate, 1),
        "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2),
        "share_of_bandwidth": round(rate * weights_read(model) / copied, 3),
    }


def main() -> None:
    """Measure every model in every number of bits, print a table, save JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--bits", nargs="+", type=int, choices=(4, 16), default=[4, 16])
    parser.add_argument("--json", type=Path, default=SAVED)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device here; nothing was measured.")
    copied = bandwidth()
    report: dict[str, Any] = {
        "machine": torch.cuda.get_device_name(),
        "copied_gb_per_s": round(copied / 1e9),
        "models": {},
    }
    for model_id in options.models:
        for bits in options.bits:
            report["models"][f"{model_id} {bits} bits"] = found = measure(model_id, bits, copied)
            print(f"| {model_id} | {bits} | {' | '.join(str(value) for value in found.values())} |")
            torch.cuda.empty_cache()
    options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
