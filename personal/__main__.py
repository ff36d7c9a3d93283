"""`python -m personal`: the shell's way in."""

import sys

from personal.cli import main

if __name__ == "__main__":
    sys.exit(main())
