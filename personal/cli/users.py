"""users: who may sign in where others can reach the app; it may run meanwhile, and sees the change at once."""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys

from personal import compose, settings
from personal.cli.output import emit
from personal.errors import AccountError
from personal.remember.users import Users


def list_all(options: argparse.Namespace, knobs: settings.Settings) -> int:
    rows = [{"name": user.name, "created": user.created} for user in Users(knobs.data_dir).all()]
    if options.json:
        emit(rows)
    elif not rows:
        print("No users yet. Add one: personal users add anna")
    else:
        for row in rows:
            print(f"{row['name']}\t{row['created']}")
    return 0


def add(options: argparse.Namespace, knobs: settings.Settings) -> int:
    users = Users(knobs.data_dir)
    rows = []
    for name in options.names:
        password = _password(options, name)
        user = users.add(name, password)
        rows.append({"name": user.name, **({"password": password} if options.generate else {})})
        if not options.json:
            print(f"Added {user.name}." + (f"\t{password}" if options.generate else ""))
    if options.json:
        emit(rows)
    return 0


def remove(options: argparse.Namespace, knobs: settings.Settings) -> int:
    users = Users(knobs.data_dir)
    user = users.find(options.name)
    if options.erase:
        with compose.build(knobs, holder="the shell") as assistant:
            assistant.erase(user.owner)
    users.remove(user.name)
    if options.json:
        emit({"removed": user.name, "erased": options.erase})
    else:
        kept = "" if options.erase else f" What is theirs stays in {knobs.data_dir / 'owners' / user.owner}."
        print(f"Removed {user.name}.{kept}")
    return 0


def set_password(options: argparse.Namespace, knobs: settings.Settings) -> int:
    users = Users(knobs.data_dir)
    password = _password(options, users.find(options.name).name)
    user = users.set_password(options.name, password)
    if options.json:
        emit({"name": user.name, **({"password": password} if options.generate else {})})
    else:
        said = f" The new password is\t{password}" if options.generate else ""
        print(f"{user.name} is signed out everywhere.{said}")
    return 0


def _password(options: argparse.Namespace, name: str) -> str:
    """Return a password: made up, read from a line of standard input, or typed twice."""
    if options.generate:
        return secrets.token_urlsafe(9)
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"Password of {name}: ")
    if getpass.getpass("Again: ") != password:
        raise AccountError("The two passwords are not the same. Nothing was changed.")
    return password
