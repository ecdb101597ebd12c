"""The README of an export."""

from collections.abc import Sequence

from submillion.exporters.lines import Lines
from submillion.model.readme_lines import ReadmeLines

NEEDS = {
    "peft": "torch transformers peft",
    "merged": "torch transformers",
    "onnx": "onnxruntime tokenizers numpy",
    "openvino": "openvino tokenizers numpy",
}
"""What the lines of each format import."""

EXAMPLE = [
    "for text, row in zip(texts, probabilities_of(texts)):",
    '    print(names[int(row.argmax())], round(float(row.max()), 3), text, sep="\\t")',
]
EXAMPLE_OF_SEVERAL_LABELS = [
    EXAMPLE[0],
    '    print([names[label] for label, p in enumerate(row) if p >= threshold], text, sep="\\t")',
]


def readme(lines: Lines, model_name: str, told: Sequence[str]) -> str:
    """Return the README of an export.

    Args:
        lines: What its code depends on.
        model_name: The base.
        told: Sentences on how it was made and what the gate found.
    """
    kind = {
        "peft": "a stock PEFT adapter",
        "merged": "its adapter merged into the base, fp32",
        "onnx": "an ONNX graph, pooling and head inside",
        "openvino": "an OpenVINO model, pooling and head inside",
    }[lines.format]
    is_single = lines.common.threshold is None
    example = [lines.common.example(), *(EXAMPLE if is_single else EXAMPLE_OF_SEVERAL_LABELS)]
    return "\n".join(
        [
            f"# A text classifier: {kind}",
            "",
            f"Base: `{model_name}`. Labels: {', '.join(lines.common.label_names)}. {_cut(lines.common)}",
            f"It runs without the package that made it: `pip install {NEEDS[lines.format]}`, then, in this folder:",
            "",
            "```python",
            lines.code() + "\n".join(example),
            "```",
            "",
            *(f"- {sentence}" for sentence in told),
            "- `export.json` holds the figures of the comparison with the trained model, the "
            f"{'temperature' if is_single else 'threshold'} and each file's sha256.",
            "",
        ]
    )


def _cut(lines: ReadmeLines) -> str:
    """Return the sentence on how much of a text is read."""
    if lines.are_pairs:
        return f"Each row is two texts, which are cut at {lines.max_length} tokens together, the longer one first."
    if lines.stride is None:
        return f"Texts are cut at {lines.max_length} tokens."
    return f"Texts are read in windows of {lines.max_length} tokens, of which each shares {lines.stride} with the one before."
