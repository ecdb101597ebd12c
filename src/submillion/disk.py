"""What a disk refuses, said in one line; and temporary files that a kill leaves behind, removed by the next who writes."""

import ctypes
import errno
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from submillion.errors import RunError, SubmillionError

_FREE_SOME = "free some there (train and search then go on with --resume), or name another place"

_ADVICE = {
    errno.ENOSPC: _FREE_SOME,
    errno.EDQUOT: _FREE_SOME,
    errno.EFBIG: "name another place",
    errno.EROFS: "name another place",
    errno.EACCES: "change its permissions, or name another place",
    errno.EPERM: "change its permissions, or name another place",
    errno.EIO: "the disk or its connection fails; name another place",
    errno.ESTALE: "the disk or its connection fails; name another place",
}

_TOLD = {
    "os error 28": errno.ENOSPC,  # safetensors
    "No space left on device": errno.ENOSPC,
    "database or disk is full": errno.ENOSPC,  # SQLite
    "attempt to write a readonly database": errno.EROFS,
    "disk I/O error": errno.EIO,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
    "inline_container.cc": errno.ENOSPC,  # torch.save: a file that came out shorter than what was written
    "iostream error": errno.ENOSPC,  # torch.save: the end of the file cannot be written
}
"""What libraries say that do not raise an OSError with its number."""

_NOT_OURS = (errno.EACCES, errno.EPERM)
"""Also raised where something is read; then only the file that the error names is to blame."""


def refusal(error: BaseException) -> str | None:
    """Return what the disk refused and what to do, where that is what an error comes from; None for any other error.

    >>> refusal(OSError(28, "Error writing bytes to file"))
    'No space left on device: free some there (train and search then go on with --resume), or name another place'
    >>> refusal(RuntimeError("shapes differ")) is None
    True
    """
    number = _number(error)
    return None if number is None else f"{os.strerror(number)}: {_ADVICE[number]}"


def _number(error: BaseException | None) -> int | None:
    """Return the number of the disk's error behind an error, of those that there is advice for."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _ADVICE:
            return error.errno
        if not isinstance(error, OSError):
            for words, number in _TOLD.items():
                if words in str(error):
                    return number
        error = error.__cause__
    return None


@contextmanager
def disk_refusals(path: Path) -> Iterator[None]:
    """Turn what the disk refuses in the block into one line that names ``path``, which the block writes.

    Raises:
        RunError: If the disk is full, cannot be written, or fails.
    """
    try:
        yield
    except SubmillionError:
        raise
    except Exception as error:
        number = _number(error)
        if number is None or (number in _NOT_OURS and not _is_below(error, path.parent)):
            raise
        raise RunError(f"{path} cannot be written: {refusal(error)}") from error


def _is_below(error: Exception, folder: Path) -> bool:
    name = getattr(error, "filename", None)
    return isinstance(name, str | os.PathLike) and Path(name).absolute().is_relative_to(folder.absolute())


def check_writable(path: Path, what_to_do: str) -> None:
    """Refuse early what a long computation could not be written to at its end.

    Args:
        path: A folder, there or to be made.
        what_to_do: Ends the message.

    Raises:
        RunError: If it, or the nearest folder above that is there, takes no new file.
    """
    found = path.absolute()
    while not found.exists():
        found = found.parent
    if not found.is_dir():
        raise RunError(f"{path} cannot be made: {found} is a file: {what_to_do}")
    try:
        with tempfile.TemporaryFile(dir=found):
            pass
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}: {what_to_do}") from None


def check_not_read(folder: Path, written: Collection[str], sources: Iterable[Any]) -> None:
    """Refuse to write over a file that is read.

    Args:
        folder: What is written into.
        written: Names of the files that are written there.
        sources: What is read; what is no file of this machine is passed over.

    Raises:
        RunError: Names the file.
    """
    for source in sources:
        if not isinstance(source, str | os.PathLike):
            continue
        for name in written:
            try:
                is_same = os.path.samefile(folder / name, Path(source).expanduser())
            except (OSError, ValueError):  # one of them is not there
                continue
            if is_same:
                raise RunError(
                    f"{folder / name} is a file that is read, and would be written over: name another folder by --output"
                )


@contextmanager
def temporary_beside(path: Path, *, is_folder: bool = False) -> Iterator[Path]:
    """Yield a temporary file or folder beside ``path``; whatever is still there at the end is removed.

    Its writer holds a lock on it, which the system drops when the writer is killed: so the next who writes ``path`` knows
    what was left behind, and removes it.

    Raises:
        RunError: Before the block, if there cannot be one.
    """
    prefix, suffix = f".{path.name}.", "" if is_folder else path.suffix
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_folder:
            name = tempfile.mkdtemp(dir=path.parent, prefix=prefix)
            handle = os.open(name, os.O_RDONLY)
        else:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0)
        raise RunError(
            f"{path} cannot be written: {error.strerror}{f': {advice}' if advice else ''}"
        ) from None
    temporary = Path(name)
    try:
        with suppress(OSError):  # a file system without locks keeps what is left behind
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove_left_over(temporary, prefix, suffix)
        yield temporary
    finally:
        os.close(handle)
        _remove(temporary)


def _remove_left_over(own: Path, prefix: str, suffix: str) -> None:
    """Remove the temporaries of the same file that nobody holds any more."""
    for path in own.parent.glob(f"{glob.escape(prefix)}????????{glob.escape(suffix)}"):
        if path == own:
            continue
        with suppress(OSError):  # held, or just gone
            handle = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(handle)


def replace_folder(new: Path, folder: Path) -> None:
    """Put ``new`` in the place of ``folder``, where the system can (Linux) in one step: a kill leaves the one or the other whole.

    Elsewhere a kill in that instant leaves nothing at ``folder``, and the old one beside it.
    """
    if not folder.exists():
        os.replace(new, folder)
    elif _exchange(new, folder):
        _remove(new)
    else:
        with temporary_beside(folder, is_folder=True) as old:
            os.replace(folder, old)
            os.replace(new, folder)


def _exchange(first: Path, second: Path) -> bool:
    """Let two paths change places in one step, and say whether this system could."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)
    if renameat2 is None:
        return False
    return bool(renameat2(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
