"""What computes the transformer: torch, or ONNX Runtime with a model exported from torch.

The exported model is kept in our cache folder, under a name that is a fingerprint of the weights,
the configuration, the model's own Python and the libraries, so that it is made once and never taken
for another's. Never in the model's folder: a graph that came with a download would be run.
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pyserini_xqg.base.errors import XqgError, reason_of
from pyserini_xqg.base.files import cache_folder
from pyserini_xqg.encoder.onnx_model import INPUTS, OnnxModel

if TYPE_CHECKING:
    import torch

#: A padded batch of input_ids and attention_mask, both (n, length) and int64, to
#: last_hidden_state (n, length, d), float32.
Forward: TypeAlias = "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]"

_RECIPE = 1  # counts up when what follows makes another file of the same model
_NAMES = [*INPUTS]


class Backend(NamedTuple):
    """One way to compute.

    Attributes
    ----------
    load : callable
        From a model of transformers, its name, and the device, to a `Forward`.
    float32_cpu_only : bool
        Whether it computes from float32 weights and on the CPU only.
    """

    load: Callable[[Any, str, str], Forward]
    float32_cpu_only: bool


def _torch(model: Any, name: str, device: str) -> Forward:
    pack(model)
    return _plain(model)


def _plain(model: Any) -> Forward:
    def forward(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state
        return hidden.float()

    return forward


def pack(model: Any) -> None:
    """Let oneDNN compute the linear layers that are on the CPU in float32, in its own layout.

    There torch asks MKL, which takes twice the time on AMD's processors. The operators are
    those that torch's compiler uses, and not public: where they are missing or others, all stays
    as it is.
    """
    import torch

    layers = [
        layer
        for layer in model.modules()
        if type(layer) is torch.nn.Linear
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype == torch.float32  # MKL has no part in bfloat16
    ]
    operators = torch.ops.mkldnn
    try:
        packed = [operators._reorder_linear_weight(layer.weight.detach()) for layer in layers]
        for layer, weight in zip(layers[:1], packed, strict=False):
            some = torch.zeros(2, layer.in_features)
            operators._linear_pointwise(some, weight, layer.bias, "none", [], "")
    except (AttributeError, RuntimeError, TypeError):
        return
    for layer, weight in zip(layers, packed, strict=True):
        layer.forward = lambda values, weight=weight, bias=layer.bias: operators._linear_pointwise(
            values, weight, bias, "none", [], ""
        )


def _onnx(model: Any, name: str, device: str) -> Forward:
    return _session(_cached("onnx", _export, model, name))


def _onnx_int8(model: Any, name: str, device: str) -> Forward:
    return _session(_cached("onnx-int8", _quantise, model, name))


#: By the name that ``--backend`` takes.
BACKENDS = {
    "torch": Backend(_torch, float32_cpu_only=False),
    "onnx": Backend(_onnx, float32_cpu_only=True),
    "onnx-int8": Backend(_onnx_int8, float32_cpu_only=True),
}


def _cached(backend: str, make: Callable[[Any, Path, str], None], model: Any, name: str) -> Path:
    """The exported model's file, made if it is not there yet."""
    if getattr(model.config, "num_hidden_layers", None) == 0:
        raise XqgError(
            f"{name} has token vectors and no layers: there is nothing for --backend {backend} to "
            "compute; take --backend torch"
        )
    folder = cache_folder() / f"xqg-{backend}-{_fingerprint(model)}"
    file = folder / "model.onnx"
    if file.exists():
        return file
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A second process waits here, and finds the file when the first is done.
    with open(folder.with_name(folder.name + ".lock"), "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            partial = folder.with_name(folder.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
            partial.mkdir()
            try:
                make(model, partial / file.name, name)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return file


def _fingerprint(model: Any) -> str:
    """Of the weights as they were loaded, wherever from, the configuration, code and libraries."""
    import torch

    config = {key: value for key, value in model.config.to_dict().items() if key[0] != "_"}
    libraries = {name: version(name) for name in ("torch", "transformers", "onnxruntime")}
    state = hashlib.blake2b(digest_size=16)
    facts = [_RECIPE, config, libraries, _own_code(model)]
    state.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for name, tensor in model.state_dict().items():
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        state.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return state.hexdigest()


def _own_code(model: Any) -> list[str]:
    """The source of the classes that came with the model."""
    classes = sorted({type(part) for part in model.modules()}, key=lambda kind: kind.__qualname__)
    return [
        inspect.getsource(kind)
        for kind in classes
        if kind.__module__.partition(".")[0] == "transformers_modules"
    ]


def _export(model: Any, file: Path, name: str) -> None:
    """Export with any batch size and length, and compare with the original."""
    import torch

    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise XqgError(
            f"--backend onnx and onnx-int8 export the model once, which needs the package "
            f"{error.name}: pip install 'pyserini_xqg[onnx]', or take --backend torch"
        ) from None

    class LastHiddenState(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = _plain(self.model)(input_ids, attention_mask)
            return hidden

    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with _quiet():
            # Not the older exporter (dynamo=False): it drops the attention mask without a word.
            torch.onnx.export(
                LastHiddenState().eval(), _batch(model, 2, 8), str(file), dynamo=True,
                verbose=False, input_names=_NAMES, output_names=["last_hidden_state"],
                external_data=True, dynamic_shapes=dict.fromkeys(_NAMES, axes),
            )  # fmt: skip
    except Exception as error:  # whatever a model's own code raises while it is traced
        raise XqgError(
            f"{name} cannot be exported to ONNX ({reason_of(error)}); take --backend torch"
        ) from error
    forward = _session(file)
    for rows, length in ((1, 3), (3, 11)):
        ids, mask = _batch(model, rows, length)
        with torch.inference_mode():
            expected = _plain(model)(ids, mask)[mask == 1]
        error_size = (forward(ids, mask)[mask == 1] - expected).norm() / expected.norm()
        if not error_size < 1e-3:
            raise XqgError(
                f"{name} as exported to ONNX gives other vectors than in torch (they differ by "
                f"{error_size:.1e} of their length, expected below 1e-3); take --backend torch"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what exporter and quantiser warn of: packages and steps that we do not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _batch(model: Any, rows: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Some tokens, the last row half padding."""
    import torch

    words = model.get_input_embeddings().num_embeddings
    ids = torch.arange(rows * length).reshape(rows, length) % words
    mask = torch.ones_like(ids)
    if rows > 1:
        mask[-1, length // 2 :] = 0
    return ids, mask


def _quantise(model: Any, file: Path, name: str) -> None:
    """Weights of the linear layers to 8 bits, a scale for each output; activations at run time."""
    whole = file.with_name("float32")
    whole.mkdir()
    _export(model, whole / file.name, name)
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quiet():
        # Embeddings stay as they are: at 8 bits they double the error and gain no time.
        quantize_dynamic(
            str(whole / file.name), str(file), per_channel=True, weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm"], use_external_data_format=True,
        )  # fmt: skip
    shutil.rmtree(whole)


def _session(file: Path) -> Forward:
    import torch

    return OnnxForward(OnnxModel(file, torch.get_num_threads()))


class OnnxForward:
    """A `Forward` of an exported model."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        import torch

        return torch.from_numpy(self.model(ids.numpy(), mask.numpy()))


#: What writes a model's ONNX file, by backend: from the model, the file and the model's name.
EXPORTS: dict[str, Callable[[Any, Path, str], None]] = {"onnx": _export, "onnx-int8": _quantise}
