"""Sections as text, CSV, LaTeX, PNG and a page, and the folder that holds them."""

from __future__ import annotations

import base64
import csv
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from pyserini_xqg.base.errors import XqgError
from pyserini_xqg.evaluate.report.forms import as_csv, as_latex, as_png, as_text, escape
from pyserini_xqg.evaluate.report.publish import Page, gathering, publish
from pyserini_xqg.evaluate.report.sections import Plot, Section, Table

TELUGU = "మౌంట్ రైనర్ ఏ దేశంలో ఉంది?"
TABLE = Table(
    "by-language",
    "Gain by language, % & <more>",
    ["run", "ar", "te", "topic"],
    [["plain_1", 11.25, -3.14159, TELUGU], ["xQG", None, np.float32(0.5), "<b>"], ["n", 90, 7, ""]],
    formats={"ar": ".1f", "te": ".2f"},
    marks={(0, 1): "†", (1, 2): "‡*"},
    note="50 % of $x$",
    intervals={(0, 2): (-4.04, 1.26)},
    languages={(0, 3): "te"},
)
PLOT = Plot("bars", 'Bars by "language"', lambda axes: axes.bar([1, 2], [3, 4]))
SECTIONS = [
    Section("First", ["Some text.", "More."], [TABLE], [PLOT], ["python -m x <y>"]),
    Section("Second", caveat="A pipeline check & no evidence"),
]


def test_text():
    lines = as_text(SECTIONS).splitlines()
    at = lines.index("run         ar           te  topic")
    assert lines[at + 1 : at + 6] == [
        f"plain_1  11.2†        -3.14  {TELUGU}",
        "                [-4.0, 1.3]",
        "xQG                  0.50‡*  <b>",
        "n           90            7",
        "50 % of $x$",
    ]
    assert lines[:4] == ["First", "=====", "Some text.", "More."]
    assert '[plot: Bars by "language"]' in lines
    assert "  python -m x <y>" in lines
    assert lines[-2:] == ["======", "A pipeline check & no evidence"]


def test_wide_and_joining_characters_are_counted_as_terminals_show_them():
    table = Table("t", "t", ["a", "b"], [["日本", 1], ["é", 2]])  # the e and its accent: two
    assert as_text([Section("s", tables=[table])]).splitlines()[4:] == [
        "a     b",
        "日本  1",
        "é     2",
    ]


def test_csv_is_unrounded_and_has_the_ends_of_intervals():
    rows = list(csv.reader(as_csv(TABLE).splitlines()))
    assert rows == [
        ["run", "ar", "te", "te low", "te high", "topic"],
        ["plain_1", "11.25", "-3.14159", "-4.04", "1.26", TELUGU],
        ["xQG", "", "0.5", "", "", "<b>"],
        ["n", "90", "7", "", "", ""],
    ]


def test_latex():
    lines = as_latex(TABLE).splitlines()
    assert r"\caption{Gain by language, \% \& \textless{}more\textgreater{}}" in lines
    assert r"\begin{tabular}{lrrl}" in lines
    assert rf"plain\_1 & 11.2$^{{\dagger}}$ & $-$3.14 & {TELUGU} \\" in lines
    assert r" &  & {\tiny [-4.0, 1.3]} &  \\" in lines
    assert r"xQG &  & 0.50$^{\ddagger*}$ & \textless{}b\textgreater{} \\" in lines
    assert [line for line in lines if line.endswith("rule")] == [
        r"\toprule", r"\midrule", r"\bottomrule",
    ]  # fmt: skip
    assert r"\par\smallskip{\footnotesize 50 \% of \$x\$}" in lines
    assert as_latex(TABLE).count("{") == as_latex(TABLE).count("}")
    assert escape("\\{}~^#|") == (
        r"\textbackslash{}\{\}\textasciitilde{}\textasciicircum{}\#\textbar{}"
    )


def test_a_row_that_begins_with_a_bracket_is_no_option_of_the_line_before():
    assert r"{}[a] & 1 \\" in as_latex(Table("t", "t", ["x", "y"], [["[a]", 1]])).splitlines()


class Parsed(HTMLParser):
    """The tags of a page, with their attributes, and whether each is closed."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_the_folder(tmp_path, capsys):
    publish(SECTIONS, tmp_path / "out", "Title & <more>")
    assert capsys.readouterr().out.startswith("First\n=====\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "bars.png", "by-language.csv", "by-language.tex", "index.html",
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    assert (tmp_path / "out/by-language.csv").read_text() == as_csv(TABLE)
    assert (tmp_path / "out/by-language.tex").read_text() == as_latex(TABLE)
    assert (tmp_path / "out/bars.png").read_bytes().startswith(b"\x89PNG")


def test_the_page_needs_nothing_else(tmp_path):
    publish(SECTIONS, tmp_path / "out", "Title & <more>")
    page = (tmp_path / "out/index.html").read_text()
    parsed = Parsed(page)
    assert not parsed.open
    assert not re.search(r"https?:|<script|<link|@import|url\(", page)
    assert all(
        value.startswith(("data:", "#"))
        for _, attrs in parsed.tags
        for name, value in attrs.items()
        if name in ("src", "href")
    )
    (picture,) = parsed.of("img")
    assert picture["alt"] == 'Bars by "language"'
    kind, _, content = picture["src"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(content) == (tmp_path / "out/bars.png").read_bytes()
    links = {attrs["download"]: attrs["href"].partition(",")[2] for attrs in parsed.of("a")}
    assert base64.b64decode(links["by-language.csv"]).decode() == as_csv(TABLE)
    assert base64.b64decode(links["by-language.tex"]).decode() == as_latex(TABLE)


def test_the_page_says_everything_once_escaped(tmp_path):
    publish(SECTIONS, tmp_path / "out", "Title & <more>")
    parsed = Parsed((tmp_path / "out/index.html").read_text())
    for text in ("Title & <more>", "Gain by language, % & <more>", "Some text.", "50 % of $x$",
                 "A pipeline check & no evidence", "python -m x <y>", TELUGU, "<b>", "11.2", "†",
                 "‡*", "[-4.0, 1.3]"):  # fmt: skip
        assert text in parsed.text
    assert {"class": "caveat"} in parsed.of("p")
    heads = [attrs.get("class") for attrs in parsed.of("th")]
    assert heads == ["text", None, None, "text"]  # above their columns, to the left or right
    cells = parsed.of("td")
    assert {"class": "text name", "dir": "auto", "lang": "te"} in cells
    assert len(cells) == 12
    assert parsed.of("html") == [{"lang": "en"}]
    assert parsed.of("meta")[1]["content"].startswith("width=device-width")
    # a table is wider than a phone: it scrolls in a box of its own, which the keyboard reaches
    boxes = [attrs for attrs in parsed.of("div") if attrs.get("class") == "scroll"]
    assert [box["tabindex"] for box in boxes] == ["0", "0"]


def test_an_existing_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(XqgError, match="out exists; give another name, or --overwrite to replace"):
        publish(SECTIONS, tmp_path / "out", "T")
    assert "First" in capsys.readouterr().out  # what was computed is not lost
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
    publish(SECTIONS, tmp_path / "out", "T", overwrite=True)
    assert not (tmp_path / "out/mine").exists()
    assert (tmp_path / "out/index.html").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_no_half_written_folder(tmp_path, monkeypatch):
    def broken(axes):
        raise ValueError("no data")

    publish(SECTIONS, tmp_path / "out", "T")
    with pytest.raises(ValueError, match="no data"):
        publish(
            [Section("s", plots=[Plot("p", "p", broken)])], tmp_path / "out", "T", overwrite=True
        )
    assert (tmp_path / "out/bars.png").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_names_are_used_once(tmp_path):
    with pytest.raises(XqgError, match=r"two tables or plots are called by-language\.csv"):
        publish([Section("s", tables=[TABLE, TABLE])], tmp_path / "out", "T")
    assert not list(tmp_path.iterdir())


def test_gathering_instead_of_publishing(tmp_path, capsys):
    with gathering() as found:
        publish(SECTIONS, tmp_path / "out", "T")
        with gathering() as inner:
            publish(SECTIONS[:1], None, "U")
    assert found == [Page("T", SECTIONS)]
    assert inner == [Page("U", SECTIONS[:1])]
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""
    publish(SECTIONS, None, "T")
    assert "First" in capsys.readouterr().out


def test_plots_have_the_colours_of_okabe_and_ito():
    seen = []
    as_png(Plot("p", "p", lambda axes: seen.extend(axes.bar([i], [1]) for i in range(2))))
    assert [bar[0].get_facecolor()[:3] for bar in seen] == [
        (0.0, 0x72 / 255, 0xB2 / 255),
        (0xD5 / 255, 0x5E / 255, 0.0),
    ]


def test_a_long_report_is_cut_at_a_screen(capsys, tmp_path):
    rows = [[f"topic {row}", float(row)] for row in range(60)]
    sections = [Section("Scores", ["The answer."], [Table("t", "By topic", ["topic", "%"], rows)])]
    publish(sections, None, "Scores", full=False)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 40
    assert said[2] == "The answer."
    assert said[-1] == "... 27 more lines: --full, or written by --output DIR"
    publish(sections, tmp_path / "report", "Scores", full=False)
    assert capsys.readouterr().out.rstrip().endswith(f"or in {tmp_path / 'report'}")
    publish(sections, None, "Scores")
    assert len(capsys.readouterr().out.splitlines()) > 60
