"""What can go wrong, in words for people: every message says what happened and what to do about it.

The core raises these; only `personal.ui` and `personal.cli` show them.
"""


class PersonalError(Exception):
    """The base of everything this project raises on purpose; nothing was changed when one is raised."""


def first_line(error: BaseException) -> str:
    """Return the first line of what another library's error says, or its kind."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class ImageError(PersonalError):
    """A file that is no usable picture."""


class ConceptError(PersonalError):
    """A name, an info or a set of views that the library refuses, or a concept that is not there."""


class ImportExportError(PersonalError):
    """An archive or folder that cannot be imported or written."""


class StoreError(PersonalError):
    """The data folder or its index cannot be used: locked, newer than this version, unreachable."""


class ModelError(PersonalError):
    """A model that cannot be assembled, loaded or run."""


class SettingsError(PersonalError):
    """A setting with a value that makes no sense."""


class AccountError(PersonalError):
    """A user, a name or a password that is refused."""
