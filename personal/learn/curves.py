"""Draw the learning curves of a run's log: loss or reward, smoothed, and the same on held-out photos."""

from __future__ import annotations

from pathlib import Path

from personal.learn.train import read_log

SMOOTHING = 0.95
"""Factor of the exponential moving average."""


def draw_curves(log: Path, out: Path) -> None:
    """Write a PNG of the learning curves; steps that were repeated after a kill count once."""
    from matplotlib.figure import Figure

    steps = {line["step"]: line for line in read_log(log) if "loss" in line and "step" in line}
    kind = "reward" if any("reward" in line for line in steps.values()) else "loss"
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    average, values = None, []
    for step in sorted(steps):
        value = steps[step][kind]
        average = value if average is None else SMOOTHING * average + (1 - SMOOTHING) * value
        values.append(average)
    axes.plot(sorted(steps), values, label="training, smoothed")
    held_out = {step: steps[step]["held_out"] for step in sorted(steps) if "held_out" in steps[step]}
    axes.plot(list(held_out), list(held_out.values()), "o-", label="held-out photos")
    axes.set(xlabel="step", ylabel={"loss": "cross-entropy, nats a token", "reward": "CIDEr-D"}[kind])
    axes.legend()
    figure.savefig(out, dpi=100)
