"""Training speed and peak memory beside the recipe as its users write it: Trainer + PEFT, padded to 128, fp32.

    python benchmarks/speed.py                              both encoders, three rounds, about half an hour on 2 cores
    python benchmarks/speed.py --model minilm --rounds 1    a part of it
    python benchmarks/speed.py --without fused_norm         the product with one speed-up switched off
    python benchmarks/speed.py --model roberta-base --batch-size 32 1024     on a GPU, batch size by batch size

Each side runs in a process of its own, the sides in turn: the same encoder, adapter (LoRA rank 3 on query and dense,
dropout 0.1), head and AG News rows; 60 timed steps, after 5 of the reference and 20 of the product, which meets
more than one shape. The share of the rate is the work that was executed in these steps (counted by FlopCounterMode) over the best that `torch.nn.functional.linear` does in bf16 over the model's own
shapes, in the same process. What the numerics cost in accuracy is printed from the lines of `numerics.py`. Reads ../shared; roberta-base has random weights there, which its speed does not mind.
"""

import argparse
import csv
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import unittest.mock
from itertools import islice, pairwise
from itertools import product as product_of
from pathlib import Path
from typing import Any

from record import append, hardware, lines, source

SHARED = Path(__file__).resolve().parents[2] / "shared"
MODELS = {"roberta-base": SHARED / "roberta-base", "minilm": None}
SIDES = ("reference", "fast", "int8")
WARM_UP, STEPS = {"reference": 5, "fast": 20, "int8": 20}, 60
NAME = "speed"
SOURCE = source(
    "fast", "training/trainer.py", "training/sampler.py", "training/step_graphs.py", "model", "scoring.py"
)
"""Rounds of another version of what runs in a step are kept, and not mixed in; the reference runs anew beside each, for
machines differ from day to day."""


def main() -> None:
    options = _options()
    if options.side:
        (options.batch_size,) = options.batch_size
        print(json.dumps(measure(options)))
        return
    import numerics  # not in the processes of the sides, whose memory is measured

    rounds = range(1, options.rounds + 1)
    for number, batch_size, model, side in product_of(
        rounds, options.batch_size, options.model, options.sides
    ):
        key = {"model": model, "side": side, "batch_size": batch_size, "round": number}
        key |= {"steps": options.steps, "without": "" if side == "reference" else options.without}
        key["source"] = SOURCE
        if not any(line["settings"] == key for line in here()):
            append(NAME, in_own_process(model, side, batch_size, options.steps, options.without), **key)
    for model, batch_size in product_of(options.model, options.batch_size):
        print(summary(model, batch_size, options.without, options.steps))
    print(f"accuracy of each side's numerics (python benchmarks/numerics.py):\n{numerics.summary()}")


def here() -> list[dict[str, Any]]:
    """Return the finished rounds on so many cores, and with the card of this machine."""
    return [line for line in lines(NAME) if _cores(line["hardware"]) == _cores(hardware())]


def _cores(hardware: str) -> str:
    return hardware.split(" cores")[0]


def summary(model: str, batch_size: int, without: str = "", steps: int = STEPS) -> str:
    """Return the medians of a model's finished rounds here, and the ratios to the reference's, as lines of text."""
    asked = {"model": model, "batch_size": batch_size, "steps": steps}
    by_side = {
        side: [
            line
            for line in here()
            if line["settings"]
            == asked
            | {"side": side, "round": line["settings"]["round"]}
            | {"without": "" if side == "reference" else without, "source": SOURCE}
        ]
        for side in SIDES
    }
    reference = _median(by_side["reference"], "rows_per_second")
    text = []
    for side, runs in by_side.items():
        if not runs:
            continue
        rate = _median(runs, "rows_per_second")
        share = (
            "" if side == "reference" else f"{100 * _median(runs, 'share_of_rate'):5.1f} % of the bf16 rate, "
        )
        ratio = f"{rate / reference:5.1f} x, " if reference else ""
        text.append(
            f"{model:13s} {side:10s} {rate:7.2f} rows/s, {ratio}{share}{_median(runs, 'peak_gb'):.2f} GB, {len(runs)} rounds; "
            f"the paper's 10 epochs of 120,000 rows: {1_200_000 / rate:,.0f} s"
        )
    return "\n".join(text)


def _median(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median([run["figures"][name] for run in runs]) if runs else 0.0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", nargs="+", type=int, default=[16])
    parser.add_argument("--without", default="", help="a speed-up to switch off")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def in_own_process(
    model: str, side: str, batch_size: int = 16, steps: int = STEPS, without: str = ""
) -> dict[str, Any]:
    """Run one side in a process of its own and return what it measured."""
    command = [sys.executable, "-W", "ignore", __file__, "--model", model, "--side", side]
    command += ["--batch-size", str(batch_size), "--steps", str(steps), "--folder", str(weights(model))]
    command += ["--without", without] if without else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def weights(model: str) -> Path:
    """Return the folder of an encoder; roberta-base is built at full size with random weights."""
    from submillion.encoders import packaged_default

    if MODELS[model] is None:
        return Path(packaged_default())
    folder = Path(tempfile.gettempdir()) / "submillion-benchmark" / model
    if not (folder / "model.safetensors").is_file():
        command = (
            "import sys, torch; from transformers import AutoConfig, AutoModel, AutoTokenizer; "
            "source, folder = sys.argv[1:]; torch.manual_seed(0); "
            "AutoTokenizer.from_pretrained(source).save_pretrained(folder); "
            "AutoModel.from_config(AutoConfig.from_pretrained(source)).save_pretrained(folder)"
        )
        subprocess.run([sys.executable, "-c", command, str(MODELS[model]), str(folder)], check=True)
    return folder


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train one side and return its figures."""
    n_warm = WARM_UP[options.side]
    rows = agnews_rows(options.batch_size * (n_warm + options.steps + 1))
    seconds, count_work = timed(options.side, rows, options)
    seconds = seconds[n_warm:]
    figures = {
        "rows_per_second": options.batch_size * len(seconds) / sum(seconds),
        "milliseconds_per_step": 1000 * statistics.median(seconds),
        "steps": len(seconds),
        "peak_gb": _peak_gb(),
    }
    work = count_work(n_warm + 1)
    rate = best_rate(options)
    figures |= {
        "gigaflop_per_row": work / (options.batch_size * len(seconds)) / 1e9,
        "gigaflops": work / sum(seconds) / 1e9,
        "bf16_rate_gigaflops": rate,
    }
    figures["share_of_rate"] = figures["gigaflops"] / rate
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()}


def agnews_rows(n_rows: int) -> list[tuple[str, str]]:
    """Return the same random AG News train rows each time."""
    path = SHARED / "agnews" / "train_text.csv"
    with path.open(encoding="utf-8", newline="") as file:
        n_there = sum(1 for _ in csv.reader(file)) - 1
    whole, rest = divmod(n_rows, n_there)  # a card takes more than there are
    chosen = [*range(n_there)] * whole + random.Random(0).sample(range(n_there), rest)
    wanted = set(chosen)  # only these are held: the process's memory is measured
    with path.open(encoding="utf-8", newline="") as file:
        read = enumerate(csv.DictReader(file))
        rows = {number: (row["text"], row["label"]) for number, row in read if number in wanted}
    return [rows[number] for number in chosen]


def timed(side: str, rows: list[tuple[str, str]], options: argparse.Namespace) -> tuple[list[float], Any]:
    """Train one epoch; return the seconds from each optimizer step to the next, and what counts the work."""
    import torch

    ends: list[float] = []
    plain_step = torch.optim.AdamW.step
    awaited = (WARM_UP[side], len(rows) // options.batch_size - 1)  # the first and the last step that count

    def timed_step(self: Any, *arguments: Any, **named: Any) -> Any:
        result = plain_step(self, *arguments, **named)
        if torch.cuda.is_available() and len(ends) in awaited:
            torch.cuda.synchronize()
        ends.append(time.perf_counter())
        return result

    train = reference if side == "reference" else product
    with (
        tempfile.TemporaryDirectory() as folder,
        unittest.mock.patch.object(torch.optim.AdamW, "step", timed_step),
    ):
        count_work = train(rows, options, Path(folder))
    return [after - before for before, after in pairwise(ends)], count_work


def _peak_gb() -> float:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def reference(rows: list[tuple[str, str]], options: argparse.Namespace, folder: Path) -> Any:
    """Train as the recipe's users do: transformers' Trainer, PEFT, texts padded to 128, fp32."""
    from peft import LoraConfig, get_peft_model
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    tokenizer = AutoTokenizer.from_pretrained(options.folder)
    encoded = tokenizer([text for text, _ in rows], truncation=True, max_length=128, padding="max_length")
    data = [
        {"input_ids": ids, "attention_mask": mask, "labels": int(label)}
        for ids, mask, (_, label) in zip(encoded["input_ids"], encoded["attention_mask"], rows, strict=True)
    ]
    seed = getattr(options, "seed", 42)
    set_seed(seed)
    base = AutoModelForSequenceClassification.from_pretrained(options.folder, num_labels=4)
    config = LoraConfig(
        task_type="SEQ_CLS", r=3, lora_alpha=6, lora_dropout=0.1, target_modules=["query", "dense"]
    )
    model = get_peft_model(base, config)
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=options.batch_size,
        num_train_epochs=1,
        learning_rate=3e-4,
        lr_scheduler_type="cosine",
        warmup_steps=0.06,
        weight_decay=0.01,
        label_smoothing_factor=0.1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        seed=seed,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=data)
    trainer.train()
    return lambda first: _work(model, trainer.get_train_dataloader(), first)


def product(rows: list[tuple[str, str]], options: argparse.Namespace, folder: Path) -> Any:
    """Train the same adapter here."""
    import io

    from rich.console import Console

    from submillion.recipe import load_recipe
    from submillion.speedups import SPEEDUPS
    from submillion.training.fit import fit_adapter, make_trainer
    from submillion.training.prepare import Sources, prepare

    recipe = load_recipe(
        model=options.folder,
        target_modules=("query", "dense"),
        rank=3,
        pooling="first",
        head="full",
        head_init="random",
        lora_dropout=0.1,
        max_length=128,
        min_rows_to_split=10**9,
        num_train_epochs=1,
        learning_rate=3e-4,
        label_smoothing_factor=0.1,
        per_device_train_batch_size=options.batch_size,
        numerics=options.side,
        speedups=tuple(name for name in SPEEDUPS if name != options.without),
    )
    quiet = Console(file=io.StringIO())
    prepared = prepare(recipe, Sources(rows), quiet)
    model = prepared.build()
    trainer = make_trainer(model, prepared.plan, prepared.recipe, prepared.train, None, folder, quiet)
    fit_adapter(trainer)
    return lambda first: _work(model, trainer.get_train_dataloader(), first)


def _work(model: Any, batches: Any, first: int) -> int:
    """Return the floating-point operations of the forward and backward passes of the batches from ``first`` on.

    A, filled up to eight rows because that is faster, is counted with its own.
    """
    from torch.utils.flop_counter import FlopCounterMode

    from submillion.fast import lora_product
    from submillion.fast.flops import register_formulas

    register_formulas()
    model.train()
    work, shapes = 0, {}
    with unittest.mock.patch.object(lora_product, "NARROWEST", 1):
        for batch in islice(batches, first, None):
            shape = tuple(batch["input_ids"].shape)
            if shape not in shapes:
                with FlopCounterMode(display=False) as counted:
                    model(**batch).loss.backward()
                shapes[shape] = counted.get_total_flops()
            work += shapes[shape]
    return work


def best_rate(options: argparse.Namespace) -> float:
    """Return the best GFLOP/s of bf16 `linear` over the model's own shapes, each the median of five."""
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(options.folder)
    width, inner = config.hidden_size, config.intermediate_size
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # AG News has 53 tokens a text in the mean; a card's rate is the one at many rows, whatever the batch.
    n_tokens = 53 * (options.batch_size if device == "cpu" else 1024)
    n_products = 1 if device == "cpu" else 20
    best = 0.0
    for d_out, d_in in ((width, width), (3 * width, width), (inner, width), (width, inner)):
        x = torch.randn(n_tokens, d_in, dtype=torch.bfloat16, device=device)
        weight = torch.randn(d_out, d_in, dtype=torch.bfloat16, device=device)
        seconds = []
        for _ in range(8):
            started = time.perf_counter()
            for _ in range(n_products):
                torch.nn.functional.linear(x, weight)
            if device == "cuda":
                torch.cuda.synchronize()
            seconds.append((time.perf_counter() - started) / n_products)
        best = max(best, 2 * n_tokens * d_in * d_out / statistics.median(seconds[3:]) / 1e9)
    return best


if __name__ == "__main__":
    main()
