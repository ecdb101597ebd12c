"""Format `peft`: the adapter as it stands, without where its base lies on this machine."""

import shutil
from pathlib import Path

from submillion.exporters.source import Source
from submillion.model.files import HEAD, NAMES, WEIGHTS
from submillion.run import read_json, write_json


def write_peft(source: Source, folder: Path) -> None:
    """Write the adapter, the head and the names into ``folder``."""
    for name in (WEIGHTS, HEAD):
        if (source.adapter / name).is_file():
            shutil.copyfile(source.adapter / name, folder / name)
    config = read_json(source.adapter / "adapter_config.json")
    write_json(folder / "adapter_config.json", config | {"base_model_name_or_path": source.model_name})
    if (source.adapter / NAMES).is_file():
        names = read_json(source.adapter / NAMES) | {"model": source.model_name}
        if source.saved.threshold is None:  # an earlier version kept it in the run alone
            names["temperature"] = source.temperature
        write_json(folder / NAMES, names)
