"""`python -m personal.study new|check|simulate|report|export`: user studies from a shell."""

from __future__ import annotations

import argparse
import sys

from personal import proxies, terminal
from personal.errors import PersonalError
from personal.study.commands import add_commands


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Return the exit code: 0 done, 1 a PersonalError; wrong usage exits with 2."""
    terminal.prepare()
    proxies.prepare()
    parser = argparse.ArgumentParser(
        prog="python -m personal.study", description="Design, run and analyse a user study."
    )
    add_commands(parser)
    options = parser.parse_args(arguments)
    try:
        code: int = options.run_study(options)
        return code
    except PersonalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
