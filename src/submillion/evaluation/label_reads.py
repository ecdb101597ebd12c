"""Which split of the run the rows are, and the note of each read of the test split's labels."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from submillion.data import RawRows
from submillion.data.duplicates import sha256_of_hashes
from submillion.disk import check_writable
from submillion.run import RunFolder

NOTE_WAIT_S = 30
"""How long an evaluation waits for another one that notes its own read, in seconds."""


def note_read(
    folder: RunFolder, record: dict[str, Any], rows: RawRows, hashes: Sequence[str], purpose: str
) -> dict[str, Any]:
    """Note a read of the test split's labels in the run; return what the report says of the split."""
    sha256 = sha256_of_hashes(hashes)
    known = {record["data"]["test_sha256"]: "test"} | {
        split["sha256"]: name for name, split in record["data"]["splits"].items() if name != "test"
    }
    split = known.get(sha256)
    if split == "test":
        read = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "purpose": purpose,
            "n": len(rows.texts),
        }
        check_writable(
            folder.path, "the read of its test rows must be noted there, so copy the run to where it can"
        )
        with folder.held(wait_s=NOTE_WAIT_S):  # another evaluation may note its own
            record = folder.update(test_reads=[*folder.read()["test_reads"], read])
    labelled = zip(hashes, rows.labels or [], strict=True)
    ordered = hashlib.sha256("\n".join(f"{text} {label}" for text, label in labelled).encode()).hexdigest()
    return {
        "split": split,
        "sha256": sha256,
        "ordered_sha256": ordered,
        "test_reads": record["test_reads"] if split == "test" else None,
    }
