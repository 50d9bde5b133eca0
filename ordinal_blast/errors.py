"""Errors written for people: one line that says what is wrong, where, and what to do."""

import contextlib
import errno
import textwrap
from collections.abc import Iterator


class UserError(Exception):
    """Something outside the code is wrong (a file, a label, a full disk); the command line exits with 1."""


class UsageError(UserError):
    """The command or its configuration is wrong; the command line exits with 2."""


class NotInstalled(UserError, ImportError):
    """A package that one of our extras brings is not installed."""


def reason(error: BaseException) -> str:
    """What an exception says, as one line: the first line of its text, or its type where it says nothing."""
    said = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "")
    return " ".join(str(said).split()) or type(error).__name__


def is_full(error: OSError) -> bool:
    """Whether the disk, a quota or the longest file of the file system is what refused."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def one_line(error: BaseException) -> str:
    """The error in one line: a UserError in its own words, any other as `Type: message`."""
    if isinstance(error, UserError):
        return " ".join(str(error).split())
    words = textwrap.shorten(str(error), 500, placeholder=" ...")
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


@contextlib.contextmanager
def needs(extra: str) -> Iterator[None]:
    """In this block, a package that is not installed becomes NotInstalled, which says which extra of ours brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __package__:
            raise
        raise NotInstalled(f"{error.name} is not installed: pip install 'ordinal-blast[{extra}]'") from error
