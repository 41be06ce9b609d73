"""An encoder as a folder that sentence-transformers loads, with its ONNX and int8 forms.

``python -m pyserini_xqg.export --encoder M --output DIR``; then
``SentenceTransformer(DIR, backend="onnx", model_kwargs={"file_name": "model_qint8.onnx"})``.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import run_command
from pyserini_xqg.encoder.backends import EXPORTS
from pyserini_xqg.encoder.hub import Named, model_folder
from pyserini_xqg.encoder.presets import PRESETS
from pyserini_xqg.encoder.spec import POOLINGS, EncoderSpec


def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser(
        prog="python -m pyserini_xqg.export",
        description="Save an encoder as sentence-transformers loads it: weights, tokenizer, "
        "pooling, prompts, and onnx/model.onnx and onnx/model_qint8.onnx.",
        example="--encoder intfloat/multilingual-e5-small --output e5-small-onnx",
    )
    add = parser.add_argument
    add("--encoder", help="hub name or folder")
    add("--preset", choices=PRESETS, metavar="NAME", help=f"one of {', '.join(PRESETS)}")
    add("--revision", help="of the model on the hub")
    add("--pooling", choices=POOLINGS, help="how token vectors become one")
    add("--l2-norm", action="store_true", default=None, help="scale every vector to length 1")
    add("--max-length", type=int, help="tokens of a text, of queries as well")
    add("--passage-prefix", help="put before passages as it is")
    add("--query-prefix", help="put before queries as it is")
    add("--output", required=True, metavar="DIR", help="the folder to make")
    add(
        "--backend",
        nargs="+",
        choices=EXPORTS,
        default=tuple(EXPORTS),
        help="what to write beside weights",
    )
    add("--overwrite", action="store_true", help="replace an output that is there")
    args = parser.parse_args(argv)
    if args.encoder is not None:  # what its folder says of it counts
        model_folder(Named(args.encoder, args.revision))
    spec = EncoderSpec.resolve(
        args.encoder,
        args.preset,
        revision=args.revision,
        pooling=args.pooling,
        l2_norm=args.l2_norm,
        max_length=args.max_length,
        passage_prefix=args.passage_prefix,
        query_prefix=args.query_prefix,
        backend="torch",
        dtype="float32",
    )
    from pyserini_xqg.encoder.saving import save_encoder

    save_encoder(spec, args.output, args.backend, overwrite=args.overwrite)
    print(f"{spec.model} -> {args.output}")


if __name__ == "__main__":
    run_command(main)
