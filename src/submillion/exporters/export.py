"""One export: checked, written beside its place, compared with the run, and only then put there."""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from submillion.data.pairs import text_columns_of
from submillion.disk import check_writable, disk_refusals, replace_folder, temporary_beside
from submillion.errors import ConfigError, RunError
from submillion.exporters.archive import write_zip
from submillion.exporters.gate import EXACT, INT8, Bounds, Figures, passed
from submillion.exporters.lines import Lines
from submillion.exporters.readme import readme
from submillion.exporters.rows import Calibration, export_rows
from submillion.exporters.source import Source, load_source
from submillion.model.readme_lines import ReadmeLines
from submillion.model.saved import save_tokenizer
from submillion.run import read_json, settle, write_json

SCHEMA_VERSION = 1
RECORD = "export.json"

REQUIRED = {
    "peft": (),
    "merged": (),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("openvino",),
}
"""What each format needs of the extra `export`."""

FORMATS = tuple(REQUIRED)
FOR_INT8 = {"onnx": (), "openvino": ("nncf",)}
"""The formats that have an int8 form, and what it needs besides."""

CALIBRATED = "openvino"
"""The format whose int8 form takes its scales from rows."""


def export_run(
    run: str | Path,
    output: str | Path,
    *,
    format: str,
    int8: bool = False,
    zip: bool = False,
    overwrite: bool = False,
    data: Any = None,
    text_columns: Sequence[str] | None = None,
    text_pair_column: str | None = None,
    tolerance: float | None = None,
    changed_labels: float | None = None,
    encoder: str | None = None,
    label_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Export a run, whole or not at all.

    Args:
        run: A finished run folder, or any PEFT adapter of a text classifier.
        output: The folder that is made.
        format: One of `FORMATS`.
        int8: Weights and products in 8 bits, for `FOR_INT8`.
        zip: Write ``output`` with `.zip` added too.
        overwrite: An export that stands there may be replaced.
        data: Rows to compare on, and to calibrate on; default: see `export_rows`.
        text_columns: Where their text stands.
        text_pair_column: Where the second text of a pair stands.
        tolerance: Largest difference of a logit, as a share of their standard deviation; default: of `EXACT` or `INT8`.
        changed_labels: Largest share of rows whose label changes; default likewise.
        encoder: The base's folder or hub id where it now lies elsewhere.
        label_names: For an adapter that carries none.

    Returns:
        What `export.json` says, with the folder, the zip and the notes.

    Raises:
        ConfigError: If what is asked cannot be, or a package is missing.
        RunError: If the run cannot be loaded, ``output`` is taken, or the export differs from the run.
        DataError: If ``data`` cannot be read.
    """
    destination = Path(output)
    _check_asked(format, int8, tolerance, changed_labels)
    archive = destination.with_name(f"{destination.name}.zip") if zip else None
    _check_free(destination, archive, overwrite)
    check_writable(destination, "choose another --output")
    usual = INT8 if int8 else EXACT
    bounds = Bounds(
        usual.tolerance if tolerance is None else tolerance,
        usual.changed_labels if changed_labels is None else changed_labels,
    )
    source = load_source(run, encoder=encoder, label_names=label_names)
    _check_method(source)
    rows, calibration = export_rows(
        source,
        data,
        text_columns_of(text_columns, text_pair_column),
        is_calibrated=int8 and format == CALIBRATED,
    )
    with temporary_beside(destination, is_folder=True) as partial, disk_refusals(destination):
        _write_format(source, partial, format, int8, calibration)
        lines = _write_common(source, partial, format, int8, rows.are_pairs)
        real = replace(lines, encoder=None if source.is_packaged else source.saved.encoder)
        figures = passed(source, real, partial, rows, bounds)
        record = _write_record(source, lines, partial, figures, calibration)
        for file in partial.iterdir():
            settle(file)
        settle(partial)
        replace_folder(partial, destination)
    if archive is not None:
        write_zip(destination, archive)
    return record | {
        "output": str(destination),
        "zip": None if archive is None else str(archive),
        "sentence": figures.sentence,
        "notes": list(source.notes),
    }


def _check_asked(format: str, int8: bool, tolerance: float | None, changed_labels: float | None) -> None:
    if format not in FORMATS:
        raise ConfigError(f"format={format!r} is not one of {', '.join(FORMATS)}")
    if int8 and format not in FOR_INT8:
        raise ConfigError(
            f"int8 is for the formats {' and '.join(FOR_INT8)}, not for {format!r}: leave it out"
        )
    if tolerance is not None and not tolerance >= 0:
        raise ConfigError(f"tolerance={tolerance:g} must be a number of at least 0")
    if changed_labels is not None and not 0 <= changed_labels <= 1:
        raise ConfigError(f"changed_labels={changed_labels:g} must be a share from 0 to 1")
    if missing := [name for name in _required(format, int8) if find_spec(name) is None]:
        asked = f"format={format!r}{' with int8' if int8 else ''}"
        raise ConfigError(f"{asked} needs {', '.join(missing)}: pip install 'submillion[export]'")


def _required(format: str, int8: bool) -> tuple[str, ...]:
    return (*REQUIRED[format], *(FOR_INT8[format] if int8 else ()))


def _check_free(destination: Path, archive: Path | None, overwrite: bool) -> None:
    """Refuse to write over what is there; even when told to, only an export is replaced."""
    if destination.exists():
        is_folder = destination.is_dir()
        is_empty = is_folder and not any(destination.iterdir())
        if not is_empty and not (overwrite and is_folder and (destination / RECORD).is_file()):
            hint = (
                f"it holds no {RECORD}, so it is not replaced; choose another --output"
                if overwrite
                else "choose another --output, or replace an export by --overwrite"
            )
            raise RunError(f"{destination} exists and is not an empty folder: {hint}")
    if archive is not None and archive.exists() and not (overwrite and archive.is_file()):
        raise RunError(f"{archive} exists: choose another --output, or replace it by --overwrite")


def _check_method(source: Source) -> None:
    """Refuse a run of virtual tokens.

    Raises:
        ConfigError: If it is one.
    """
    if source.saved.model.encoder.active_peft_config.is_prompt_learning:
        raise ConfigError(
            f"{source.adapter} is of method='prompt_tuning', whose virtual tokens do not merge into the encoder: use the adapter "
            "folder itself, whose README holds the lines that load it with transformers and PEFT"
        )


def _write_format(source: Source, folder: Path, format: str, int8: bool, calibration: Calibration) -> None:
    """Write what is the format's own; each imports its own packages."""
    if format == "peft":
        from submillion.exporters.peft import write_peft

        write_peft(source, folder)
    elif format == "merged":
        from submillion.exporters.merged import write_merged

        write_merged(source, folder)
    elif format == "onnx":
        from submillion.exporters.onnx import write_onnx

        write_onnx(source, folder, int8=int8)
    else:
        from submillion.exporters.openvino import write_openvino

        write_openvino(source, folder, calibration.texts)


def _write_common(source: Source, folder: Path, format: str, int8: bool, are_pairs: bool) -> Lines:
    """Write the tokenizer and the config; return the README's lines."""
    saved = source.saved
    save_tokenizer(saved.tokenizer, folder, saved.max_length, are_pairs)
    tokenizer_config = read_json(folder / "tokenizer_config.json")
    write_json(
        folder / "tokenizer_config.json",
        {name: value for name, value in tokenizer_config.items() if name != "name_or_path"},
    )
    if format in ("onnx", "openvino"):
        config = copy.deepcopy(saved.model.config)
        source.put_labels_into(config)
        config.save_pretrained(str(folder))
    return Lines(
        format=format,
        common=ReadmeLines(
            saved.label_names,
            saved.max_length,
            source.pooling == "mean",
            are_pairs,
            saved.stride,
            saved.threshold,
        ),
        pad_token_id=int(saved.model.config.pad_token_id or 0),
        temperature=source.temperature,
        encoder=None if source.is_packaged else source.model_name,
        is_int8=int8,
    )


def _write_record(
    source: Source, lines: Lines, folder: Path, figures: Figures, calibration: Calibration
) -> dict[str, Any]:
    """Write README.md and export.json; return the latter."""
    precision = "int8" if lines.is_int8 else "fp32"
    told = [
        f"Made in {precision}; {figures.sentence}.",
        *([f"{calibration.sentence}."] if calibration.texts else []),
        *(f"{note[0].upper()}{note[1:]}." for note in source.notes),
    ]
    (folder / "README.md").write_text(readme(lines, source.model_name, told), encoding="utf-8")
    packages = ("submillion", "torch", "transformers", "peft", *_required(lines.format, lines.is_int8))
    record = {
        "schema_version": SCHEMA_VERSION,
        "format": lines.format,
        "precision": precision,
        "model": source.model_name,
        "pooling": source.pooling,
        "label_names": list(lines.common.label_names),
        "label_values": list(source.saved.label_values),
        "max_length": lines.common.max_length,
        "text_pairs": lines.common.are_pairs,
        "windows": None if lines.common.stride is None else "mean",
        "stride": lines.common.stride,
        "temperature": lines.temperature,
        "problem_type": source.saved.problem_type,
        "threshold": source.saved.threshold,
        "gate": figures.to_json(),
        "calibration": calibration.to_json(),
        "versions": {name: version(name) for name in packages},
        "files": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())
        },
    }
    write_json(folder / RECORD, record)
    return record
