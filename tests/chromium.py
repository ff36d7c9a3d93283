"""Find a Chromium for the browser tests, or get one: the system's, else Debian's package, else Playwright's download.

Run as a script by `make test`; `find()` is what the tests ask.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ADVICE = (
    "No Chromium was found and none could be installed. Install one (Debian and Ubuntu: apt-get install chromium; "
    "others: .venv/bin/python -m playwright install chromium), or name its file in PERSONAL_TEST_CHROMIUM."
)


def find() -> str | None:
    """Return the path of a Chromium, or None."""
    named = os.environ.get("PERSONAL_TEST_CHROMIUM")
    if named:
        return named if Path(named).is_file() else None
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    try:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            path = playwright.chromium.executable_path
    except ImportError:
        return None
    return path if Path(path).is_file() else None


def _run(*command: str) -> bool:
    print("+", " ".join(command), flush=True)
    try:
        return subprocess.run(command, check=False, timeout=900, stdin=subprocess.DEVNULL).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _from_debian() -> bool:
    if not shutil.which("apt-get"):
        return False
    root: tuple[str, ...] = () if os.geteuid() == 0 else ("sudo", "-n")
    if root and not shutil.which("sudo"):
        return False
    return _run(*root, "apt-get", "update", "-q") and _run(
        *root, "apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"
    )


def main() -> int:
    """Make sure that there is one; return an exit code."""
    if not find():
        _ = _from_debian() or _run(sys.executable, "-m", "playwright", "install", "chromium")
    found = find()
    print(f"Chromium: {found}" if found else ADVICE)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
