"""Draw a log of training as a picture: loss or reward, smoothed, and the same on held-out photos."""

from __future__ import annotations

import json
from pathlib import Path


def draw(log: Path, out: Path) -> None:
    """Write the learning curves of a JSONL log as a PNG; steps that were repeated after a kill count once."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps = {line["step"]: line for line in lines if "loss" in line and "step" in line}
    kind = "reward" if any("reward" in line for line in steps.values()) else "loss"
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    smooth, values = None, []
    for step in sorted(steps):
        value = steps[step][kind]
        smooth = value if smooth is None else 0.95 * smooth + 0.05 * value
        values.append(smooth)
    axes.plot(sorted(steps), values, label="training, smoothed")
    held_out = {step: line["held_out"] for step, line in steps.items() if "held_out" in line}
    axes.plot(sorted(held_out), [held_out[step] for step in sorted(held_out)], "o-", label="held-out photos")
    axes.set(xlabel="step", ylabel={"loss": "cross-entropy, nats a token", "reward": "CIDEr-D"}[kind])
    axes.legend()
    figure.savefig(out, dpi=100)
    pyplot.close(figure)
