"""The same verbs from a shell: parse, call one Assistant method, print. `--json` prints JSON and nothing else.

Exit codes: 0 done, 1 a PersonalError (its message on stderr, nothing changed), 2 wrong usage.
"""

from __future__ import annotations

import os
import sys

from personal import logs, proxies, settings, terminal
from personal.cli.parser import build_parser
from personal.errors import PersonalError, SettingsError

__all__ = ["build_parser", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    terminal.prepare()
    options = build_parser().parse_args(arguments)
    try:
        knobs = settings.load(data_dir=settings.folder("--data-dir", options.data_dir) if options.data_dir else None)
        logs.configure(knobs.log, verbose=options.command == "serve")
        proxies.prepare(knobs.host)
        code: int = options.run(options, knobs)
        if sys.stdout:
            sys.stdout.flush()
        return code
    except PersonalError as error:
        if not isinstance(error, SettingsError):  # a bad setting is one line
            logs.report(error)
        print(f"personal: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read the output has gone, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("personal: stopped", file=sys.stderr)
        return 130
