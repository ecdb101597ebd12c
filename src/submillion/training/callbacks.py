"""What happens at the Trainer's hooks: history, the progress bar, checkpoints inside an epoch."""

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import TrainerCallback

from submillion.disk import disk_refusals
from submillion.run import written_atomically


class SaveWithinEpoch(TrainerCallback):
    """Ask for a checkpoint every ``save_steps`` steps, but at an epoch's last step only after its evaluation.

    A checkpoint between an epoch's last step and its evaluation would resume after that evaluation and miss a
    best epoch.
    """

    def __init__(self, save_steps: int, steps_in_epoch: int):
        self.save_steps = save_steps
        self.steps_in_epoch = steps_in_epoch

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Set `should_save` where a checkpoint is due."""
        is_last_of_epoch = (
            state.global_step % self.steps_in_epoch == 0 or state.global_step >= state.max_steps
        )
        if state.global_step % self.save_steps == 0 and not is_last_of_epoch:
            control.should_save = True
        return control


class History(TrainerCallback):
    """Append one line to `history.jsonl` for each logged step and each evaluation."""

    def __init__(self, path: Path):
        self.path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop the lines after the step that training goes on from."""
        kept = [line for line in read_history(self.path) if line["step"] <= state.global_step]
        with written_atomically(self.path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Write what was logged."""
        if logs is None or "train_runtime" in logs:
            return
        line = {
            "step": state.global_step,
            **{key: value for key, value in logs.items() if key != "total_flos"},
        }
        with disk_refusals(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the lines of `history.jsonl`; a last line cut short by a kill is left out."""
    lines: list[dict[str, Any]] = []
    if path.is_file():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                break
    return lines


class ProgressBar(TrainerCallback):
    """A bar on stderr with loss, rows a second and time left; without a terminal, a line an epoch."""

    def __init__(self, rows_per_step: int, console: Console):
        self.rows_per_step = rows_per_step
        self.console = console
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps · loss {task.fields[loss]} · {task.fields[rate]} rows/s ·"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
        )

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the bar at the step that training goes on from."""
        self.task = self.progress.add_task(
            "train", total=state.max_steps, completed=state.global_step, loss="-", rate="-"
        )
        self.started, self.first_step = time.monotonic(), state.global_step
        if self.console.is_terminal:
            self.progress.start()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Advance by one step."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        rate = (state.global_step - self.first_step) * self.rows_per_step / seconds
        self.progress.update(self.task, completed=state.global_step, rate=f"{rate:.0f}")

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Show the newest loss or validation figure."""
        if logs and "loss" in logs:
            self.progress.update(self.task, loss=f"{logs['loss']:.3f}")
        if logs and "eval_accuracy" in logs:
            figures = f"validation accuracy {100 * logs['eval_accuracy']:.2f}, macro F1 {100 * logs['eval_macro_f1']:.2f}"
            if "eval_micro_f1" in logs:
                figures += f", micro F1 {100 * logs['eval_micro_f1']:.2f}"
            if "eval_shifted_accuracy" in logs:
                figures += f", shifted accuracy {100 * logs['eval_shifted_accuracy']:.2f}"
            self.console.print(f"epoch {logs.get('epoch', 0):g}: {figures}", style="dim", highlight=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take the bar away."""
        self.progress.stop()
