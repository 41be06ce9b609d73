"""The device that a command computes on, checked against the machine."""

from __future__ import annotations

from pyserini_xqg.base.errors import XqgError


def device_of(name: str | None) -> str:
    """The device of ``--device``: as named, or by default the first GPU, else the CPU.

    Raises
    ------
    XqgError
        If torch knows no such device, or it is not there; the message says what is.
    """
    import torch

    if name is None:
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    try:
        if torch.device(name).type == "meta":
            raise RuntimeError("computes nothing")
        torch.empty(1, device=name)
    # RuntimeError: no such name or number; AssertionError: torch without CUDA.
    except (RuntimeError, AssertionError, NotImplementedError, ImportError, AttributeError):
        raise XqgError(f"--device {name}: no such device; there is {', '.join(_there())}") from None
    return name


def _there() -> list[str]:
    import torch

    found = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found
