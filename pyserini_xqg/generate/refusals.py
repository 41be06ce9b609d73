"""What models say instead of an answer."""

from __future__ import annotations

import re

# At the beginning of a line; in English, and in the languages that models are mostly asked in.
_SAID = (
    r"i(?:'m| am)? (?:(?:really|very|so|truly) )?(?:sorry|afraid|unable|not able|cannot|can't)",
    r"i(?:'m| am)? (?:can not|won't|will not|could not|couldn't|don't|do not|apologi[sz]e)",
    r"i (?:must|have to) decline", r"i(?:'m| am) not comfortable", r"(?:but )?sorry\b",
    r"unfortunately\b", r"regrettably\b", r"(?:my )?apologies", r"as an? (?:ai|large|language)\b",
    r"(?:this|your|the) (?:request|prompt|content) ",
    r"(?:the|this) (?:passage|text) (?:does not|doesn't|is not|isn't|contains no|provides no)",
    r"there (?:is|are) (?:no|not)", r"no (?:questions?|answer)\b", r"n/a\b", r"none\b",
    r"not (?:possible|enough|applicable)", r"it is (?:not |im)possible", r"unable to\b",
    r"cannot\b", r"can't\b", r"lo siento", r"lamento", r"no puedo", r"(?:je suis )?désolée?",
    r"je ne peux", r"je regrette", r"(?:es )?tut mir leid", r"entschuldigung", r"leider\b",
    r"ich kann (?:nicht|diese|dabei|ihnen)", r"desculpe", r"não posso", r"mi dispiace",
    r"non posso", r"spiacente", r"het spijt", r"helaas", r"tyvärr", r"jag kan inte", r"beklager",
    r"desværre", r"anteeksi", r"valitettavasti", r"en voi\b", r"pahoittelen", r"przykro mi",
    r"niestety", r"przepraszam", r"bohužel", r"sajnál", r"(?:ne|îmi) pare rău", r"üzgünüm",
    r"maalesef", r"maaf\b", r"saya tidak (?:bisa|dapat)", r"xin lỗi", r"tôi không thể", r"samahani",
    r"siwezi", r"извините", r"к сожалению", r"простите", r"я не могу", r"на жаль", r"вибачте",
    r"съжалявам", r"λυπάμαι", r"δυστυχώς", r"عذر", r"آسف", r"أعتذر", r"لا أستطيع", r"لا يمكنني",
    r"مت[اأ]سف", r"معذرت", r"معاف", r"بښنه", r"סליחה", r"מצטער", r"אני לא יכול", r"क्षमा", r"माफ",
    r"मुझे खेद", r"দুঃখিত", r"క్షమించ", r"மன்னிக்க", r"ขออภัย", r"ขอโทษ", r"申し訳",
    r"すみません", r"残念ながら", r"抱歉", r"很抱歉", r"对不起", r"對不起", r"我无法", r"我不能",
    r"죄송", r"미안", r"ይቅርታ", r"တောင်းပန်", r"ဝမ်းနည်း", r"(?:សូម|សុំ|ខ្ញុំសុំ)(?:អភ័យ)?ទោស",
    r"માફ", r"ਮਾਫ", r"ക്ഷമിക്ക", r"ಕ್ಷಮಿಸ", r"(?:ẹ |e )?m[aá] b[ií]n[uú]\b",
    r"mi (?:ò|o) l[eè]\b", r"yi ha[kƙ]uri", r"ba zan iya\b", r"ndo\b", r"enwegh[iị] m ike",
    r"uxolo\b", r"ngiyaxolisa", r"angikwazi", r"mbabarira", r"sinshobora", r"waan ka xumahay",
    r"raalli", r"më vjen keq", r"nuk mund", r"atsipraš", r"atvaino", r"diemžēl", r"vabandust",
    r"kahjuks", r"žao mi je", r"nažalost", r"žal\b", r"oprostite", r"жао ми је", r"нажалост",
    r"omlouvám", r"elnézést", r"kechirasiz", r"uzr\b", r"paumanhin", r"pasensya", r"hindi ko\b",
    r"undskyld", r"unnskyld",
)  # fmt: skip
_REFUSAL = re.compile("|".join(_SAID), re.IGNORECASE)
_QUESTION_MARKS = "?？؟՞፧⁇⁈⁉\u037e¿"
_BEFORE = " \t*_#>-\"'“「"


def is_refusal(line: str) -> bool:
    """Whether a line says that there is no answer; a question never does."""
    text = line.lstrip(_BEFORE).replace("’", "'")
    return bool(_REFUSAL.match(text)) and not has_question_mark(text)


def has_question_mark(line: str) -> bool:
    """Whether a line has a question mark of any script."""
    return any(mark in line for mark in _QUESTION_MARKS)
