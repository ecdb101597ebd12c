"""Three passes over some thousand train rows or six, on train rows left out; no test split is read.

    python benchmarks/epochs.py                        R52 25 minutes a seed on one core, 20 Newsgroups an hour; goes on where it stopped
    python benchmarks/epochs.py --data r52 --seeds 1   a part of it
    python benchmarks/epochs.py --summary              the table, without computing

The default recipe gives few rows more passes (`submillion.recipe.default_epochs`): 6 from 500 rows on, 3 from 5,000. Here are the data
sets with 5,000 to 10,300 train rows, cut at 128 tokens, measured on 1,000 of these left out.
"""

import argparse
import statistics

from default_recipe import divided, measured
from record import append, lines, stands

NAME = "epochs"
DATA, SEEDS, EPOCHS = ("r52", "20ng"), (1, 2), (3, 6)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    options.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    options.add_argument("--summary", action="store_true")
    asked = options.parse_args()
    for data in () if asked.summary else asked.data:
        for seed in asked.seeds:
            left_out, rest = divided(data, seed)
            for epochs in EPOCHS:
                key = {"data": data, "epochs": epochs, "seed": seed}
                if not stands(NAME, **key):
                    append(NAME, measured(rest, left_out, seed, ["adapter"], num_train_epochs=epochs), **key)
    print(summary())


def summary() -> str:
    """Return the accuracy on the rows left out by epochs, mean over seeds, in Markdown."""
    text = [f"| data | {' | '.join(f'{epochs} epochs' for epochs in EPOCHS)} | seeds |", "|---|---|---|---|"]
    for data in DATA:
        found = {
            epochs: [
                line["figures"]["adapter"]
                for line in lines(NAME)
                if (line["settings"]["data"], line["settings"]["epochs"]) == (data, epochs)
            ]
            for epochs in EPOCHS
        }
        means = [f"{statistics.mean(values):.1f}" if values else "-" for values in found.values()]
        text.append(f"| {data} | {' | '.join(means)} | {min(map(len, found.values()))} |")
    return "\n".join(text)


if __name__ == "__main__":
    main()
