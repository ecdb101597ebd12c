"""Adapters on disk: stock PEFT, so that they load without this package, and load here from anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import PeftConfig, PeftModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from submillion.budget.checkpoint import random_layers
from submillion.budget.families import family_of, length_limit
from submillion.budget.methods import is_of_adapter
from submillion.disk import disk_refusals, replace_folder, temporary_beside
from submillion.encoders import load_tokenizer, packaged_default, resolve_encoder
from submillion.errors import ConfigError, RunError, one_line
from submillion.model.adapter_readme import adapter_readme
from submillion.model.as_saved import keep_unpruned
from submillion.model.build import Classifier, load_base, make_fast, quiet_transformers
from submillion.model.device import choose_device
from submillion.model.files import CONFIG, HEAD, NAMES, WEIGHTS
from submillion.model.initialise import save_on_whole_base
from submillion.model.readme_lines import ReadmeLines
from submillion.multi_label import MULTI_LABEL, SINGLE_LABEL
from submillion.run import read_json, settle, write_json
from submillion.shapes import AdapterNames, check_shape
from submillion.speedups import SPEEDUPS


@dataclass(frozen=True)
class SavedClassifier:
    """What a folder with an adapter holds.

    Attributes:
        model: In evaluation mode, nothing of it set to train.
        tokenizer: The one beside the adapter, else the base's.
        label_names: One a label, in the order of the logits.
        label_values: The labels as the training data held them, in the same order.
        max_length: Where texts are cut, in tokens.
        encoder: The folder or hub id that the base was loaded from.
        are_pairs: Whether each row it was trained on holds two texts; None where the folder does not say.
        stride: Tokens that the windows of a longer text share; None: it is cut.
        threshold: Where rows may have several labels: the sigmoid from which on a label is given; else None.
        temperature: What its logits are divided by for probabilities; None where none was fitted.
    """

    model: Classifier
    tokenizer: Any
    label_names: tuple[str, ...]
    label_values: tuple[int | str, ...]
    max_length: int
    encoder: str
    are_pairs: bool | None = None
    stride: int | None = None
    threshold: float | None = None
    temperature: float | None = None

    @property
    def problem_type(self) -> str:
        """What transformers calls it that a row has one label, or may have several."""
        return SINGLE_LABEL if self.threshold is None else MULTI_LABEL


def save_adapter(
    model: Classifier,
    tokenizer: Any,
    folder: Path,
    *,
    encoder: str,
    model_name: str,
    label_names: Sequence[str],
    label_values: Sequence[int | str],
    max_length: int,
    are_pairs: bool = False,
    stride: int | None = None,
    threshold: float | None = None,
) -> None:
    """Write the adapter, the head, the tokenizer, the names and a README, whole or not at all."""
    if encoder == packaged_default():
        model.encoder.peft_config["default"].base_model_name_or_path = model_name
    with temporary_beside(folder, is_folder=True) as partial, disk_refusals(folder):
        keep_unpruned(model.encoder)
        model.encoder.save_pretrained(str(partial), save_embedding_layers=False)
        if model.moved is not None:
            save_on_whole_base(partial, model.moved)
        if model.head is not None:
            tensors = {name: value.detach().contiguous() for name, value in model.head.state_dict().items()}
            save_file(tensors, partial / HEAD, metadata={"format": "pt"})
        save_tokenizer(tokenizer, partial, max_length, are_pairs)
        write_json(
            partial / NAMES,
            {
                "model": model_name,
                "base_fingerprint": model.base_fingerprint,
                "pooling": "first" if model.head is None else "mean",
                "label_names": list(label_names),
                "label_values": list(label_values),
                "max_length": max_length,
                "text_pairs": are_pairs,
                "windows": None if stride is None else "mean",
                "stride": stride,
                "problem_type": SINGLE_LABEL if threshold is None else MULTI_LABEL,
                "threshold": threshold,
            },
        )
        lines = ReadmeLines(label_names, max_length, model.head is not None, are_pairs, stride, threshold)
        has_virtual_tokens = model.encoder.active_peft_config.is_prompt_learning
        readme = adapter_readme(encoder, model_name, lines, has_virtual_tokens=has_virtual_tokens)
        (partial / "README.md").write_text(readme, encoding="utf-8")
        for file in partial.iterdir():
            settle(file)
        settle(partial)
        replace_folder(partial, folder)


def save_tokenizer(tokenizer: Any, folder: Path, max_length: int, are_pairs: bool) -> None:
    """Write the tokenizer so that whoever loads it cuts texts where training did.

    Of pairs, it gives no token types, which training leaves at 0 (as for RoBERTa, which has none).
    """
    limit, names = tokenizer.model_max_length, list(tokenizer.model_input_names)
    tokenizer.model_max_length = max_length
    if are_pairs:
        tokenizer.model_input_names = [name for name in names if name != "token_type_ids"]
    try:
        tokenizer.save_pretrained(str(folder))
    finally:
        tokenizer.model_max_length, tokenizer.model_input_names = limit, names


def load_saved(
    folder: str | Path,
    *,
    encoder: str | None = None,
    label_names: Sequence[str] | None = None,
    numerics: str = "exact",
) -> SavedClassifier:
    """Load an adapter folder written here, or by plain Trainer + PEFT.

    Args:
        folder: Holds `adapter_config.json` and `adapter_model.safetensors`.
        encoder: The base's folder or hub id, where it is not what the adapter says.
        label_names: For an adapter that carries none; default: "0", "1", ...
        numerics: ``exact`` or ``fast``; see `choose_numerics`.

    Raises:
        RunError: If the folder is not an adapter of a text classifier, or asks for pickled weights.
        ConfigError: If the base is not here.
    """
    path = Path(folder)
    config = _adapter_config(path)
    saved = read_json(path / NAMES) if (path / NAMES).is_file() else {}
    if not isinstance(saved, dict):
        raise RunError(
            f"{path / NAMES} holds a {type(saved).__name__}, not an object: put it back, or leave it out and give --label-names"
        )
    check_shape(saved, AdapterNames, path / NAMES)
    source = resolve_encoder(encoder) if encoder else _resolved_base(path, _base_of(config, saved))
    has_head = (path / HEAD).is_file()
    n_labels = _count_labels(path, has_head)
    names = tuple(saved.get("label_names") or label_names or (str(index) for index in range(n_labels)))
    if len(names) != n_labels:
        raise RunError(
            f"{path}: the saved head has {n_labels} labels, {len(names)} names were given: give one a label, in order, by --label-names"
        )
    values = tuple(saved.get("label_values") or names)
    if len(values) != n_labels:
        raise RunError(
            f"{path / NAMES} is damaged: label_values holds not one value a name; put a whole copy of it back"
        )
    with quiet_transformers():
        problem_type = saved.get("problem_type") or SINGLE_LABEL
        base = load_base(source, "mean" if has_head else "first", names, problem_type=problem_type)
        _check_random_layers(base, path, source, has_head)
        adapted = _adapted(base, path, source, config)
    head = None
    if has_head:
        head = nn.Linear(base.config.hidden_size, n_labels)
        head.load_state_dict(load_file(path / HEAD))
    model = Classifier(adapted, head)
    recorded = saved.get("base_fingerprint")
    if recorded is not None and model.base_fingerprint != recorded:
        raise RunError(
            f"{path} was made on another base than {source!r}: the weights differ. "
            f"Name the encoder it was made on ({_base_of(config, saved)}) by --encoder"
        )
    model.requires_grad_(False)
    tokenizer = load_tokenizer(str(path) if (path / "tokenizer.json").is_file() else source)
    return SavedClassifier(
        model=make_fast(model.to(choose_device()).eval(), numerics, frozenset(SPEEDUPS)),
        tokenizer=tokenizer,
        label_names=names,
        label_values=values,
        max_length=int(saved.get("max_length") or length_limit(tokenizer, model.config)),
        encoder=source,
        are_pairs=saved.get("text_pairs"),
        stride=saved.get("stride"),
        threshold=saved.get("threshold"),
        temperature=saved.get("temperature"),
    )


def _base_of(config: Any, saved: dict[str, Any]) -> str:
    """Return the base to load: the folder the adapter was made with where it still stands, else the name."""
    recorded = str(config.base_model_name_or_path)
    if saved.get("model") and not Path(recorded).is_dir():
        return str(saved["model"])
    return recorded


def _check_random_layers(base: Any, path: Path, source: str, has_head: bool) -> None:
    """Refuse an adapter without a head layer that the base's checkpoint does not hold either (peft #2171)."""
    if has_head:
        return
    family = family_of(base.config.model_type, source)
    shapes = {name: tuple(value.shape) for name, value in base.named_parameters()}
    with safe_open(path / WEIGHTS, "pt") as tensors:
        saved = list(tensors.keys())
    lost = [
        layer
        for layer in random_layers(source, family, shapes)[0]
        if not any(f".{layer}." in key and not is_of_adapter(key) for key in saved)
    ]
    if lost:
        raise RunError(
            f"{path} does not hold {', '.join(lost)}, which its base {source!r} does not hold either: it would answer "
            f"at random. Train it again with modules_to_save={[layer.split('.')[-1] for layer in lost]}"
        )


def _adapted(base: Any, path: Path, source: str, config: Any) -> Any:
    """Lay a saved adapter over its base, refusing a damaged one and one of another base."""
    try:
        _check_sizes(path, config)
        return PeftModel.from_pretrained(base, str(path), is_trainable=False)
    except RunError:
        raise
    except SafetensorError as error:
        raise RunError(
            f"{path / WEIGHTS} cannot be read ({error}): copy the adapter's folder again, whole"
        ) from None
    except Exception as error:  # a config that lies raises whatever its method's class makes of it
        reason = one_line(error, 200)
        raise RunError(
            f"{path} does not fit the base {source!r}: name the one it was made on by --encoder ({reason})"
        ) from None


def _check_sizes(path: Path, config: Any) -> None:
    """Refuse a config that claims a rank beyond any size in its weights, for it is built before they are read."""
    claims = {
        name: getattr(config, name, None)
        for name in ("r", "init_r", "num_virtual_tokens", "oft_block_size", "boft_block_size")
    }
    pattern = getattr(config, "rank_pattern", None)
    claims |= pattern if isinstance(pattern, dict) else {}
    with safe_open(path / WEIGHTS, "pt") as tensors:
        largest = max(size for key in tensors.keys() for size in (0, *tensors.get_slice(key).get_shape()))  # noqa: SIM118
    for name, size in claims.items():
        if isinstance(size, int) and size > largest:
            raise RunError(
                f"{path / CONFIG} says {name}={size}, and no tensor of its {WEIGHTS} is that large: put back the one that PEFT saved"
            )


def _resolved_base(path: Path, base: str) -> str:
    """Resolve the base that an adapter names; where it is gone, say how to name its new place."""
    try:
        return resolve_encoder(base)
    except ConfigError as error:
        raise ConfigError(
            f"{path} was made on the base {base!r}, which is not there any more: put it back, or name its folder or "
            f"hub id by --encoder ({error})"
        ) from None


def _adapter_config(path: Path) -> Any:
    """Read the adapter's config, refusing what is no adapter of a classifier."""
    if not (path / CONFIG).is_file():
        raise RunError(
            f"{path} is neither a run folder (run.json) nor a PEFT adapter (adapter_config.json): name a folder that is one"
        )
    if not (path / WEIGHTS).is_file():
        pickled = (path / "adapter_model.bin").is_file()
        raise RunError(
            f"{path} has no {WEIGHTS}"
            + (
                ": its weights are pickled (adapter_model.bin), which is not read; save it again as safetensors"
                if pickled
                else ": copy the adapter's folder again, whole"
            )
        )
    try:
        return PeftConfig.from_pretrained(str(path))
    except Exception as error:  # as in `_adapted`
        reason = f"no method is called {error}" if isinstance(error, KeyError) else one_line(error, 200)
        raise RunError(
            f"{path / CONFIG} cannot be read ({reason}): put back the one that PEFT saved"
        ) from None


def _count_labels(path: Path, has_head: bool) -> int:
    """Return the number of labels: the rows of the last projection that the folder holds."""
    file = path / (HEAD if has_head else WEIGHTS)
    try:
        with safe_open(file, "pt") as tensors:
            shapes = {key: tensors.get_slice(key).get_shape() for key in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise RunError(f"{file} cannot be read ({error}): copy the adapter's folder again, whole") from None
    endings = ("weight",) if has_head else (".classifier.weight", ".out_proj.weight", ".score.weight")
    for key, shape in shapes.items():
        if key.endswith(endings) and not is_of_adapter(key):
            return int(shape[0])
    raise RunError(
        f"{file} holds no head: it is no adapter of a classifier, or its head was not saved; train it again with "
        "task_type SEQ_CLS or modules_to_save, which save it"
    )
