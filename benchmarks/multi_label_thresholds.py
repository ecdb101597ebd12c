"""One threshold for all labels, or one a label? Fitted on few rows, measured on many others.

    python benchmarks/multi_label_thresholds.py

Scores are drawn so that their sigmoids are the true probabilities; the labels' shares fall from a half to about 3 %. Both
ways are fitted on `n` rows for the highest F1 (micro for the one, its own F1 for each label) and measured on 10,000 rows.
Printed: the means over 50 draws, in percent, with the standard deviation over draws. CPU, seconds, seeds 0 to 49.
"""

import numpy as np

from submillion.multi_label import decide, fit_threshold, macro_f1_of_sets, micro_f1

N_LABELS, N_DRAWS, N_TEST = 20, 50, 10_000
Rows = tuple[np.ndarray, np.ndarray]


def drawn(n: int, seed: int) -> Rows:
    """Return scores and labels, both `[n, N_LABELS]`."""
    draw = np.random.default_rng(seed)
    scores = draw.normal(np.linspace(0.0, -6.0, N_LABELS), 2.5, (n, N_LABELS))
    return scores, (draw.random(scores.shape) < 1 / (1 + np.exp(-scores))).astype(np.int64)


def by_label(scores: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return a threshold for each label."""
    return [fit_threshold(scores[:, [k]], labels[:, [k]]) for k in range(N_LABELS)]


def decide_by_label(scores: np.ndarray, thresholds: list[float]) -> np.ndarray:
    """Return 0 and 1, each label by its own threshold."""
    return np.hstack([decide(scores[:, [k]], threshold) for k, threshold in enumerate(thresholds)])


def main() -> None:
    """Print a line for each number of rows."""
    test, truth = drawn(N_TEST, 10_000)
    print("validation rows | way | micro F1 | macro F1")
    for n in (50, 100, 300, 1000, 5000):
        found: dict[str, list[tuple[float, float]]] = {"one for all": [], "one a label": [], "0.5": []}
        for seed in range(N_DRAWS):
            scores, labels = drawn(n, seed)
            ways = {
                "one for all": decide(test, fit_threshold(scores, labels)),
                "one a label": decide_by_label(test, by_label(scores, labels)),
                "0.5": decide(test, 0.5),
            }
            for name, given in ways.items():
                found[name].append((micro_f1(truth, given), macro_f1_of_sets(truth, given)))
        for name, values in found.items():
            mean, spread = 100 * np.mean(values, axis=0), 100 * np.std(values, axis=0)
            print(f"{n} | {name} | {mean[0]:.1f} ± {spread[0]:.1f} | {mean[1]:.1f} ± {spread[1]:.1f}")


if __name__ == "__main__":
    main()
