"""Lists as models write them: what stands before, behind and around the items."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import pairwise

from pyserini_xqg.collection.languages import NAMES

# "Question" or "query" in the languages of `NAMES`, as models label what they write.
_LABELS = (
    "q", "question", "query", "search query", "questions", "item", "option", "ጥያቄ", "سؤال",
    "السؤال", "въпрос", "প্রশ্ন", "pregunta", "otázka", "spørgsmål", "frage", "ερώτηση", "ερώτημα",
    "consulta", "küsimus", "پرسش", "سوال", "kysymys", "kysely", "requête", "પ્રશ્ન", "tambaya",
    "שאלה", "प्रश्न", "सवाल", "pitanje", "kérdés", "pertanyaan", "ajụjụ", "domanda", "質問", "問題",
    "問", "問い", "សំណួរ", "ಪ್ರಶ್ನೆ", "질문", "문제", "klausimas", "jautājums", "ചോദ്യം", "soalan",
    "မေးခွန်း", "vraag", "spørsmål", "ਸਵਾਲ", "ਪ੍ਰਸ਼ਨ", "pytanie", "پوښتنه", "pergunta", "întrebare",
    "întrebarea", "вопрос", "ikibazo", "vprašanje", "su'aal", "pyetje", "pyetja", "питање", "fråga",
    "swali", "swali la", "கேள்வி", "వివరణ ప్రశ్న", "ప్రశ్న", "คำถาม", "คำถามที่", "tanong", "soru",
    "питання", "запитання", "savol", "câu hỏi", "câu", "ìbéèrè", "ibeere", "问题", "提问", "问",
    "umbuzo",
)  # fmt: skip
_LABEL = "|".join(map(re.escape, sorted(_LABELS, key=len, reverse=True)))
_HAN = "一二三四五六七八九十"
# Letters in the order in which lists count by them; Persian spells out the first.
_LETTERS = (
    "abcdefghij", "абвгдежзик", "αβγδεζηθικ", "אבגדהוזחטי", "أبجدهوزحطي", "ابجدهوزحطي",
    "가나다라마바사아자차", "アイウエオカキクケコ", "कखगघङचछजझञ", "কখগঘঙচছজঝঞ", "กขคงจฉชซ",
)  # fmt: skip
_ALEF = "الف"
_LETTER = f"[{''.join(_LETTERS)}]|{_ALEF}"
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_ORDINAL = f"(?:{'|'.join(_ORDINALS)})"
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")
# Bold or italic, which ends again only where it begins.
_STRONG, _AGAIN = r"(?P<strong>\*\*|__|\*)?", r"(?(strong)(?:\*\*|__|\*)?)"
_CLOSING = r"(?:\\?[.．。)）\]】〕:：、।|]|[-–—](?=\s)|\uFE0F?\u20E3)+"
_NUMBERED = re.compile(
    rf"{_STRONG}[(（\[【〔#]?\s*(?:(?P<label>{_LABEL})\s*(?:no\.?|nr\.?|n[.º°]|№|[#.\-_])?\s*|第)?"
    rf"(?P<number>\d{{1,3}}|[¹²³⁴-⁹]|[①-⑳❶-❿⓵-⓾]|[{_HAN}](?=[、.．：:])|(?:{_LETTER})(?=[.)）])|[ivx]{{1,4}}(?=[.)])|{_ORDINAL}(?=[:：]|\s+question|\s+query))"
    rf"(?:(?<=\d)[问問题題]|(?<=[a-z])\s+(?:question|query))?"
    rf"(?P<closing>\s*{_AGAIN}\s*{_CLOSING}{_AGAIN}|\s*{_AGAIN}(?=\s)|(?<=[①-⓾]))\s*",
    re.IGNORECASE,
)
_LABELLED = re.compile(rf"{_STRONG}(?:{_LABEL})\s*{_AGAIN}\s*[:：]{_AGAIN}\s*", re.IGNORECASE)
_BULLET = re.compile(
    r"(?:[-*•‣▪●○◦–—·➤➢►▶→+]|\\-)[ \t\u00a0\u3000]+|[•‣▪●・➤➢►▶]\s*|[-–—~](?=[^\W\d])"
)
_BOX = re.compile(r"\[[ xX]?\]\s+")
_HEADING = re.compile(r"#{1,6}\s+|>\s*")
_WRAPS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\*\*((?:(?!\*\*).)+)\*\*", r"__((?:(?!__).)+)__", r"\*([^*]+)\*", r"_([^_]+)_",
        r"`+([^`]+)`+", r"<(?P<tag>[a-zA-Z]\w*)(?:\s[^<>]*)?>(?P<inner>.+)</(?P=tag)>",
    )
)  # fmt: skip
_QUOTES = {
    '"': '"', "“": "”", "”": "”", "„": "“”\"", "‟": "”", "«": "»", "»": "«", "‹": "›",
    "›": "‹",
    "'": "'", "‘": "’", "’": "’", "‚": "‘’", "「": "」", "『": "』", "｢": "｣", "＂": "＂",
    "〝": "〟〞", "《": "》", "〈": "〉", "‛": "’", "´": "´", "＇": "＇",
}  # fmt: skip
_ALL_QUOTES = "".join({*_QUOTES, *"".join(_QUOTES.values())})
_INNER_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)|(?<=\w)['’](?= )")
# A question mark, not inside a word or address, and what follows: without another question, unless
# that stands in brackets. Armenian's mark stands inside words.
_ANSWERED = re.compile(
    r"(?P<asked>.*?[?？؟፧⁇⁈⁉]+)(?P<rest>(?=[\W_])[^?？؟፧⁇⁈⁉]*[^?？؟፧⁇⁈⁉\s]|\s*[(（\[【].+[)）\]】]\W*"
    r"|\s+[-–—→=|/]\s+\S.*)"
)
_SET_APART = re.compile(
    r"\s*(?:[(（\[【].*[)）\]】]\W*$|[-–—→=|/:：]"
    r"|(?:correct |short )?(?:answer|ans|a|response)\s*[:：.]"
    r"|[\W_]+$)",
    re.IGNORECASE,
)
_OPENED_BY = {
    **{end: "".join(a for a, ends in _QUOTES.items() if end in ends) for end in _ALL_QUOTES},
    ")": "(", "）": "（", "]": "[", "】": "【", "}": "{", "*": "*", "_": "_", "`": "`", "$": "$",
}  # fmt: skip
_OPENING = re.compile(
    r"(?:final )?(?:answers?|output|response|results?|assistant|ai|model)\s*[:：]\s*|"
    r"(?:(?:sure|certainly|of course|okay|ok|absolutely|great)(?: thing)?[,.!:]?\s+)?"
    r"(?:here(?:'s|’s| is| are)|below (?:is|are)|these are|the following)\b"
    # The colon of 12:30 or of a name such as a:b introduces nothing.
    r"(?:[^:：?？]|:(?=(?-i:[a-z\d]))){0,160}(?::(?!(?-i:[a-z\d]))|：)\s*",
    re.IGNORECASE,
)


def items_of(lines: Sequence[str], count: int) -> list[str]:
    """The items of a list: where marked lines stand between others, only these.

    Parameters
    ----------
    lines : sequence of str
        Not blank.
    count : int
        How many items there should be.
    """
    bare = [line for line in lines if not is_mark(line)]
    if len(bare) == count < len(lines):  # a label above each of them
        return bare
    for mark in (_number_of, lambda line: 0 if _BULLET.match(line) else None):
        places = [place for place, line in enumerate(lines) if mark(line) is not None]
        if (
            len(places) == count < len(lines)
            and places == list(range(places[0], places[0] + count))
            and (mark is not _number_of or _in_turn([lines[place] for place in places]))
        ):
            return [lines[place] for place in places]
    return list(lines)


def unlisted(items: Sequence[str], language: str) -> list[str]:
    """The items without list marks, labels, emphasis and quotes.

    What could belong to a query is taken away only where all items have it, and numbers only where
    they count: a question may begin with a year, be about a quotation, or have words in bold.
    """
    found = [item.strip() for item in items]
    name = re.escape(NAMES.get(language.split("-")[0], language))
    tongue = re.compile(
        rf"{_STRONG}[(\[]?(?:{name}|{re.escape(language)})(?:[)\]]{_AGAIN}[:：]?|{_AGAIN}\s*[:：]){_AGAIN}\s*",
        re.IGNORECASE,
    )
    steps: tuple[Callable[[list[str]], list[str] | None], ...] = (
        lambda texts: _cut_each(texts, _BULLET),
        lambda texts: _cut_all(texts, _BOX),
        lambda texts: _cut_all(texts, _HEADING),
        _unwrapped,
        _unquoted,
        _unnumbered,
        lambda texts: _cut_all(texts, _LABELLED),
        lambda texts: _cut_all(texts, tongue),
    )
    for _ in range(6):  # such as a number, in bold, in quotes
        before = found
        for step in steps:
            found = [text.strip() for text in step(found) or found]
        if found == before:
            break
    return found


def without_opening(text: str) -> str:
    """A line without an introduction that goes before on the same line, in English."""
    opening = _OPENING.match(text)
    return text[opening.end() :] if opening and text[opening.end() :].strip() else text


def without_answers(questions: Sequence[str]) -> list[str]:
    """Questions without what stands behind each of them: its answer, a translation, a grade.

    It goes only where all have something there; of one question alone, which may go on behind a
    question mark, only what is set apart. What closes a quotation that the question opened stays.
    """
    cuts = [_ANSWERED.fullmatch(text) for text in questions]
    found = []
    for cut in cuts:
        if cut is None or (len(questions) == 1 and not _SET_APART.match(cut["rest"])):
            return list(questions)
        opener = _OPENED_BY.get(cut["rest"].lstrip()[0])
        if opener and any(mark in cut["asked"] for mark in opener):
            return list(questions)
        found.append(cut["asked"])
    return found


def _cut_each(texts: list[str], mark: re.Pattern[str]) -> list[str] | None:
    rests = [text[found.end() :] if (found := mark.match(text)) else text for text in texts]
    return rests if all(rests) else None


def _cut_all(texts: list[str], mark: re.Pattern[str]) -> list[str] | None:
    return _cut_each(texts, mark) if all(map(mark.match, texts)) else None


def _unwrapped(texts: list[str]) -> list[str] | None:
    for wrap in _WRAPS:
        found = [wrap.fullmatch(text) for text in texts]
        if all(found):
            return [
                match.group("inner" if "inner" in wrap.groupindex else 1)
                for match in found
                if match
            ]
    return None


def _unquoted(texts: list[str]) -> list[str] | None:
    listed = len(texts) > 1 and all(re.search(r".[\"'”’][,;]$", text) for text in texts[:-1])
    found = []
    for text in texts:
        text = text.rstrip(",; ") if text[:1] in _QUOTES else text
        inner = text[1:-1]
        if len(text) < 3 or text[-1] not in _QUOTES.get(text[0], ""):
            return None
        if text[0] == text[-1] == '"' and '\\"' in inner:
            inner = inner.replace('\\"', "”")  # a quote that the outer ones did not end
        bare = _INNER_APOSTROPHE.sub("", inner) if text[0] in "'‘’‚‛" else inner
        if not listed and (text[0] in bare or text[-1] in bare):
            return None
        found.append(text[1:-1].replace('\\"', '"'))
    return found


def _unnumbered(texts: list[str]) -> list[str] | None:
    found = [_NUMBERED.match(text) for text in texts]
    if not _in_turn(texts):
        return None
    marks = [match for match in found if match]
    rests = [text[match.end() :] for text, match in zip(texts, marks, strict=True)]
    if len(texts) == 1 and not marks[0]["label"]:
        # One line does not count: "1. maailmansota", "A. Lincoln" and "1 Peter" are no marks.
        closing = marks[0]["closing"].strip("*_ ")
        bold = marks[0]["strong"]
        ordinal = closing in (".", "-") and rests[0][:1].islower() and not bold
        number = marks[0]["number"]
        around = unicodedata.category(number[0]) == "No" or (
            texts[0][0] in "(（" and closing[:1] in ")）"
        )
        if not around and (not closing or ordinal or not number.isdecimal()):
            return None
    return rests if all(rests) else None


def _number_of(text: str) -> int | None:
    """The number in the list mark that a line begins with, if it can be one."""
    found = _NUMBERED.match(text)
    if not found:
        return None
    rest, closing, label = text[found.end() :], found["closing"].strip("*_ "), found["label"]
    glued = not text[: found.end()][-1:].isspace()
    if glued and not label and rest[:1].isnumeric() and closing[-1:] in (".", "．", ":"):
        return None  # 3.5, 12:30
    if not closing and not label and found["number"][0] not in "①②③④⑤⑥⑦⑧⑨⑩" and rest[:1].islower():
        return None
    return _value(found["number"])


def is_mark(line: str) -> bool:
    """Whether a line is a label or a number, and nothing else."""
    text = line.strip("#*_ ")
    return bool(_NUMBERED.fullmatch(text + " ") or _LABELLED.fullmatch(text))


def _value(number: str) -> int:
    if number.isdecimal():
        return int(number)
    if number.lower() in _ORDINALS:
        return _ORDINALS.index(number.lower()) + 1
    if number in _HAN:
        return _HAN.index(number) + 1
    if number.lower() in _ROMAN and number.lower() not in ("c", "d"):
        return _ROMAN.index(number.lower()) + 1
    if number.isalpha():
        letter = _ALEF[0] if number == _ALEF else number.lower()
        return next((of.index(letter) + 1 for of in _LETTERS if letter in of), -1)
    return round(unicodedata.numeric(number, -1.0))


def _in_turn(lines: Sequence[str]) -> bool:
    """Whether the lines' numbers count from 0 or 1, all in digits or all in letters."""
    numbers = [_number_of(line) for line in lines]
    marks = [_NUMBERED.match(line) for line in lines]
    kinds = {mark["number"].isdecimal() for mark in marks if mark}
    return (
        bool(numbers)
        and len(kinds) == 1
        and numbers[0] in (0, 1)
        and all(
            after is not None and before is not None and after == before + 1
            for before, after in pairwise(numbers)
        )
    )
