"""The lines that run an export without the package that made it: its README shows them, the gate runs them."""

import json
from dataclasses import dataclass

from submillion.model.readme_lines import ReadmeLines

ONNX = "model.onnx"
OPENVINO = "openvino_model.xml"

NO_TELEMETRY = (
    'sys.modules.setdefault("openvino_telemetry", None)  # else OpenVINO tells its makers that it is imported'
)


@dataclass(frozen=True)
class Lines:
    """What the lines of an export depend on.

    Attributes:
        format: One of `export.FORMATS`.
        common: What they share with those of the adapter.
        pad_token_id: What shorter rows are filled with.
        temperature: What logits are divided by before the softmax.
        encoder: The base, for an adapter; None: the pip package's.
        is_int8: Whether the graph's large products are in int8; OpenVINO may then take the rest in bf16.
    """

    format: str
    common: ReadmeLines
    pad_token_id: int
    temperature: float
    encoder: str | None
    is_int8: bool = False

    def code(self, folder: str = ".") -> str:
        """Return Python that defines `logits_of(texts)`, `probabilities_of(texts)` and `names`."""
        lines = [
            *self._imports(),
            "",
            f"folder = {json.dumps(folder)}" + ("  # this folder" if folder == "." else ""),
            *self._names(),
            *self.common.decided(),
            *self._tokenizer(),
            *self._model(),
            "",
            "",
            "def encode(texts):",
            *(f"    {line}" for line in self._encode()),
            "",
            "",
            "def run(batches):",
            *(f"    {line}" for line in self._run()),
            "",
            "",
            *_LOGITS_OF_ROWS.format(pad=self.pad_token_id).splitlines(),
            "",
            "",
            *(_LOGITS_OF if self.common.stride is None else _MEAN_LOGITS_OF).splitlines(),
            "",
            "",
            *self._probabilities().splitlines(),
            "",
            "",
        ]
        return "\n".join(lines) + "\n"

    def _imports(self) -> list[str]:
        if self.format in ("onnx", "openvino"):
            runtime = "onnxruntime" if self.format == "onnx" else "openvino"
            numeric = sorted(("import numpy as np", f"import {runtime}"))
            start = ["import json"]
            if self.format == "openvino":
                start += ["import sys", "", NO_TELEMETRY]
            return [*start, "", *numeric, "from tokenizers import Tokenizer"]
        is_packaged = self.encoder is None
        return [
            "import numpy as np",
            *self.common.imports(of_adapter=self.format == "peft", is_packaged=is_packaged),
        ]

    def _names(self) -> list[str]:
        if self.format == "peft":
            return [self.common.names()]
        if self.format == "merged":
            return []
        return [
            'with open(f"{folder}/config.json", encoding="utf-8") as file:',
            '    names = {int(index): name for index, name in json.load(file)["id2label"].items()}',
        ]

    def _tokenizer(self) -> list[str]:
        if self.format in ("peft", "merged"):
            return ["tokenizer = AutoTokenizer.from_pretrained(folder)"]
        windows = "" if self.common.stride is None else f", stride={self.common.stride}"
        return [
            'tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")',
            "tokenizer.no_padding()",
            f"tokenizer.enable_truncation(max_length={self.common.max_length}{windows})",
        ]

    def _model(self) -> list[str]:
        source = "str(get_model_path())" if self.encoder is None else json.dumps(self.encoder)
        return {
            "peft": [
                f"encoder = {source}  # the base: its hub id, or the folder where it lies",
                *self.common.adapted(),
            ],
            "merged": [
                f"model = {self.common.auto_class}.from_pretrained(folder, dtype=torch.float32).eval()",
                "names = model.config.id2label",
                *self.common.head(),
            ],
            "onnx": [
                f'session = onnxruntime.InferenceSession(f"{{folder}}/{ONNX}", providers=["CPUExecutionProvider"])'
            ],
            "openvino": [
                "hints = {",
                _BESIDE_INT8 if self.is_int8 else _IN_FP32,
                '    "PERFORMANCE_HINT": "THROUGHPUT",  # or LATENCY: one text alone sooner, many later',
                "}",
                f'compiled = openvino.compile_model(f"{{folder}}/{OPENVINO}", "CPU", hints)',
            ],
        }[self.format]

    def _encode(self) -> list[str]:
        """Return the body from texts to tokens: a row a text; of windows, rows and the text of each."""
        has_windows = self.common.stride is not None
        if self.format in ("peft", "merged"):
            if not has_windows:
                return [f'return {self.common.tokenized()}["input_ids"]']
            return [
                f"batch = {self.common.tokenized()}",
                'return batch["input_ids"], batch["overflow_to_sample_mapping"]',
            ]
        if not has_windows:
            return ["return [row.ids for row in tokenizer.encode_batch_fast(texts)]"]
        return [
            "windows = [[row, *row.overflowing] for row in tokenizer.encode_batch_fast(texts)]",
            "text_of = [text for text, rows in enumerate(windows) for _ in rows]",
            "return [row.ids for rows in windows for row in rows], text_of",
        ]

    def _run(self) -> list[str]:
        """Return the body from batches, each its rows' places and the model's inputs, to places and logits."""
        if self.format == "openvino":
            return _IN_STREAMS.splitlines()
        if self.format == "onnx":
            lines = ['yield places, session.run(["logits"], inputs)[0]']
        else:
            lines = [
                "inputs = {name: torch.from_numpy(values) for name, values in inputs.items()}",
                *(['mask = inputs["attention_mask"]'] if self.common.has_mean_pooling else []),
                "with torch.inference_mode():",
                *(f"    {line}" for line in self.common.logits("**inputs")),
                "yield places, logits.numpy()",
            ]
        return ["for places, inputs in batches:", *(f"    {line}" for line in lines)]

    def _probabilities(self) -> str:
        if self.common.threshold is not None:
            return _SIGMOIDS_OF
        return _PROBABILITIES_OF.format(temperature=self.temperature)


_IN_FP32 = '    "INFERENCE_PRECISION_HINT": "f32",  # else bf16, where the processor has it'
_BESIDE_INT8 = '    # "INFERENCE_PRECISION_HINT": "f32",  # what is not int8 is bf16 where the processor has it, but for this'

_IN_STREAMS = '''"""Several batches at once, each on cores of its own."""
most, running = 2 * compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"), []
for places, inputs in batches:
    if len(running) < most:
        request = compiled.create_infer_request()
    else:
        done, request = running.pop(0)
        request.wait()
        yield done, request.get_output_tensor(0).data.copy()
    request.start_async(inputs)
    running.append((places, request))
for done, request in running:
    request.wait()
    yield done, request.get_output_tensor(0).data.copy()'''
"""By requests of one's own: OpenVINO's `AsyncInferQueue` frees a Python callback in a thread that outlives the interpreter."""

_LOGITS_OF_ROWS = '''def batches_of(rows, tokens_at_once=1024):
    """Rows of like length together, so that little is padded."""
    order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
    while order:
        longest = max(1, len(rows[order[0]]))
        n_rows = max(1, tokens_at_once // longest)
        places, order = order[:n_rows], order[n_rows:]
        ids = np.full((len(places), longest), {pad}, dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(places):
            ids[place, : len(rows[row])] = rows[row]
            mask[place, : len(rows[row])] = 1
        yield places, {{"input_ids": ids, "attention_mask": mask}}


def logits_of_rows(rows):
    logits = np.empty((len(rows), len(names)), dtype=np.float32)
    for places, found in run(batches_of(rows)):
        logits[places] = found
    return logits'''

_LOGITS_OF = """def logits_of(texts):
    return logits_of_rows(encode(texts))"""

_MEAN_LOGITS_OF = '''def logits_of(texts):
    """A longer text is read in windows, and answered by the mean of their logits."""
    rows, text_of = encode(texts)
    sums = np.zeros((len(texts), len(names)), dtype=np.float32)
    np.add.at(sums, text_of, logits_of_rows(rows))
    return sums / np.bincount(text_of)[:, None].astype(np.float32)'''

_PROBABILITIES_OF = '''def probabilities_of(texts):
    """Softmax of the logits over the temperature that was fitted on rows not trained on; 1.0 where none was."""
    logits = logits_of(texts) / {temperature!r}
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)'''

_SIGMOIDS_OF = '''def probabilities_of(texts):
    """Sigmoids of the logits, each label's own; a row's need not add up to 1."""
    return 1 / (1 + np.exp(-logits_of(texts)))'''
