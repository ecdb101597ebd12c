"""An audit, from files to a ranked list of rows to look at."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from submillion.auditing.duplicates import Duplicates, find_duplicates
from submillion.auditing.encoded import Encoded, encode_rows
from submillion.auditing.finding import ISSUES, Finding, ranked
from submillion.auditing.label_errors import (
    LEAST_ROWS,
    N_FOLDS,
    OutOfFold,
    find_label_errors,
    out_of_fold,
    recall_over_chance,
)
from submillion.auditing.plain import describe_balance, describe_lengths, find_nearly_empty, find_too_long
from submillion.auditing.sources import UNREAD, AuditedRows, name_splits, read_splits
from submillion.auditing.written import WRITTEN, write_audit
from submillion.disk import check_not_read, check_writable
from submillion.errors import ConfigError
from submillion.recipe import DEFAULT_MODEL


def audit_rows(
    data: Sequence[Any],
    *,
    validation: Any = None,
    test: Any = None,
    output: str | Path = "audit",
    model: str = DEFAULT_MODEL,
    without_encoder: bool = False,
    text_columns: Sequence[str] | None = None,
    label_column: str | None = None,
    has_texts: bool = True,
    seed: int = 42,
    say: Callable[[str], None] = lambda sentence: None,
) -> dict[str, Any]:
    """Look for what is wrong with rows; keep and return what was found.

    Args:
        data: Files, or rows in memory: one is train, of several each is a split named after its file.
        validation: Rows of a further split.
        test: Rows of the test split; its labels are not read.
        output: The folder that takes `issues.csv`, `audit.html` and `audit.json`.
        model: The encoder whose limit the lengths are measured by, and whose embeddings label errors are found by.
        without_encoder: Find label errors by TF-IDF, and count no tokens.
        text_columns: As in `read_rows`, for every split.
        label_column: As in `read_rows`, for every split but test.
        has_texts: Whether `issues.csv` and `audit.html` show texts.
        seed: Seed of signatures, folds and solvers.
        say: Told what takes long, before it starts.

    Raises:
        DataError: If rows cannot be read.
        ConfigError: If the extra is not installed, the encoder is not here, or there is nothing to audit.
        RunError: If the output cannot be written.
    """
    _check_extra()
    check_writable(Path(output), "name another folder by --output")
    check_not_read(Path(output), WRITTEN, [*data, validation, test])
    rows = read_splits(name_splits(data, validation, test), text_columns, label_column)
    seconds = dict[str, float]()
    started = time.perf_counter()
    duplicates = find_duplicates(rows, seed)
    seconds["duplicates"] = round(time.perf_counter() - started, 1)
    encoded = None if without_encoder else encode_rows(model, rows.texts)
    lengths = None if encoded is None else encoded.lengths
    limit = None if encoded is None else encoded.limit
    findings = [*duplicates.findings, *find_nearly_empty(rows.texts)]
    if lengths is not None and limit is not None:
        findings += find_too_long(lengths, limit)
    started = time.perf_counter()
    errors, notes, looked = _label_errors(rows, duplicates, encoded, seed, say)
    seconds["label_errors"] = round(time.perf_counter() - started, 1)
    balance, mind = describe_balance(rows) if rows.names else ([], [])
    found = ranked([*findings, *errors])
    report = {
        "n": len(rows),
        "splits": [_split(rows, place) for place in range(len(rows.splits))],
        "issues": _counts(found, rows),
        "label_errors": looked,
        "balance": balance,
        "lengths": describe_lengths(rows, lengths, limit),
        "notes": [*rows.notes, *mind, *notes],
        "seed": seed,
        "seconds": seconds,
        "output": str(output),
    }
    write_audit(Path(output), report, rows, found, has_texts)
    return report


def _check_extra() -> None:
    """Refuse before anything is read."""
    from importlib.util import find_spec

    missing = [name for name in ("cleanlab", "rensa") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"audit needs {' and '.join(missing)}: pip install 'submillion[audit]'")


def _split(rows: AuditedRows, place: int) -> dict[str, Any]:
    split = rows.splits[place]
    return {
        "name": split.name,
        "source": split.source,
        "n": split.n_rows,
        "labels_read": split.has_labels,
    }


def _counts(found: Sequence[Finding], rows: AuditedRows) -> list[dict[str, Any]]:
    """Return how many rows each issue has, in each split, in the order of `ISSUES`."""
    names = [split.name for split in rows.splits]
    counts = Counter((each.issue, names[rows.split_of[each.place]]) for each in found)
    return [
        {
            "issue": issue,
            "means": means,
            "n": sum(counts[issue, name] for name in names),
            "by_split": {name: counts[issue, name] for name in names},
        }
        for issue, means in ISSUES.items()
    ]


def _label_errors(
    rows: AuditedRows,
    duplicates: Duplicates,
    encoded: Encoded | None,
    seed: int,
    say: Callable[[str], None],
) -> tuple[list[Finding], list[str], dict[str, Any] | None]:
    """Return labels that are likely wrong, what to know of it, and what they were found by; None where nothing was."""
    places = np.flatnonzero((rows.codes != UNREAD) & np.array([bool(text.strip()) for text in rows.texts]))
    present, codes = np.unique(rows.codes[places], return_inverse=True)
    if len(present) < 2 or len(np.unique(duplicates.groups[places])) < 2 * N_FOLDS:
        why = "no label was looked at: at least two labels and ten different texts that have one are needed."
        return [], [why] if len(places) else [], None
    texts = [rows.texts[place] for place in places.tolist()]
    if encoded is None:
        by, score = "TF-IDF and a linear SVM", _by_tfidf(texts, codes, len(present), seed)
    else:
        by = f"a linear probe on the frozen {encoded.model}'s mean of tokens"
        score = _by_probe(encoded.embed(places, say), codes, len(present), seed)
    probabilities = out_of_fold(score, codes, duplicates.groups[places], len(present), seed)
    findings = [
        Finding(int(places[each.place]), each.issue, each.score, int(present[each.suggested or 0]))
        for each in find_label_errors(codes, probabilities)
    ]
    looked = {
        "by": by,
        "folds": N_FOLDS,
        "n": len(places),
        "agrees": float((probabilities.argmax(axis=1) == codes).mean()),
        "least_rows_a_label": LEAST_ROWS,
    }
    recall, chance, is_better = recall_over_chance(codes, probabilities)
    if is_better:
        return findings, [], looked
    note = (
        f"no label errors are listed: {by} cannot tell these labels apart (it finds {100 * recall:.1f} % of each label's rows "
        f"on average, chance {100 * chance:.1f} %); try another encoder by --model."
    )
    return [], [note], looked


def _by_tfidf(texts: Sequence[str], codes: np.ndarray, n_labels: int, seed: int) -> OutOfFold:
    from submillion.baselines import fit_tfidf_svm

    def score(fitted: np.ndarray, left_out: np.ndarray) -> np.ndarray:
        svm = fit_tfidf_svm([texts[place] for place in fitted.tolist()], codes[fitted], n_labels, seed)
        return svm.scores([texts[place] for place in left_out.tolist()], {})

    return score


def _by_probe(embeddings: np.ndarray, codes: np.ndarray, n_labels: int, seed: int) -> OutOfFold:
    from submillion.probe import fit_probe

    def score(fitted: np.ndarray, left_out: np.ndarray) -> np.ndarray:
        probe = fit_probe(embeddings[fitted], codes[fitted], n_labels, seed, "unit", pooling="mean")
        return probe.scores([], {"mean": embeddings[left_out]})

    return score
