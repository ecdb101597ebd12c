"""Methods that are asked for and not served: why not, and which comes nearest."""

from difflib import get_close_matches
from types import MappingProxyType

from submillion.budget.methods import INITIALISATIONS, METHODS

_NEAREST = MappingProxyType(
    {
        "adaption_prompt": "prompt_tuning",
        "beft": "bitfit",
        "bias": "bitfit",
        "bone": "lora",
        "c3a": "oft",
        "cpt": "prompt_tuning",
        "delora": "dora",
        "fourierft": "vera",
        "full": "lora",
        "gralora": "lora",
        "hira": "loha",
        "hra": "boft",
        "layernorm": "ln_tuning",
        "lora+": "lora",
        "loraplus": "lora",
        "miss": "lora",
        "multitask_prompt_tuning": "prompt_tuning",
        "p_tuning": "prompt_tuning",
        "poly": "lora",
        "prefix_tuning": "prompt_tuning",
        "psoft": "oft",
        "pvera": "vera",
        "qlora": "lora",
        "randlora": "vera",
        "road": "oft",
        "shira": "lora",
        "trainable_tokens": "prompt_tuning",
        "vblora": "vera",
        "waveft": "vera",
        "xlora": "lora",
    }
)
"""Methods that are asked for by these names elsewhere, and what comes nearest to them here."""


def unknown_method(name: str) -> str | None:
    """Return why ``name`` is no method, with the nearest one; None where it is one.

    >>> print(unknown_method("lorra"))
    method='lorra' is not known, the nearest is 'lora': give one of lora, rslora, dora, adalora, loha, lokr, vera, oft, \
boft, ia3, bitfit, ln_tuning, prompt_tuning
    >>> print(unknown_method("pissa"))
    method='pissa' is a way to start LoRA's matrices: give method='lora' and init_lora_weights='pissa'
    """
    if name in METHODS:
        return None
    asked = name.lower().replace("-", "_")
    if asked in INITIALISATIONS:
        return f"method={name!r} is a way to start LoRA's matrices: give method='lora' and init_lora_weights={asked!r}"
    nearest = _NEAREST.get(asked) or next(iter(get_close_matches(asked, METHODS, n=1, cutoff=0.3)), "lora")
    served = "not served" if asked in _NEAREST else "not known"
    return f"method={name!r} is {served}, the nearest is {nearest!r}: give one of {', '.join(METHODS)}"
