"""What is exported: the adapter of a run, or any PEFT adapter of a text classifier, in fp32."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submillion.alternatives import what_answers
from submillion.encoders import packaged_default
from submillion.model.files import NAMES
from submillion.model.saved import SavedClassifier, load_saved
from submillion.prediction.load import load_exact
from submillion.run import RunFolder, read_json
from submillion.temperature import temperature_of


@dataclass(frozen=True)
class Source:
    """What is exported, and what the export is compared with.

    Attributes:
        adapter: The adapter's folder.
        saved: The same, loaded in fp32.
        model_name: How the base is called: a hub id, or the name of a folder without where it lies.
        temperature: What logits are divided by before the softmax; 1 where none was fitted.
        folder: The run; None for an adapter alone.
        record: Its `run.json`.
    """

    adapter: Path
    saved: SavedClassifier
    model_name: str
    temperature: float = 1.0
    folder: RunFolder | None = None
    record: Mapping[str, Any] | None = None

    @property
    def pooling(self) -> str:
        """``first`` or ``mean``."""
        return "first" if self.saved.model.head is None else "mean"

    def put_labels_into(self, config: Any) -> None:
        """Write the labels' names, and whether a row may have several, into an encoder's config."""
        config.id2label = dict(enumerate(self.saved.label_names))
        config.label2id = {name: index for index, name in enumerate(self.saved.label_names)}
        config.problem_type = self.saved.problem_type

    @property
    def is_packaged(self) -> bool:
        """Whether the base is the default encoder of the pip package."""
        return self.saved.encoder == packaged_default()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the export before it is used."""
        name, reason = ("adapter", None) if self.record is None else what_answers(self.record)
        if name == "adapter":
            return ()
        return (f"`submillion predict` answers by {name} ({reason}); what is exported is the adapter",)


def load_source(
    path: str | Path, *, encoder: str | None = None, label_names: Sequence[str] | None = None
) -> Source:
    """Load a finished run, or any PEFT adapter of a text classifier.

    Raises:
        RunError: If it is neither, not finished, or damaged.
        BudgetError: If what was loaded differs from the run's plan.
        ConfigError: If the base is not here, or a run, which has label names of its own, is given others.
    """
    folder = RunFolder(path)
    if not folder.exists and (folder.path / "adapter_config.json").is_file():
        saved = load_saved(path, encoder=encoder, label_names=label_names)
        return Source(folder.path, saved, _public_name(folder.path, saved), saved.temperature or 1.0)
    saved = load_exact(path, encoder=encoder, label_names=label_names)
    record = folder.read_finished()
    return Source(
        folder.adapter,
        saved,
        _public_name(folder.adapter, saved),
        temperature_of(record, "adapter") or 1.0,
        folder,
        record,
    )


def _public_name(adapter: Path, saved: SavedClassifier) -> str:
    """Return what the base is called, without where it lies on this machine."""
    named = read_json(adapter / NAMES).get("model") if (adapter / NAMES).is_file() else None
    name = str(named or saved.encoder)
    return Path(name).name if Path(name).is_absolute() or Path(name).expanduser().is_dir() else name
