"""Assemble the embedded default ahead of time: `python -m personal.tiny [--cache-dir DIR]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from personal import proxies, terminal
from personal.errors import PersonalError
from personal.settings import load
from personal.tiny.assemble import assemble, encoder_dir, mllm_dir


def main() -> int:
    """Show progress on stderr and the two folders on stdout; return the exit code."""
    terminal.prepare()
    proxies.prepare()
    parser = argparse.ArgumentParser(prog="python -m personal.tiny", description="Assemble the embedded default model.")
    parser.add_argument("--cache-dir", type=Path, help="where to keep it (default: PERSONAL_CACHE_DIR, or the user's)")
    try:
        cache_dir = load(cache_dir=parser.parse_args().cache_dir).cache_dir
        said = ""
        for progress in assemble(cache_dir):
            if progress.text != said:
                said = progress.text
                print(f"[{progress.done}/{progress.total}] {said}", file=sys.stderr, flush=True)
    except PersonalError as error:
        print(error, file=sys.stderr)
        return 1
    print(encoder_dir(cache_dir), mllm_dir(cache_dir), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
