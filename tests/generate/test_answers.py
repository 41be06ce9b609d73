"""What is read out of an answer; ``XQG_FUZZ_EXAMPLES=20000`` tries 100,000 of them."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pyserini_xqg.generate.answers import first_answer, parse_answer
from pyserini_xqg.generate.completions import Answer, ServerError, read_completion
from pyserini_xqg.generate.noise import without_marks, without_thoughts

EXAMPLES = int(os.environ.get("XQG_FUZZ_EXAMPLES", "150"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 1000,  # in CI the same inputs each time
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(
    ("said", "query"),
    [
        ("\n \n  what  is\tit?\n\nIt is ...", "what is it?"),
        (" \n", ""),
        ("<think>\n\n</think>\n\nWhat is it?", "What is it?"),
        ("Here is a question:\n\n1. **What is it?**", "What is it?"),
        ('Sure! Here\'s one: "What is it?"<|im_end|>', "What is it?"),
        ('{"question": "What is it?"}', "What is it?"),
        ("I cannot help with that.", ""),
        ("<think>\nThe text", ""),
        ("<|im_end|>", ""),
        ("Question: What is it?", "What is it?"),
        ("1984 on kirja?", "1984 on kirja?"),
        ("Text: It is an organ.\nWhat is it?", "What is it?"),
        ("**Thinking:** One is asked for.\n\nWhat is it?", "What is it?"),
        ("### Question 1\nWhat is it?", "What is it?"),
        ("① What is it?", "What is it?"),
        ("(a) What is it? (An organ)", "What is it?"),
        ("What is it? - Mikä se on?", "What is it?"),
        ("I. Newton was who?", "I. Newton was who?"),
        ("A is what?", "A is what?"),
        ("| # | Question |\n|---|---|\n| 1 | What is it? |", ""),
        ('queries = ["What is it?"]', ""),
        ('"What is it?","Who is it?"', ""),
        ("id,question\n1,What is it?", ""),
        ("What is it?<br>Who is it?", ""),
        ("[“What is it?”, “Who is it?”]", ""),
    ],
)
def test_the_first_answer(said, query):
    assert first_answer(said, "en") == query


@pytest.mark.parametrize(
    "answer",
    [
        'print("Where is it?")\nprint("How old is it?")',
        '[\n  "Where is it?", // easy\n  "How old is it?"\n]',
        '[\n  "Where is it?", # easy\n  "How old is it?"\n]',
        "\\item Where is it?\n\\item How old is it?",
        "| 1 | Where is it? |\n| 2 | How old is it? |",
        'q1 = "Where is it?"\nq2 = "How old is it?"',
        '1,"Where is it?"\n2,"How old is it?"',
        "\\boxed{Where is it?}\n\\boxed{How old is it?}",
        "| Where is it?\n| How old is it?",
    ],
)
def test_lines_of_a_program_are_no_queries(answer):
    assert parse_answer(answer, "en", 2) == "code"


@pytest.mark.parametrize(
    "query",
    ["What does print(1) do?", "Is a = b?", "What is |x|?", "What is <br> for?", "Is \\n a line?"],
)
def test_queries_about_programs_stay(query):
    assert parse_answer(query, "en", 1) == [query]


def test_a_refusal_in_json_is_one():
    said = json.dumps({"questions": ["I'm sorry, but I cannot help with that."]})
    assert parse_answer(said, "en", 1, questions=False) == "refusal"


def test_questions_under_one_key_are_all_there():
    said = '{"question": "Where is it?", "question": "How old is it?", "question": "Who is it?"}'
    assert parse_answer(said, "en", 3) == ["Where is it?", "How old is it?", "Who is it?"]


WHICH, WHERE = "Which sea takes it?", "Where does it begin?"


@pytest.mark.parametrize(
    "behind",
    [
        (" (The Caspian Sea)", " (Valdai)"),
        (" (Mihin mereen se laskee?)", " (Mistä se alkaa?)"),
        (" Answer: The Caspian Sea", " Answer: Valdai"),
        (" - The Caspian Sea", " – Valdai"),
        (" The Caspian Sea.", " In the Valdai Hills."),
        (" [easy]", " [hard]"),
        (" - Mihin mereen se laskee?", " – Mistä se alkaa?"),
        (" / Mihin mereen se laskee?", " / Mistä se alkaa?"),
        ("\t0.9", "\t0.8"),
        (",", ","),
        ("**", "**"),
    ],
)
def test_what_stands_behind_every_question_is_no_part_of_it(behind):
    answer = f"{WHICH}{behind[0]}\n{WHERE}{behind[1]}"
    assert parse_answer(answer, "en", 2) == [WHICH, WHERE]
    # Asked for something else, as of a passage, it may be.
    assert parse_answer(answer, "en", 2, questions=False) != [WHICH, WHERE]


@pytest.mark.parametrize(
    ("answer", "queries"),
    [
        (f"{WHICH} (The Caspian Sea)", [WHICH]),
        (f"{WHICH} A: The Caspian Sea", [WHICH]),
        ("Kuka? Mikä", ["Kuka? Mikä"]),  # one alone may go on
        (f"{WHICH} The Caspian Sea\n{WHERE}", [f"{WHICH} The Caspian Sea", WHERE]),
        (
            'Who sang "Who?" now\nWho (really?) did',
            ['Who sang "Who?" now', "Who (really?) did"],
        ),
        ("See x.org/?q=1 mikä\nMikä on a?b", ["See x.org/?q=1 mikä", "Mikä on a?b"]),
        ("Why? And how?\nWho? Where?", ["Why? And how?", "Who? Where?"]),
        ("Ինչո՞ւ է\nՈ՞վ է", ["Ինչո՞ւ է", "Ո՞վ է"]),
    ],
)
def test_what_belongs_to_a_question_stays(answer, queries):
    language = "hy" if "Ի" in answer else "en"
    assert parse_answer(answer, language, len(queries)) == queries


def test_characters_as_html_writes_them():
    answer = "Is it the Volga&#39;s?\nAT&amp;T &#x6d;ik&auml; &c; &lt;b&gt;?"
    assert parse_answer(answer, "en", 2) == ["Is it the Volga's?", "AT&T mik&auml; &c; <b>?"]
    assert first_answer("The Volga&#39;s?", "en") == "The Volga's?"


def test_broken_characters_are_a_fault():
    assert parse_answer(f"Is it the Volga\ufffds?\n{WHERE}", "en", 2) == "broken characters"
    assert first_answer("Is it the Volga\ufffds?", "en") == ""


HONEST = [
    ["1984 on kirja?", "3.5 mm liitin?"],
    ["1. maailmansota, milloin?"],
    ["2. maailmansota milloin?", "Mikä oli 1. maailmansota?"],
    ["12. joulukuuta mitä?"],
    ["A. Lincoln: missä?", "2. Weltkrieg: milloin?"],
    ["A. Lincoln: missä?"],
    ['"Titanic" vai "Avatar"?'],
    ["'Tis what?"],
    ["Who sang **bold** words?", "*args mitä?"],
    ['"To be" who said?', "What is Hamlet?"],
    ["-40 astetta?", "-5 astetta?"],
    ["1-litran pullo?", "2-litran pullo?"],
    ["Apollo 1: what?", "Apollo 2: what?"],
    ["World War 1: when?", "World War 2: when?"],
    ["10:30 juna?", "11:30 juna?"],
    ["C# mikä on?", "#metoo mikä on?"],
    ["What does <s> mean in HTML?"],
    ["What is [MASK] for?", "[Ru(bpy)3]2+ mikä?"],
    ["pohjoisen majakan valmistumisvuosi", "majakan sähkövalon kantama"],
]


@pytest.mark.parametrize("queries", HONEST, ids=lambda queries: queries[0])
def test_what_may_belong_to_a_query_stays(queries):
    assert parse_answer("\n".join(queries), "fi", len(queries)) == queries
    assert parse_answer(json.dumps(queries), "fi", len(queries)) == queries


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("What is <|im_end|> in a prompt?", "marks of a template"),
        ("What does [/INST] mean?", "marks of a template"),
        ("What is between <think> and </think>?", "number of lines"),
        ('["a"] is what in Python?', "JSON of another shape"),
        ('["What is', "JSON of another shape"),
        ('{"question": "What?"', "JSON of another shape"),
    ],
)
def test_what_cannot_be_told_from_noise_is_a_fault(answer, fault):
    assert parse_answer(answer, "en", 1) == fault


TWO = ["Who tuned the organ's pipes?", "When was the organ built?"]


@pytest.mark.parametrize(
    "form",
    [
        "Okay.\n{}\n{}", "---\n{}\n---\n{}", "1. {}\n---\n2. {}", "Q1. {}\nQ2. {}",
        "**Question 1**: {}\n**Question 2**: {}", "#1 {}\n#2 {}", "1\\. {}\n2\\. {}",
        "Question No. 1: {}\nQuestion No. 2: {}", "Query 1 - {}\nQuery 2 - {}",
        "<ol>\n<li>{}</li>\n<li>{}</li>\n</ol>", "* 1. {}\n* 2. {}", "* **{}**\n* **{}**",
        "i) {}\nii) {}", "a. {}\nb. {}", "First: {}\nSecond: {}", "[Q1] {}\n[Q2] {}",
        "First question: {}\nSecond question: {}", "[en] {}\n[en] {}", "en: {}\nen: {}",
        "**Question 1:**\n{}\n\n**Question 2:**\n{}", "### Question 1\n{}\n### Question 2\n{}",
        "<answer>{}\n{}</answer>", "Assistant: {}\n{}", "Final answer:\n{}\n{}",
        "{}\n{}\n\nNote: both are answered by the passage.", "```\n{}\n```\n```\n{}\n```",
        '[{{"id": 1, "question": "{}"}}, {{"id": 2, "question": "{}"}}]', '["{}"]\n["{}"]',
        "¹ {}\n² {}", "No | Question\n---|---\n1 | {}\n2 | {}",
        "<reasoning_content>Well?</reasoning_content>\n{}\n{}", "१। {}\n२। {}", "१) {}\n२) {}",
        "а) {}\nб) {}", "α. {}\nβ. {}", "أ. {}\nب. {}", "الف) {}\nب) {}", "א. {}\nב. {}",
        "가. {}\n나. {}", "ア. {}\nイ. {}", "(क) {}\n(ख) {}", "ক) {}\nখ) {}", "ก. {}\nข. {}",
    ],
)  # fmt: skip
def test_other_forms_of_lists(form):
    assert parse_answer(form.format(*TWO), "en", 2) == TWO


@pytest.mark.parametrize(
    "line",
    [
        "متأسفم، نمی‌توانم در این مورد کمک کنم.", "Ma binu, mi o le ran o lowo.",
        "ይቅርታ፣ መርዳት አልችልም።", "Yi hakuri, ba zan iya taimakawa ba.",
        "Ndo, enweghị m ike inye aka.", "Mbabarira, sinshobora.",
        "Uxolo, angikwazi ukusiza ngalokho.", "တောင်းပန်ပါတယ်၊ ကျွန်တော် ကူညီလို့ မရပါဘူး။",
        "សូមទោស ខ្ញុំមិនអាចជួយបានទេ។", "Žao mi je, ne mogu pomoći.", "Paumanhin, hindi ko kaya.",
    ],
)  # fmt: skip
def test_refusals_in_the_language_that_was_asked_for(line):
    assert parse_answer(line, "en", 1, questions=False) == "refusal"
    assert first_answer(line, "en") == ""


def test_a_space_before_the_mark_makes_no_other_question():
    assert parse_answer("Qui l'a fait ?\nQui l'a fait?", "fr", 2) == "twice the same"
    different = ["What is C++?", "What is C?"]
    assert parse_answer("\n".join(different), "en", 2) == different


@pytest.mark.parametrize(
    ("language", "line", "good"),
    [
        ("ja", "オルガンはいつ作られましたか。", True),
        ("ja", "オルガンは古いです。", False),
        ("zh", "管风琴是哪年造的呢。", True),
        ("zh", "管风琴很古老。", False),
        ("am", "ኦርጋኑ መቼ ተሠራ፧", True),
        ("el", "Πότε χτίστηκε;", True),
        ("ar", "متى بني الأرغن؟", True),
        ("fi", "urkujen rakennusvuosi", True),
        ("fi", "Urut ovat vanhat.", False),
        ("en", "What is the capital of the U.S.", True),
    ],
)
def test_statements_are_no_questions(language, line, good):
    assert parse_answer(line, language, 1) == ([line] if good else "no question")
    assert parse_answer(line, language, 1, questions=False) == [line]


WORDS = st.sampled_from("organ pipes Lahti built in who of Berta's 1701 3.5 12:30 lake's".split())
STARTS = st.sampled_from([
    "", "1984 ", "3.5 mm ", "12:30 ", "C# ", "-5 ", "2. Weltkrieg ", "A. Lincoln ", "7 ", "100. ",
    "1/2 ", "*args ", "#metoo ", "e.g. ", "[Ru] ", "$5 ", "+358 ", "'Tis ",
    "1,000 ", "90's ", "U.S. ", "What is ", "Here is ", "Question time ", "Query by ",
])  # fmt: skip
INSIDE = st.sampled_from([
    '"b"', "*c*", "**d**", "`e`", "<s>", "[MASK]", "a:b", "1. b", "“f”", "«g»", "(h)", "_i_", "#3",
])  # fmt: skip


@pytest.mark.parametrize(
    ("said", "query"),
    [
        ("Here is the organ of 12:30?", "Here is the organ of 12:30?"),
        ("Here is what organ a:b?", "Here is what organ a:b?"),
        ("Here is one for 12:30: Who built the organ?", "Who built the organ?"),
        ("Here is the question:Who built the organ?", "Who built the organ?"),
        ("Here is the question：Who built the organ?", "Who built the organ?"),
    ],
)
def test_a_colon_inside_a_word_introduces_nothing(said, query):
    assert parse_answer(said, "en", 1) == [query]
    assert first_answer(said, "en") == query


@st.composite
def honest(draw):
    """A question with what a parser may stumble over at its beginning and in its middle."""
    words = draw(st.lists(WORDS | INSIDE, min_size=1, max_size=6))
    first, last = "organ", draw(WORDS)  # digits alone are in no language
    return draw(STARTS) + " ".join([first, *words, last]) + "?"


def numbered(form):
    return lambda found: [form.format(n, text) for n, text in enumerate(found, 1)]


def around(form):
    return lambda found: [form.format(text) for text in found]


LISTS = {
    "plain": around("{}"), "1. ": numbered("{}. {}"), "1) ": numbered("{}) {}"),
    "(1) ": numbered("({}) {}"), "**1.** ": numbered("**{}.** {}"), "Q1: ": numbered("Q{}: {}"),
    "Question 1: ": numbered("Question {}: {}"), "**Q1:** ": numbered("**Q{}:** {}"),
    "質問1：": numbered("質問{}：{}"), "- ": around("- {}"), "• ": around("• {}"),
    "* ": around("* {}"),
    "> ": around("> {}"), "Question: ": around("Question: {}"), "English: ": around("English: {}"),
}  # fmt: skip
WRAPS = {
    "": "{}", '"': '"{}"', "“": "“{}”", "«": "«{}»", "「": "「{}」", "**": "**{}**", "`": "`{}`",
    "<q>": "<q>{}</q>",
}  # fmt: skip
FRAMES = [
    "{}", "{}\n", "\n\n{}", "<think>\nWho? hm\n</think>\n\n{}", "hm, who?</think>{}",
    "<|im_start|>assistant\n{}<|im_end|>", "{}</s>", "<s>[INST] Write! [/INST] {}</s>",
    "{}<|eot_id|>", "{}<end_of_turn>\n<start_of_turn>user\nMore!", "```\n{}\n```",
    "Here are the questions:\n{}", "Sure! Here are some questions.\n\n{}\n\nI hope this helps!",
    "<|channel|>final<|message|>{}<|return|>", "\ufeff{}", "<answer>\n{}\n</answer>",
]  # fmt: skip


@fuzz
@given(
    st.lists(honest(), min_size=1, max_size=4, unique_by=str.lower),
    st.sampled_from(sorted(LISTS)),
    st.sampled_from(sorted(WRAPS)),
    st.sampled_from(FRAMES),
)
def test_honest_queries_come_back_as_they_were(queries, marks, wrap, frame):
    assume(not any(mark in text for text in queries for mark in wrap + WRAPS[wrap][-1:] if wrap))
    assume(not wrap or not any(text[0] in "*'\"`" for text in queries))
    # One line alone may begin with an ordinal number.
    assume(len(queries) > 1 or marks != "1. " or not queries[0][0].islower())
    lines = LISTS[marks](around(WRAPS[wrap])(queries))
    assert parse_answer(frame.format("\n".join(lines)), "en", len(queries)) == queries


@fuzz
@given(st.lists(honest(), min_size=1, max_size=4, unique_by=str.lower), st.integers(0, 6))
def test_json_brings_them_back_as_they_were(queries, shape):
    value = [
        queries,
        {"questions": queries},
        [{"question": text, "answer": "An organ."} for text in queries],
        {f"question_{n}": text for n, text in enumerate(queries)},
        {str(n): text for n, text in enumerate(queries, 1)},
        {"language": "en", "result": {"queries": queries}},
        {"en": queries},
    ][shape]
    for text in (json.dumps(value), "Here:\n```json\n" + json.dumps(value, indent=2) + "\n```"):
        assert parse_answer(text, "en", len(queries)) == queries


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | honest()
KEYS = st.sampled_from(["questions", "question", "1", "q1", "text", "content", "error"]) | st.text(
    max_size=3
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
MARKS = st.sampled_from([
    "<think>", "</think>", "<|im_end|>", "</s>", "```", "```json\n", "[", "{", '["', "\n", "\r",
    "\u2028", "1. ", "Q1: ", "**", '"', "?", ":", "<|channel|>", "final", "<|message|>",
    "assistant", "\ud800", "[INST]", "[/INST]", "\ufeff", "①", "１．", "- ",
    "<q>", "</q>", "I'm sorry", "Who?",
])  # fmt: skip


def check(found, count):
    """Either a fault in words, or so many lines of text."""
    if isinstance(found, str):
        assert found
        return
    assert len(found) == count
    for text in found:
        assert type(text) is str
        assert text == text.strip()
        assert len(text.splitlines()) == 1
        assert any(map(str.isalnum, text))
        text.encode()


@fuzz
@given(VALUES, st.integers(1, 3), st.sampled_from(["{}", "Here: {}", "```json\n{}\n```", "{} x"]))
def test_any_json_is_queries_or_a_fault(value, count, frame):
    text = frame.replace("{}", json.dumps(value))
    check(parse_answer(text, "en", count), count)
    assert type(first_answer(text, "en")) is str


@fuzz
@given(st.lists(MARKS | st.text(max_size=6) | honest(), max_size=12).map("".join), st.booleans())
def test_any_text_is_queries_or_a_fault(text, questions):
    for count in (1, 2):
        check(parse_answer(text, "en", count, questions=questions), count)
    first = first_answer(text, "en")
    assert len(first.splitlines()) <= 1
    assert type(without_marks(text)) is str
    assert without_thoughts(text) is None or without_thoughts(text).strip()


COMPLETIONS = VALUES | st.fixed_dictionaries(
    {},
    optional={
        "choices": VALUES
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "message": VALUES
                    | st.fixed_dictionaries(
                        {},
                        optional={
                            "content": VALUES
                            | st.lists(
                                st.fixed_dictionaries(
                                    {},
                                    optional={
                                        "type": st.sampled_from(["text", "thinking", "x"]) | VALUES,
                                        "text": LEAVES,
                                    },
                                ),
                                max_size=3,
                            ),
                            "refusal": VALUES,
                        },
                    ),
                    "finish_reason": st.sampled_from(["stop", "length"]) | VALUES,
                },
            ),
            max_size=2,
        ),
        "error": VALUES | st.fixed_dictionaries({}, optional={"code": LEAVES, "message": VALUES}),
        "usage": VALUES | st.fixed_dictionaries({}, optional={"prompt_tokens": LEAVES}),
    },
)


@pytest.mark.parametrize("kind", [[], {}, None, 1, "image_url"])
def test_parts_of_another_type(kind):
    content = json.dumps({"choices": [{"message": {"content": [{"type": kind, "text": "a"}]}}]})
    assert read_completion(content.encode()) == Answer("", "content of another shape")


@fuzz
@given(COMPLETIONS.map(json.dumps).map(str.encode) | st.binary(max_size=30))
def test_any_completion_is_text_or_a_fault(content):
    found = read_completion(content)
    if isinstance(found, Answer):
        assert type(found.text) is type(found.fault) is str
        assert type(found.prompt_tokens) is type(found.completion_tokens) is int
        found.text.encode()
    else:
        assert isinstance(found, ServerError | str)
        assert "\n" not in (found if isinstance(found, str) else found.message)
