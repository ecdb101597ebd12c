"""A folder as one zip, the same bytes each time."""

import zipfile
from pathlib import Path

from submillion.run import written_atomically

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can hold, in the place of the files' own."""


def write_zip(folder: Path, path: Path) -> None:
    """Write the files of ``folder`` to the zip ``path``, whole or not at all.

    Names, order, times and permissions do not depend on when and by whom the files were written.
    """
    with written_atomically(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(str(file.relative_to(folder)), EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with file.open("rb") as content, archive.open(entry, "w", force_zip64=True) as into:
                while piece := content.read(1 << 20):
                    into.write(piece)
