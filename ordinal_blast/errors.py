"""Errors written for people: one line that says what is wrong, where, and what to do."""


class UserError(Exception):
    """Something outside the code is wrong (a file, a label, a full disk); the command line exits with 1."""


class UsageError(UserError):
    """The command or its configuration is wrong; the command line exits with 2."""
