"""Start the app: settings → Assistant → page. This is what `make run` and a Space start: `personal serve`."""

import sys

from personal.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve"]))
