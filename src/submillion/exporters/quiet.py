"""Exporters that log and warn of what concerns their makers alone."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Hold back logs below an error, and warnings: the gate says whether an export is right.

    Both are the process's, so that exports in several threads wait for each other here.
    """
    with _ONE_AT_A_TIME:
        disabled = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.disable(disabled)
