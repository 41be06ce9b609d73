"""Cross-lingual BM25: a Lucene index over passages and the queries generated for them."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.base.output import OutputFolder
from pyserini_xqg.base.progress import Progress
from pyserini_xqg.base.versions import versions
from pyserini_xqg.collection.records import Passage
from pyserini_xqg.index.anserini import java_class
from pyserini_xqg.index.bm25_writer import TextWriter, Written
from pyserini_xqg.index.manifest import FORMAT, MANIFEST

#: The analyzer for any language: Lucene then splits at white space only.
NGRAMS = "ngrams"
# Chinese, Japanese and Korean words are mostly of two characters: pairs, as Lucene's CJK analyzer.
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_SIZES, _CJK_SIZES = (3, 4), (2,)


def build_bm25(
    corpus: str | Path,
    output: str | Path,
    *,
    queries: Sequence[str | Path] = (),
    languages: Sequence[str] | None = None,
    fields: Sequence[str] = ("title", "text"),
    analyzer: str = NGRAMS,
    passage_times: int = 1,
    query_times: int = 1,
    threads: int = 1,
    language: str | None = None,
    ignore_unknown: bool = False,
    overwrite: bool = False,
) -> None:
    """Index passages with their generated queries appended, for BM25.

    What the index gives back is what a person reads, ``searcher.doc(docid).contents()`` and
    ``raw()``: rerankers and readers need nothing else. Passages without a word are in it, too.

    Parameters
    ----------
    corpus, queries, languages, language, ignore_unknown, overwrite
        As in `pyserini_xqg.encode.corpus.encode_corpus`.
    output : path-like
        The Lucene folder to make; ``xqg.json`` in it records the analyzer.
    fields : sequence of str
        ``title``, ``text``, or both.
    analyzer : str
        ``ngrams``, or the code of a language that Anserini has an analyzer for. The whole index
        has one: with queries in several languages, n-grams are the one that reads them all.
    passage_times, query_times : int
        How often the text of a passage, and of its queries, counts: the queries' share.
    threads : int
        Of Lucene.

    Raises
    ------
    XqgError
        For bad input, an analyzer that is not there, or documents that Lucene did not take.
    """
    from pyserini_xqg.collection.join import Join
    from pyserini_xqg.collection.shards import BLOCK

    if min(passage_times, query_times) < 0 or passage_times + query_times == 0:
        raise XqgError(
            f"--passage-times {passage_times} --query-times {query_times}: expected numbers of at "
            "least 0, one of them above"
        )
    tokenize, lucene_analyzer = _analysis(analyzer)
    with OutputFolder(output, MANIFEST, overwrite=overwrite) as folder:
        folder.discard()  # Lucene does not resume: it begins anew, and takes minutes, not days
        join = Join(
            corpus, queries, folder.work, languages=languages, language=language,
            ignore_unknown=ignore_unknown,
        )  # fmt: skip
        folder.start({}, {})
        writer = TextWriter(folder.partial, lucene_analyzer, searched_field(analyzer), threads)
        with Progress(join.passages, f"indexing ({folder.path.name})") as bar:
            for start in range(0, join.passages, BLOCK):
                passages = list(join.read_passages(start, min(start + BLOCK, join.passages)))
                queries_of = join.queries_of([passage.docid for passage in passages])
                writer.append(
                    [
                        Written(
                            passage,
                            tokenize(
                                _searched(passage, of_passage, fields, passage_times, query_times)
                            ),
                        )
                        for passage, of_passage in zip(passages, queries_of, strict=True)
                    ]
                )
                bar.update(len(passages))
        found, empty = writer.close()
        if found != join.passages:
            raise XqgError(f"Lucene took {found} of {join.passages} passages; nothing was finished")
        if empty:
            print(f"note: {empty} passages have no words, so no query finds them", file=sys.stderr)
        manifest = {
            "format": FORMAT,
            "kind": "bm25",
            "analyzer": analyzer,
            "fields": list(fields),
            "passage_times": passage_times,
            "query_times": query_times,
            "searched": searched_field(analyzer),
            "passages": join.passages,
            "languages": {language: join.counts[language] for language in join.languages},
            "inputs": join.digests,
            "versions": versions(),
        }
        join.close()
        folder.finish(manifest, keep_log=False)


def ngrams(text: str) -> str:
    """Character 3- and 4-grams of each word, separated by spaces; shorter words as they are.

    Words with Chinese, Japanese or Korean characters give pairs instead. Compatibility forms and
    case are folded. A word is a run of letters, marks and digits: Indic vowel signs are marks and
    stay inside.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(map(_inside_word, folded)).split()
    return " ".join(gram for word in words for gram in _grams(word))


def query_text(analyzer: str) -> Callable[[str], str]:
    """What a topic goes through before Lucene sees it."""
    return ngrams if analyzer == NGRAMS else str


def searched_field(analyzer: str) -> str:
    """The field that holds what is searched.

    That of n-grams is their own: a stock searcher that is asked as usual, with words in
    ``contents``, finds nothing there, where it would otherwise find anything.
    """
    return NGRAMS if analyzer == NGRAMS else "contents"


def set_analyzer(searcher: Any, analyzer: str) -> None:
    """Give Anserini's ``SimpleSearcher`` the analyzer that the index was built with."""
    if analyzer == NGRAMS:
        space = java_class("org.apache.lucene.analysis.core.WhitespaceAnalyzer")
        searcher.set_analyzer(space())
    else:
        searcher.set_language(analyzer)


def _grams(word: str) -> list[str]:
    sizes = _CJK_SIZES if _CJK.search(word) else _SIZES
    if len(word) <= sizes[0]:
        return [word]
    return [word[i : i + size] for size in sizes for i in range(len(word) - size + 1)]


@lru_cache(maxsize=1 << 16)
def _inside_word(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":  # joiners change how a word looks, not what it is
        return ""
    return character if category[0] in "LMN" else " "


def _searched(
    passage: Passage,
    queries: Mapping[str, Sequence[str]],
    fields: Sequence[str],
    passage_times: int,
    query_times: int,
) -> str:
    parts = [getattr(passage, name) for name in ("title", "text") if name in fields] * passage_times
    parts += [text for language in sorted(queries) for text in queries[language]] * query_times
    return "\n".join(part for part in parts if part)


def has_analyzer(language: str) -> bool:
    """Whether Anserini has an analyzer for a language that works on this Java runtime."""
    try:
        check_analyzer(language)
    except XqgError:
        return False
    return True


def check_analyzer(analyzer: str) -> None:
    """Refuse what is neither n-grams nor a language with an analyzer that works here.

    Raises
    ------
    XqgError
        Naming those that there are.
    """
    _analysis(analyzer)


def _analysis(analyzer: str) -> tuple[Callable[[str], str], Any]:
    """What we do to a text before Lucene does, and Lucene's analyzer."""
    if analyzer == NGRAMS:
        return ngrams, java_class("org.apache.lucene.analysis.core.WhitespaceAnalyzer")()
    languages = java_class("io.anserini.analysis.AnalyzerMap")
    from jnius import JavaException  # not before: importing it starts whatever Java there is

    known = languages.analyzerMap
    # English is Anserini's default and not in its map; what is not there would silently become it.
    if analyzer != "en" and not known.containsKey(analyzer):
        raise XqgError(
            f"--analyzer {analyzer!r}: Anserini has none for this language; use "
            f"{NGRAMS} (any language), en, or one of "
            f"{' '.join(sorted(known.keySet().toString().strip('[]').split(', ')))}"
        )
    if analyzer == "en":
        return str, java_class("io.anserini.index.IndexCollection").DEFAULT_ANALYZER
    try:
        made = languages.getLanguageSpecificAnalyzer(analyzer)
        java_class("io.anserini.analysis.AnalyzerUtils").analyze(made, "test")
    except JavaException:  # Thai: this Java runtime has no word segmentation for it
        raise XqgError(
            f"--analyzer {analyzer}: it does not run on this Java runtime; use {NGRAMS}"
        ) from None
    return str, made
