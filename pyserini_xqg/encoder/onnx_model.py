"""A transformer that was exported to ONNX, computed without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyserini_xqg.base.errors import XqgError, reason_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The exported model's inputs.
INPUTS = ("input_ids", "attention_mask")


class OnnxModel:
    """ONNX Runtime with a model's file.

    Parameters
    ----------
    file : Path
    threads : int
    """

    def __init__(self, file: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.file = file
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """The last hidden state, shape ``(n, length, d)``, of ids and mask, ``(n, length)``."""
        try:
            found: NDArray[np.float32] = self._session.run(
                None, dict(zip(INPUTS, (ids, mask), strict=True))
            )[0]
        except MemoryError:
            raise
        except Exception as error:  # what ONNX Runtime raises has no base of its own
            raise XqgError(f"{self.file}: ONNX Runtime gave up ({reason_of(error)})") from None
        return found
