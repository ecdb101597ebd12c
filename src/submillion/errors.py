"""The errors a user can cause: one line each, never a traceback.

A message names the thing and the value received, what is allowed, and what to do next. Everything that is
not a `SubmillionError` is a bug of this package and keeps its traceback.
"""


class SubmillionError(Exception):
    """Base of every error that a user can cause and mend."""


class ConfigError(SubmillionError, ValueError):
    """A recipe, a flag or an argument does not say what it may say."""


class EncoderNotFound(ConfigError):
    """An encoder is no folder, and neither the hub nor its cache has it; the cause says what was tried."""


class DataError(SubmillionError, ValueError):
    """A data file or column does not hold what it should; names file, row and column."""


class BudgetError(SubmillionError, ValueError):
    """A plan cannot be made within the budget, or what was built differs from the plan."""


class RunError(SubmillionError, OSError):
    """A run folder is missing, incomplete, in use, or not what the command needs."""


class Diverged(RunError):
    """Training led to logits that are not finite."""


def one_line(said: object, most: int | None = None) -> str:
    r"""Return another library's words as one line, for a message of ours to quote.

    Args:
        said: An error, or its words.
        most: Characters that are kept; None: all.

    >>> one_line(ValueError("no such\n    column"))
    'no such column'
    """
    return " ".join(str(said).split())[:most]
