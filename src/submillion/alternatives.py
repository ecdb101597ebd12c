"""What of a run can answer."""

from collections.abc import Mapping
from typing import Any

TOGETHER = "adapter_and_tfidf"
PARTS = ("adapter", "tfidf_svm")
"""Two that answer together, by that name."""

CHEAPEST_FIRST = ("tfidf_svm", "probe_mean", "probe_first", "adapter", TOGETHER)
"""What cross-validation chooses from: TF-IDF needs no encoder, a probe no adapter; two together cost what both do."""

ANSWERING = ("recommended", *CHEAPEST_FIRST)
"""What may be asked to answer: one of these, or whichever was recommended."""


def what_answers(record: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return what of a run answers unless told otherwise, and why where it is not the adapter for want of a choice.

    Args:
        record: The run's `run.json`.

    >>> what_answers({"recipe": {"evaluation": {"answer_by": "tfidf_svm"}}, "cross_validation": None})
    ('tfidf_svm', 'as its recipe asks')
    """
    asked = record["recipe"]["evaluation"].get("answer_by", "recommended")
    if asked != "recommended":
        return asked, "as its recipe asks"
    recommended = (record["cross_validation"] or {}).get("recommended")
    return ("adapter", None) if recommended is None else (recommended["name"], recommended["reason"])
