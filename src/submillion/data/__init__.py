"""Texts and labels, from wherever they are kept, as checked rows and splits."""

from submillion.data.duplicates import normalise_text, text_hashes
from submillion.data.labels import encode_labels
from submillion.data.read import RawRows, read_rows, stream_rows
from submillion.data.splits import Rows, Splits, load_splits

__all__ = [
    "RawRows",
    "Rows",
    "Splits",
    "encode_labels",
    "load_splits",
    "normalise_text",
    "read_rows",
    "stream_rows",
    "text_hashes",
]
