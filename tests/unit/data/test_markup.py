from __future__ import annotations

import time

import pytest

from sparse_attention.data.markup import MIN_ITEM, Renderer
from sparse_attention.data.tex import plain_formula

LONG = "This item is long enough to be counted as prose, since it is a whole sentence of its own."


def render(wikitext: str, **options: object) -> str:
    return Renderer(**options).render(wikitext)


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("'''Anarchism''' is a ''[[political philosophy]]''.", "Anarchism is a political philosophy."),
        ("See [[self-governance|self-governed]] [[stateless]]s.", "See self-governed statelesss."),
        ("A fact.<ref name=a>Some ''source''.</ref> Another.<ref name=a/>", "A fact. Another."),
        ("It is [http://a.b/c called so] (http://a.b).", "It is called so."),
        ("A.[[File:A.png|thumb|A [[caption]] here.]] B.[[Category:X]] C.[[de:X]]", "A. B. C."),
        ("He saw [[:Category:X|X]], [[Media:x.ogg|x]]and Y.", "He saw X, and Y."),
        ("Water is H<sub>2</sub>O and 10<sup>6</sup>, the 1<sup>st</sup>.", "Water is H2O and 10^6, the 1st."),
        ("Fish &amp; chips&nbsp;cost &pound;5.", "Fish & chips cost £5."),
        ("Some text.<!-- not this --> __NOTOC__ More text.", "Some text. More text."),
        ("Use <code>x = 1</code> and <nowiki>[[this]]</nowiki>.", "Use x = 1 and this."),
        ("One\nparagraph goes\non.\n\nAnother begins.", "One paragraph goes on.\nAnother begins."),
        ("Before.\n{| class=wikitable\n! a\n|-\n| b || c\n|}\nAfter.", "Before.\nAfter."),
        ("Before.\n<gallery>\nFile:A.png|b\n</gallery>\nAfter.", "Before.\nAfter."),
        (f"* short\n* {LONG}\n# tiny", LONG),
        ("He said:\n: ''To be, or not.''\nand left.", "He said:\nTo be, or not.\nand left."),
        ("Label without an end\n\nA sentence.", "A sentence."),
        ("<poem>\nTyger, tyger,\nburning bright,\n</poem>", "Tyger, tyger,\nburning bright,"),
        ("A.\n<blockquote>Quoted words.</blockquote>\nB.", "A.\nQuoted words.\nB."),
        ("{|\n| an unclosed table\nText.", "Text."),
        ("", ""),
    ],
    ids=lambda value: value[:25],
)
def test_wikitext_becomes_prose(wikitext, text):
    assert render(wikitext) == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("The word {{lang|grc|ἀναρχία}} is Greek.", "The word ἀναρχία is Greek."),
        ("Albania ({{lang-sq|Shqipëri}}) lies there.", "Albania (Shqipëri) lies there."),
        ("It is {{convert|1300|mi|km}} away.", "It is 1300 miles away."),
        ("It covers {{convert|52419|sqmi|km2|abbr=out}}.", "It covers 52,419 square miles."),
        ("From {{convert|5|to|10|km}} and {{convert|6|ft|2|in|m}}.", "From 5 to 10 kilometres and 6 feet 2 inches."),
        ("Some {{convert|6.5|e6acre|e6ha}} there.", "Some 6.5 million acres there."),
        ("It is {{convert|-5|°F|°C}} and {{cvt|3|furlong}}.", "It is -5 °F and 3 furlong."),
        ("So {{nowrap|1=x = '''2'''}} and {{math|''y'' > 1}}.", "So x = 2 and y > 1."),
        ("{{As of|2010|12}}, and {{as of|2014|lc=y}} too.", "As of December 2010, and as of 2014 too."),
        ("Landed ({{age|1969|7|20}} years ago).", "Landed (46 years ago)."),
        ("Alkanes, {{chem|C|''n''|H|2''n''+2}}, burn.", "Alkanes, CnH2n+2, burn."),
        ("The {{frac|1|2}} and {{frac|3}} and {{frac|2|3|4}}.", "The 1/2 and 1/3 and 2 3/4."),
        ("{{Nihongo|'''Aikido'''|合気道|Aikidō}} is an art.", "Aikido (合気道, Aikidō) is an art."),
        ("{{Quote|Words of somebody.|Somebody}}", "Words of somebody."),
        ("The {{USS|Hornet|CV-12|6}} sailed{{snd}}slowly.", "The USS Hornet sailed – slowly."),
        ("A mass of {{val|1.00794|0.00007|u=u}}, or {{val|5|e=-3}}.", "A mass of 1.00794 ± 0.00007 u, or 5 × 10^-3."),
        ("Abc{{citation needed|date=May 2015}} def{{sfn|A|2000|p=3}}.", "Abc def."),
        ("{{Infobox person|name=A|born={{birth date|1900|1|1}}}}A was.", "A was."),
        ("A {{nowrap|{{small|{{lang|fr|mot}}}}}} inside.", "A mot inside."),
        ("Cost {{formatnum:12345}} and {{US$|5}}.", "Cost 12,345 and US$5."),
        ("It is {{formatnum:²²²²²}} or {{convert|²²²²²|m}}.", "It is ²²²²² or ²²²²² metres."),
        ("It was, {{as of|2010|²}}, {{age|²|1|1}}so.", "It was, As of ² 2010, so."),
        ("{{age|" + "9" * 5000 + "|1|1|2|2|2}}Some {{convert|1|" + "e3" * 2 + "m}}.", "Some 1 thousand e3m."),
        ("{{Unknown thing|a|b=c}} Text.", "Text."),
    ],
    ids=lambda value: value[:25],
)
def test_inline_templates_keep_their_words(wikitext, text):
    assert render(wikitext, date="2016-05-01") == text


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("Albedo ({{IPAc-en|x}}), or so, is.", "Albedo, or so, is."),
        ("Adobe ({{IPAc-en|x}}, {{respell|x}}; from Spanish) is.", "Adobe (from Spanish) is."),
        ("Earned $800 (${{Inflation|US|800|1861}} in 2016) then.", "Earned $800 then."),
        ("At (–5 or -3) and (-1).", "At (–5 or -3) and (-1)."),
        ("One {{x}} , two {{x}} ; three {{x}} .", "One, two; three."),
        ("A (born {{x}}, {{x}}) b.", "A (born) b."),
        ("A (x ; , – ; ) b ; , – c (y -) d.", "A (x) b; – c (y) d."),
        ("A (costs € a year) and (€ 5) and (b € ) c (€ d.", "A and (€ 5) and (b €) c (€ d."),
        ("A <b class=x and </i so <i>b.", "A <b class=x and </i so b."),
    ],
    ids=lambda value: value[:25],
)
def test_what_dropped_markup_leaves_is_repaired(wikitext, text):
    assert render(wikitext) == text


def test_sections_without_prose_are_left_out():
    wikitext = (
        "Lead.\n== History ==\nOld times.\n=== See also ===\n* x\n==== Deeper ====\nHidden.\n=== Later ===\n"
        "New times.\n== References and notes ==\nHidden.\n== Energy sources ==\nShown.\n"
        "== Selected bibliography ==\nHidden."
    )
    assert render(wikitext) == "Lead.\nOld times.\nNew times.\nShown."


def test_other_languages_names_for_files_and_categories():
    wikitext = "Text.[[Datei:A.png|mini|Bild.]] Mehr.[[Kategorie:X]]"
    assert render(wikitext, dropped_links={"datei", "kategorie"}) == "Text. Mehr."
    assert "mini" not in render("[[Datei:A.png|mini|Bild.]]", dropped_links={"datei"})


def test_formulas():
    assert render("Let <math>x_i \\le \\alpha^2</math> hold.") == "Let x_i ≤α^2 hold."
    assert render("It is:\n:<math>\\begin{matrix} a \\end{matrix}</math>.\nThen.") == "It is:\nThen."
    assert render("So <math>\\begin{matrix} a & b \\end{matrix}</math> is.") == "So formula is."


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\frac{1}{n}\sum_{i=1}^n a_i", "1/n∑_i=1^n a_i"),
        (r"\varepsilon \thicksim N(0, \sigma^2).\,", "ε~N(0, σ^2)."),
        (r"\bar{x}", "x"),
        (r"\{1, 2\}", "(1, 2)"),
        (r"\Lambda \lambda", "Λλ"),
        (r"\sin x", "sin x"),
        (r"\unknowncommand x", "formula"),
        ("x" * 61, "formula"),
        ("", ""),
    ],
)
def test_tex_as_text(tex, text):
    assert plain_formula(tex) == text


@pytest.mark.parametrize(
    "wikitext",
    [
        "{{{{",
        "[[[[a|b",
        "'''''a''b",
        "<ref>never closed",
        "{|\n{|\n|}",
        "== a\n=b=",
        "{{a|{{b|[[c}}",
        "\x02\x03",
        "}}]]",
    ],
)
def test_broken_wikitext_leaves_no_markup(wikitext):
    text = render(f"Start of the page. {wikitext}\n\n{LONG}")
    assert not any(mark in text for mark in ("{{", "}}", "[[", "]]", "''", "\x02", "\x03", "\x04"))


@pytest.mark.parametrize(
    "wikitext",
    [
        "{{convert|1|" + "e3" * 20_000 + "m}} long.",
        "{{formatnum:" + "9" * 20_000 + "}} long.",
        "{{convert" + "|1|to" * 4_000 + "}} long.",
        "a " + " ," * 50_000 + " b.",
        "a " + ";," * 50_000 + " b.",
        "a " + " - " * 50_000 + " b.",
        "a (" + "€ x" * 50_000 + " b.",
        "a <" + "b" * 100_000 + " b.",
        "a\n" * 300_000 + " b.",
        "=" * 1_000_000 + "\nWords.",
        "word " * 300_000 + "end.",
        "a '''''b ''c " * 2_000 + ".",
        "*" * 3_000 + " a.",
        "a <math>" + "\\frac{" * 20_000 + "x</math> b.",
    ],
    ids=lambda value: value[:20],
)
def test_long_runs_of_marks_take_little_time(wikitext):
    # by trying again from every place in a run they took minutes
    start = time.process_time()
    Renderer().render(wikitext)
    assert time.process_time() - start < 30


def test_the_shortest_list_item_that_is_kept():
    item = "x" * (MIN_ITEM - 1)
    assert render(f"* {item}") == "" and render(f"* {item}x") == f"{item}x"
