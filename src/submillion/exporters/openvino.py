"""Format `openvino`: an OpenVINO model, by OpenVINO's own converter."""

import sys
from pathlib import Path

from submillion.exporters.lines import OPENVINO
from submillion.exporters.merge import traced
from submillion.exporters.quiet import quiet_exporters
from submillion.exporters.source import Source


def decline_telemetry() -> None:
    """Keep OpenVINO from reporting to its makers that it is imported, as it does unless it is told not to.

    It then takes the stub that it has for where the reporting package is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def write_openvino(source: Source, folder: Path) -> None:
    """Write `openvino_model.xml` and `.bin` into ``folder``."""
    decline_telemetry()
    import openvino

    with quiet_exporters():
        model = openvino.convert_model(traced(source))
        for port, name in zip(model.inputs, ("input_ids", "attention_mask"), strict=True):
            port.get_tensor().set_names({name})
        model.outputs[0].get_tensor().set_names({"logits"})
        openvino.save_model(model, str(folder / OPENVINO), compress_to_fp16=False)
