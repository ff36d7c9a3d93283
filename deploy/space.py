"""Prepare a folder to push to a Hugging Face Space: `make space`, or `make space HARDWARE=gpu` (cpu, gpu or zero)."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = (
    "app.py",
    "requirements.txt",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "PRIVACY.md",
    "assets",
    "personal",
    "docs",
)
HARDWARE = {"cpu": "cpu-basic", "gpu": "t4-small", "zero": "zero-a10g"}
"""What is asked for → what Hugging Face calls it."""
MODELS = {"cpu": "personal-tiny", "gpu": "auto", "zero": "auto"}
"""The language model where nobody sets PERSONAL_MODEL: on a CPU that of the app itself, elsewhere what fits."""


def prepare(folder: Path, hardware: str) -> None:
    """Write the folder, which must be new or one that this wrote before."""
    if folder.exists() and any(folder.iterdir()) and not (folder / ".env").is_file():
        raise SystemExit(f"{folder} holds something else. Name another folder.")
    for name in FILES:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    readme = folder / "README.md"
    readme.write_text(_front_matter(readme.read_text(encoding="utf-8"), hardware), encoding="utf-8")
    if hardware == "zero":
        version = re.search(r"^spaces==\S+$", (ROOT / "requirements-dev.txt").read_text(encoding="utf-8"), re.MULTILINE)
        with (folder / "requirements.txt").open("a", encoding="utf-8") as stream:
            stream.write(f"{version[0]}\n" if version else "spaces\n")
    (folder / ".env").write_text(f"PERSONAL_MODEL={MODELS[hardware]}\n", encoding="utf-8")


def _front_matter(readme: str, hardware: str) -> str:
    """Add to the README's front matter what the hardware needs, and signing in with Hugging Face's accounts."""
    python = {"zero": "3.12"}.get(hardware, "3.11")
    readme = re.sub(r'^python_version: ".*"$', f'python_version: "{python}"', readme, count=1, flags=re.MULTILINE)
    more = f"suggested_hardware: {HARDWARE[hardware]}\nhf_oauth: true\nhf_oauth_expiration_minutes: 43200\n---\n"
    head, _, rest = readme.removeprefix("---\n").partition("---\n")
    return f"---\n{head}{more}{rest}"


def main() -> None:
    """Read the command line, and prepare the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("hardware", choices=HARDWARE, nargs="?", default="cpu")
    options = parser.parse_args()
    prepare(options.folder, options.hardware)
    print(f"{options.folder} is ready: push it to a Gradio Space.")


if __name__ == "__main__":
    main()
