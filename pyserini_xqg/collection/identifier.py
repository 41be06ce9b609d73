"""Which of some languages a text is in, where scripts do not tell: by py3langid."""

from __future__ import annotations

from collections.abc import Sequence

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.collection.languages import scripts_of

# So much higher must another language's log probability be (400 times as likely): questions that
# are little more than a name stay.
_MARGIN = 6.0


class Identifier:
    """Says whether a text is rather in another of some languages.

    A few languages are told apart better than all: short questions with a foreign name in them look
    like many things. Of xqg-mini's 3,780 queries none is taken for one of its other languages or
    English; of 870 beginnings of its English sentences 862 are told from Finnish.

    Parameters
    ----------
    languages : sequence of str
        Those that py3langid does not know, or not in their script, are left out.

    Raises
    ------
    XqgError
        If it knows fewer than two of them.
    """

    def __init__(self, languages: Sequence[str]) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
        known = set(self._identifier.labels)
        self._labels = {code: label for code in languages if (label := _label(code)) in known}
        labels = sorted(set(self._labels.values()))
        if len(labels) < 2:
            raise XqgError(
                f"--identify: of {' '.join(languages)} only {' '.join(self._labels) or 'none'} is "
                "known; name the language that queries may be in by mistake, as in --identify en"
            )
        self._identifier.set_languages(labels)

    def is_other(self, text: str, language: str) -> bool:
        """Whether a text is rather in another language; False where nobody knows."""
        if language not in self._labels:
            return False
        (_, best), *_ = ranked = self._identifier.rank(text)
        return bool(best - dict(ranked)[self._labels[language]] > _MARGIN)


def _label(code: str) -> str:
    """The language without region; empty where it is written in a script that is not its usual."""
    language = code.split("-")[0]
    return language if scripts_of(code) == scripts_of(language) else ""
