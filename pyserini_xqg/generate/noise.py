"""What stands around an answer, or in its place.

Thoughts, the marks of chat templates, wrappers, code fences; and what models say instead of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAMES = r"(?:seed:)?(?:think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad"
_NAMES += r"|(?:reasoning|thinking|thought)[_-](?:content|process)|chain[_-]of[_-]thought)"
# Of DeepSeek, Qwen and most others; Mistral; Kimi; Cohere, Sky-T1; Gemma.
_OPENS = re.compile(
    rf"<{_NAMES}(?:\s[^<>]*)?>|\[think\]|◁think▷|<\|(?:start_thinking|begin_of_thought)\|>"
    r"|<\|channel>thought|<unused94>(?:thought)?",
    re.IGNORECASE,
)
_CLOSES = re.compile(
    rf"</{_NAMES}\s*>|\[/think\]|◁/think▷|<\|(?:end_thinking|end_of_thought)\|>"
    r"|<channel\|>|<unused95>",
    re.IGNORECASE,
)
# OpenAI's harmony: <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final...
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w*)[^<\n]*(?:<\|constrain\|>\w*)?<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start)\|>")
# The same where a server took the marks away: "analysisThe user asks ...assistantfinalWhich ...".
_BARE_CHANNELS = re.compile(r"\A\s*(?:assistant)?analysis\S.*assistantfinal", re.DOTALL)

_USER = r"(?:user|human|system|tool|developer|prompter|environment)"
_ASSISTANT = r"(?:assistant|model|bot|gpt|chatbot|final)"
# Whose turn begins: of a user (or the prompt said again), of the model.
_ROLE = re.compile(
    rf"<\|(?:im_start|start_header_id|start|role_start|header_start|turn_start)\|>\s*"
    rf"({_USER}|{_ASSISTANT})?(?:\s*<\|(?:end_header_id|im_sep|role_end|header_end|message)\|>)?"
    rf"|<(?:start_of_turn>|\|turn>)\s*({_USER}|{_ASSISTANT})?"
    rf"|<\|({_USER}|{_ASSISTANT})(?:_token)?\|>|<｜({_USER}|{_ASSISTANT})｜>"
    rf"|<\|start_of_role\|>\s*(\w*)\s*<\|end_of_role\|>"
    rf"|(\[INST\]|<<SYS>>|\[SYSTEM_PROMPT\])"
    rf"|^[ \t]*#{{2,3}} *({_USER}|{_ASSISTANT}|instruction|response):[ \t]*"
    rf"|^[ \t]*({_USER}|{_ASSISTANT}):[ \t]*$"
    rf"|^[ \t]*<({_USER}|{_ASSISTANT})>:?[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_OF_USER = re.compile(rf"{_USER}|instruction|\[INST\]|<<SYS>>|\[SYSTEM_PROMPT\]", re.IGNORECASE)
# Llama 2 and Mistral: the prompt, said again.
_PROMPT = re.compile(r"\A\s*(?:<s>)?\s*\[INST\].*?\[/INST\]", re.DOTALL)
# What ends a turn, in the text of any model; and other special tokens, which say nothing.
_END = re.compile(
    r"<\|(?:im_end|eot_id|eom_id|end|endoftext|end_of_text|end_of_turn(?:_token)?|eot|eos|return"
    r"|end_of_role|role_end|turn_end|user_end|assistant_end|end_of_sentence|im_stop)\|>"
    r"|<end_of_turn>|<turn\|>|<end_of_utterance>|<｜end▁of▁sentence｜>|\[/INST\]|<</SYS>>"
    r"|\[/SYSTEM_PROMPT\]|<(?:eos|eop|eod|eot|endoftext)>|\[EOS\]|\[\|endofturn\|\]",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"<\|[^<>|\n]{1,40}\|>|<｜[^<>｜\n]{1,40}｜>|\[\|[^\[\]|\n]{1,40}\|\]")
# Words that a query may be about as well.
_WORDY = re.compile(
    r"</?s>|<(?:bos|pad|unk|sop|sep|mask|unused\d+|extra_id_\d+|reserved_\d+|0x[0-9A-F]{2})>"
    r"|\[(?:gMASK|BOS|PAD|SEP|CLS|UNK|MASK)\]"
)
_WRAPPER = re.compile(
    r"^[ \t]*</?(?:answers?|output|response|result|questions?|queries|query|list|[ou]l|final)>"
    r"[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_INLINE = re.compile(
    r"\A\s*<(answers?|output|response|result|questions?|queries|final)>((?:(?!</?\1>).)*)</\1>\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
# Lines of programs and tables: a row, a command of LaTeX, an assignment, a call, strings one after
# the other; and what ends a line elsewhere, behind a question.
_CODE = re.compile(
    r"\||\\(?:begin|end|item|boxed|text\w*)\b|\d{1,3}[,;]\s*[\"“].*[\"”]\Z|\w+\s*=\s*[\[({\"'“]|\w+\(\s*[\"'].*[\"']\s*\);?\Z"
    r"|[\"“].*[\"”],\s*(?:[\"“]|//|#)|(?:id|no|nr|number|#)[,;|]\w|.*[?？؟]\s*(?:<br\s*/?>|\\n)",
    re.IGNORECASE,
)
_ENDS, _CLOSERS = "?？؟፧.!。！…।॥።", "\"'”’»)）」』*"
_FENCED = re.compile(
    r"^[ \t]*(```|~~~)(?:[ \t]*(?:json[l5]?|te?xt|plaintext|python|py|markdown|md|csv|xml|yaml)\b"
    r"|[ \t]*[\w+-]*[ \t]*(?=\n))?(.*?)(?:\1|\Z)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)


def without_thoughts(text: str) -> str | None:
    """The text without what a reasoning model said to itself; None where it said nothing else.

    A mark that opens counts where a line begins, one that closes anywhere: servers often put the
    opening mark into the prompt, so that only the closing one comes. What stands open to the end
    was cut off, and is no answer.
    """
    if channels := list(_CHANNEL.finditer(text)):
        last = channels[-1]
        if last[1].lower() != "final":
            return None
        return _CHANNEL_END.split(text[last.end() :])[0]
    if bare := _BARE_CHANNELS.match(text):
        return text[bare.end() :]
    closes = list(_CLOSES.finditer(text))
    if closes:
        before, text = text[: closes[0].start()], text[closes[-1].end() :]
        if not text.strip():  # thoughts that come last
            opening = _opening(before)
            text = before[: opening.start()] if opening else ""
    if opening := _opening(text):
        text = text[: opening.start()]
    return text if text.strip() else None


def without_marks(text: str) -> str:
    """What the model says in its first turn, without the marks of a chat template."""
    for turn in _turns(_PROMPT.sub("", text.replace("<0x0A>", "\n"))):
        roles = [role for role in _ROLE.finditer(turn) if _is_apart(role)]
        if roles and _OF_USER.fullmatch(_name(roles[-1])):
            turn = turn[: roles[0].start()]
        elif roles and _name(roles[-1]) and not turn[: roles[0].start()].strip():
            turn = turn[roles[-1].end() :]
        for pattern in (_ROLE, _TOKEN, _WORDY):
            turn = pattern.sub(lambda mark: "" if _is_apart(mark) else mark[0], turn)
        said = _INLINE.sub(r"\2", _WRAPPER.sub("", turn))
        if said.strip():
            return said
    return ""


def without_fences(text: str) -> str:
    """What stands in code fences, where there are any; else the text."""
    inside = [found[2] for found in _FENCED.finditer(text)]
    return "\n".join(inside) if any(part.strip() for part in inside) else text


def has_marks(text: str) -> bool:
    """Whether a mark of those above is left in a text."""
    left = (_OPENS, _CLOSES, _CHANNEL, _END, _TOKEN)
    return "```" in text or any(pattern.search(text) for pattern in left)


def is_code(line: str) -> bool:
    """Whether a line is of a program or a table, and no text."""
    return bool(_CODE.match(line))


def _turns(text: str) -> Iterator[str]:
    start = 0
    for mark in _END.finditer(text):
        if _is_apart(mark):
            yield text[start : mark.start()]
            start = mark.end()
    yield text[start:]


def _is_apart(mark: re.Match[str]) -> bool:
    """Whether a mark stands at an edge of its line, or behind the end of a sentence.

    A query may well ask for the meaning of one, which is then between its words.
    """
    before = mark.string[mark.string.rfind("\n", 0, mark.start()) + 1 : mark.start()]
    after = mark.string[mark.end() :].partition("\n")[0]
    for pattern in (_END, _TOKEN, _WORDY):
        before, after = (pattern.sub("", part).strip() for part in (before, after))
    return not before or not after or before.rstrip(_CLOSERS)[-1:] in _ENDS


def _opening(text: str) -> re.Match[str] | None:
    """The first mark of thoughts that begins a line."""
    return next(
        (
            found
            for found in _OPENS.finditer(text)
            if not text[text.rfind("\n", 0, found.start()) + 1 : found.start()].strip()
        ),
        None,
    )


def _name(role: re.Match[str]) -> str:
    return next((group for group in role.groups() if group), "")


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
