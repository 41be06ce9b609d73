"""The command line of ``pyserini.encode``: options in groups, each begun by its name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pyserini_xqg.base.commands import Parser
from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.ray_engine import add_ray_options
from pyserini_xqg.collection.languages import add_languages_option
from pyserini_xqg.collection.shards import add_shard_options
from pyserini_xqg.collection.sources import add_form_options
from pyserini_xqg.collection.topics import add_language_option
from pyserini_xqg.encoder.backends import BACKENDS
from pyserini_xqg.encoder.folder import similarity_of
from pyserini_xqg.encoder.hub import Named, add_trust_option, cached_folder, model_folder
from pyserini_xqg.encoder.presets import PRESETS
from pyserini_xqg.encoder.spec import DTYPES, POOLINGS, SIDES, EncoderSpec
from pyserini_xqg.index.settings import add_fusion_options

if TYPE_CHECKING:
    from pyserini_xqg.encoder.encoder import Encoder

_PROGRAM = "python -m pyserini_xqg.encode"
_EXAMPLE = f"""  {_PROGRAM} \\
      input   --corpus corpus.jsonl --fields title text \\
      output  --embeddings stores/mine \\
      encoder --encoder intfloat/multilingual-e5-small --fields title text \\
      xqg     --queries queries.jsonl"""
_FIELDS = ("title", "text")


class Groups(NamedTuple):
    """The options of each group; ``xqg`` is None where it is not given."""

    input: argparse.Namespace
    output: argparse.Namespace
    encoder: argparse.Namespace
    xqg: argparse.Namespace | None


def parse_groups(argv: Sequence[str]) -> Groups:
    """The options of each group.

    A group's name right after an option that takes a value is that value, so that
    ``--corpus input`` means a folder called input.

    Raises
    ------
    XqgError
        If a group is missing, comes twice, or something stands before the first.
    """
    parsers = _parsers()
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: {_PROGRAM} input ... output ... encoder ... [xqg ...]\n")
        print(f"{__doc__}\n")
        print(f"example:\n{_EXAMPLE}\n")
        for parser in parsers.values():
            print(parser.format_help())
        raise SystemExit(0)
    parts: dict[str, list[str]] = {}
    current: list[str] | None = None
    group = before = ""
    for word in argv:
        if word in parsers and not _takes_value(parsers.get(group), before):
            if word in parts:
                raise XqgError(f"the group {word!r} is given twice")
            group, current = word, parts.setdefault(word, [])
        elif current is None:
            raise XqgError(
                f"{word!r} stands before the first group; begin with input, output, encoder or xqg"
            )
        else:
            current.append(word)
        before = word
    # What is recorded with vectors may name the encoder.
    needed = ("input", "output") if "--vectors" in argv else ("input", "output", "encoder")
    if missing := [name for name in needed if name not in parts]:
        raise XqgError(f"missing group(s): {', '.join(missing)}; see {_PROGRAM} --help")
    parts.setdefault("encoder", [])
    given = {name: parsers[name].parse_args(words) for name, words in parts.items()}
    return Groups(given["input"], given["output"], given["encoder"], given.get("xqg"))


def _takes_value(parser: argparse.ArgumentParser | None, word: str) -> bool:
    if parser is None or not word.startswith("--") or "=" in word:
        return False
    actions = [
        action
        for action in parser._actions
        if any(option.startswith(word) for option in action.option_strings)
    ]
    return any(action.nargs != 0 for action in actions)


def _parsers() -> dict[str, argparse.ArgumentParser]:
    parsers: dict[str, argparse.ArgumentParser] = {
        name: Parser(prog=f"{_PROGRAM} {name}", quiet=name == "output")
        for name in ("input", "output", "encoder", "xqg")
    }
    add = parsers["input"].add_argument
    add("--corpus", help="passages: JSONL or TSV, .gz or not, a file or a folder")
    add(
        "--vectors",
        metavar="PATH",
        help="passages' vectors that exist, instead of encoding passages: pyserini.encode's JSONL "
        "or FAISS folder, .npy, Parquet, a folder of Hugging Face datasets, or a store",
    )
    add("--docids", metavar="FILE", help="of --vectors X.npy: one docid a line, or .npy")
    add("--vector-field", help="the vector's field where it is none of vector, embedding, emb")
    add_form_options(parsers["input"])
    add_shard_options(parsers["input"])
    add(
        "--engine",
        default="local",
        choices=("local", "ray"),
        help="ray: all shards, each a task of a Ray cluster, into DIR-0, DIR-1 ...",
    )
    add_ray_options(parsers["input"])

    add = parsers["output"].add_argument
    add(
        "--embeddings",
        required=True,
        metavar="DIR",
        help="the store to make, or with --to-faiss the index",
    )
    add("--to-faiss", action="store_true", help="write a flat FAISS index straight away")
    add("--dtype", default="float32", choices=("float32", "float16"), help="of the store")
    add("--overwrite", action="store_true", help="replace an output that is there")
    add("--dry-run", action="store_true", help="measure a sample: hours, disk and memory")
    add(
        "--price-per-hour", type=float, metavar="P", help="of one machine, for --dry-run: the money"
    )

    add_encoder_options(parsers["encoder"], fields=None)
    parsers["encoder"].add_argument(
        "--check-backend",
        action="store_true",
        help="compare --backend and --dtype with torch in float32 on a sample, and stop",
    )

    add = parsers["xqg"].add_argument
    add("--queries", nargs="+", required=True, help="generated queries: JSONL files or folders")
    add_languages_option(parsers["xqg"], "keep these only")
    add_language_option(parsers["xqg"], "of queries whose rows do not say theirs: plain lists, TSV")
    add(
        "--ignore-unknown",
        action="store_true",
        help="count queries for docids that the corpus lacks instead of refusing them",
    )
    add("--keep-queries", action="store_true", help="store every query's vector beside the sums")
    add(
        "--add",
        action="store_true",
        help="keep the queries of the store that input --vectors names, and add these",
    )
    add(
        "--generated-queries-as",
        choices=SIDES,
        help="the encoder's side that reads them (default: query)",
    )
    add_fusion_options(parsers["xqg"])
    return parsers


def add_encoder_options(
    parser: argparse._ActionsContainer, *, fields: Sequence[str] | None = ("text",)
) -> None:
    """The options that describe an encoder, for every command that loads one.

    Their defaults are those of models of which neither a preset nor their own folder says more.
    Where no `fields` are the default, a store that is read may say which they are.
    """
    add = parser.add_argument
    add("--encoder", help="hub name or folder")
    add("--preset", choices=PRESETS, metavar="NAME", help=f"one of {', '.join(PRESETS)}")
    add(
        "--encoder-class",
        choices=("auto", "xqg"),
        help="accepted for Pyserini's sake: every "
        "encoder is loaded by AutoModel and pooled as --pooling says",
    )
    add("--revision", help="of the model on the hub")
    add("--query-encoder", help="the query side's model where the two are not tied")
    unless = "" if fields else " (default: text, or as the store says that --vectors names)"
    add(
        "--fields",
        nargs="+",
        choices=_FIELDS,
        default=fields and [*fields],
        help=f"what is encoded{unless}",
    )
    add(
        "--pooling",
        choices=POOLINGS,
        help="how token vectors become one (default: as the model's folder or a preset says)",
    )
    add(
        "--l2-norm",
        action="store_true",
        default=None,
        help="scale every vector of the encoder to length 1",
    )
    add("--max-length", type=int, help="tokens of a passage (default: 256)")
    add("--query-max-length", type=int, help="tokens of a query (default: 32)")
    add("--passage-prefix", help="put before title and text as it is")
    add("--query-prefix", help="put before queries as it is")
    add("--prefix", help="Pyserini's spelling of --passage-prefix, followed by a space")
    add("--dtype", choices=DTYPES, help="what it computes in (default: float32)")
    add(
        "--backend", choices=BACKENDS, help="what computes it (default: torch); onnx is for the CPU"
    )
    add("--fp16", action="store_true", help="Pyserini's spelling of --dtype float16")
    add("--add-sep", action="store_true", default=None, help="encode title and text as a pair")
    add("--batch-size", type=int, default=64, help="texts at once; the CPU takes fewer long ones")
    add("--device", help="cpu, cuda:0 ...; by default the first accelerator there is")
    add("--dimension", type=int, help="only checked: the model knows its own")
    add_trust_option(parser)


def encoder_from(
    model: argparse.Namespace,
    generated_queries_as: str | None = None,
    recorded: EncoderSpec | None = None,
) -> Encoder:
    """The encoder that the options of `add_encoder_options` describe.

    Where they name none, the one that is `recorded` with what it encoded.

    Raises
    ------
    XqgError
        For an unknown preset, a model that cannot be loaded, or options that do not fit together.
    """
    from pyserini_xqg.encoder.encoder import Encoder

    if model.encoder is not None:  # what its folder says of it counts
        model_folder(
            Named(model.encoder, model.revision, trust_remote_code=model.trust_remote_code)
        )
    settings = {
        "revision": model.revision,
        "pooling": model.pooling,
        "l2_norm": model.l2_norm,
        "dtype": "float16" if model.fp16 else model.dtype,
        "backend": model.backend,
        "query_prefix": model.query_prefix,
        "passage_prefix": _passage_prefix(model),
        "query_max_length": model.query_max_length,
        "max_length": model.max_length,
        "query_model": model.query_encoder,
        "add_sep": model.add_sep,
        "generated_queries_as": generated_queries_as,
    }
    if recorded and not (model.encoder or model.preset):
        given = {name: value for name, value in settings.items() if value is not None}
        sources = {**dict.fromkeys(recorded.to_dict(), "recorded"), **dict.fromkeys(given, "given")}
        spec = replace(recorded, **given, sources=sources)
    else:
        spec = EncoderSpec.resolve(model.encoder, model.preset, **settings)
    encoder = Encoder(
        spec,
        device=model.device,
        batch_size=model.batch_size,
        trust_remote_code=model.trust_remote_code,
    )
    encoder.check_sides()
    print(spec.described(encoder.longest), file=sys.stderr)
    folder = cached_folder(Named(spec.model, spec.revision))
    said = similarity_of(folder) if folder is not None and not spec.l2_norm else None
    if said not in (None, "dot", "dot_product"):
        print(
            f"note: {spec.model} says that its vectors are compared by {said}; here it is the dot "
            "product, which ranks so where they have length 1: see --l2-norm",
            file=sys.stderr,
        )
    if model.dimension not in (None, encoder.dimension):
        raise XqgError(
            f"--dimension {model.dimension}: {spec.model} has {encoder.dimension}; leave "
            "the option out"
        )
    return encoder


def _passage_prefix(model: argparse.Namespace) -> str | None:
    if model.prefix is not None and model.passage_prefix is not None:
        raise XqgError("--prefix is Pyserini's name for --passage-prefix; give one of them")
    if model.prefix is not None:  # Pyserini puts a space behind its prefix
        return str(model.prefix) + " "
    return None if model.passage_prefix is None else str(model.passage_prefix)
