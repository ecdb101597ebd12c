"""Format `openvino`: an OpenVINO model, by OpenVINO's own converter; int8 by NNCF, which calibrates on rows."""

import sys
from collections.abc import Sequence
from functools import partialmethod
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from submillion.data.tokens import tokenize
from submillion.data.windows import Windows
from submillion.exporters.lines import OPENVINO
from submillion.exporters.merge import traced
from submillion.exporters.quiet import quiet_exporters
from submillion.exporters.source import Source


def decline_telemetry() -> None:
    """Keep OpenVINO from reporting to its makers that it is imported, as it does unless it is told not to.

    It then takes the stub that it has for where the reporting package is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def write_openvino(source: Source, folder: Path, calibration: Sequence[str] = ()) -> None:
    """Write `openvino_model.xml` and `.bin` into ``folder``.

    Args:
        source: What is exported.
        folder: Where to.
        calibration: Texts, or pairs of them, by which the scales of int8 activations are set; none: fp32.
    """
    decline_telemetry()
    import openvino

    with quiet_exporters():
        model = openvino.convert_model(traced(source))
        for port, name in zip(model.inputs, ("input_ids", "attention_mask"), strict=True):
            port.get_tensor().set_names({name})
        model.outputs[0].get_tensor().set_names({"logits"})
        if calibration:
            model = quantize(model, source, calibration)
        openvino.save_model(model, str(folder / OPENVINO), compress_to_fp16=False)


def quantize(model: Any, source: Source, texts: Sequence[str]) -> Any:
    """Return the model with int8 weights and activations, the scales of these from ``texts`` (NNCF's post-training way).

    Each text is a batch of its own, so that no padding is counted; of its windows one is taken, of the next text the next.
    """
    import nncf
    from nncf.common.logging.track_progress import track

    saved = source.saved
    rows = tokenize(saved.tokenizer, texts, saved.max_length, saved.stride).input_ids
    if isinstance(rows, Windows):
        rows = rows.windows.take(rows.starts + np.arange(len(rows)) % rows.counts)
    samples = [
        {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        for row in rows
        if (ids := np.array([row], dtype=np.int64)).size
    ]
    without_bars = partialmethod(track.__init__, disable=True)
    with patch.object(track, "__init__", without_bars):
        return nncf.quantize(
            model, nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(samples)
        )
