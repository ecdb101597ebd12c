"""Exporters that log, warn and draw progress bars of what concerns their makers alone."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Hold back logs below an error, warnings, and what is printed: the gate says whether an export is right."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
