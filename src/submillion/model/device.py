"""Where a model runs."""

import torch


def choose_device() -> torch.device:
    """Return the first CUDA device where there is one, else the CPU.

    Apple's MPS is not chosen: no figure of this package was measured on it.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
