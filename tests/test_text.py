"""HTML and other markup become text: nothing of the text is lost, and no input takes long."""

import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_nanogpt.data import html as html_module
from datasette_nanogpt.data.documents import join_document
from datasette_nanogpt.data.html import html_to_text, looks_like_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Fish &amp; chips &#8211; &lt;b&gt;</p>", "Fish & chips – <b>"),
        (
            "<h1>One</h1>\n<p>Two\n  three<br>four</p><div>a</div><div>b</div>",
            "One\n\nTwo three\nfour\n\na\nb",
        ),
        ('<p>See <a href="/x">this <b>page</b></a>, <i>now</i>.</p>', "See this page, now."),
        ('<p><img src="c.png" alt="A cat"> sat</p>', "A cat sat"),
        ("<p>a</p><script>b()</script><style>c</style><!-- d --><noscript>e</noscript>f", "a\n\nf"),
        ("a&nbsp;&nbsp;b<b> c </b>d", "a b c d"),
        ("<p>x<br><br><br><br>y</p><p></p><p> </p>", "x\n\ny"),
        ("E = mc<sup>2</sup>, 1<sup>st</sup>", "E = mc^2, 1st"),
        ('So it is<sup><a href="#fn1">1</a></sup>.', "So it is[1]."),
    ],
)
def test_html_is_read_as_text(html, text):
    assert html_to_text(html) == text


def test_pre_is_verbatim():
    code = "def f():\n\n\treturn  1   # <&>\n\n    \n  x"
    marked = code.replace("&", "&amp;").replace("<", "&lt;").replace("return", "<b>return</b>")
    html = f"<ul><li>See<pre><code>{marked}\n</code></pre>then</li></ul><pre>  a<br> b</pre>"
    assert html_to_text(html) == f"- See\n\n{code}\n\n  then\n\n  a\n b"


def test_lists_are_indented_and_numbered():
    html = """
    <ul><li>a<ul>
        <li>b</li><li></li><li><p>c</p><p>d</p></li>
    </ul></li><li>e</li></ul>
    <ol start="9"><li>f<li>g</ol>"""
    assert html_to_text(html) == "- a\n  - b\n  - c\n\n    d\n\n- e\n\n9. f\n10. g"


def test_table_rows_become_lines():
    html = """
    <table><thead><tr><th>A</th> <th>B</th> <th>C</th></tr></thead>
    <tr><td></td><td><p>1</p></td><td> <code>2</code> </td></tr>
    <tr><td>3</td><td></td><td></td></tr>
    <tr><td>4</td><td></td><td>5</td></tr></table>after"""
    assert html_to_text(html) == "A | B | C\n | 1 | 2\n3\n4 |  | 5\n\nafter"


def test_text_without_tags_keeps_its_lines():
    assert html_to_text("Fish &amp; chips:\n\n  1 < 2\n") == "Fish & chips:\n\n  1 < 2"


@pytest.mark.parametrize("tag", ["<div>", "<b>", "<ul><li>", "<table><tr><td>", "</p>", "<pre>", "<sup>"])
def test_deep_nesting_costs_no_text_and_no_recursion(tag):
    text = html_to_text(f"<p>a{f'{tag}1' * 5_000}b")
    assert text.endswith("b")
    assert text.count("1") >= 5_000
    assert len(text) < 300_000


PIECES = "<p> <li> <ul> </ul> <pre> </pre> <td> <tr> </table> <br> a & &lt;"


@given(st.lists(st.sampled_from([*PIECES.split(), "\n"])))
def test_any_html_has_a_text(pieces):
    text = html_to_text("".join(pieces))
    assert text.count("a") == pieces.count("a")
    assert not re.search("</?(p|li|ul|pre|td|tr|table|br)>", text)
    assert text == text.rstrip()


@given(st.text())
def test_any_string_is_a_document(text):
    for made in (join_document(text, [text]), html_to_text(text)):
        made.encode()
        assert made == made.rstrip()


@pytest.mark.parametrize(
    "text",
    [
        "<p>Hello",
        "First words<p>HTML of Hacker News&#x27;s kind<p>has bare paragraphs",
        "<!doctype html><html><body>x</body></html>",
        "one<br>two<br/>three",
        '<div class="x">\n<pre># not markdown\n- really</pre>\n</div>',
        "<h2>T</h2>\n<ul>\n<li>a</li>\n</ul>",
    ],
)
def test_html_is_seen(text):
    assert looks_like_html(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "if a < b and c > d: pass",
        "I <b>really</b> mean it, see <a href='x'>this</a>",
        "Write to <me@example.com> or <https://example.com>",
        "The <p> tag, and a <div>, are block tags; so is `<ul>`.",
        "# Title\n\n```html\n<div>\n<p>x</p>\n</div>\n```\n",
        '# Title\n\n<p align="center"><img src="x"></p>\n\n- one\n- two\n- [three](x)\n',
    ],
)
def test_text_and_markdown_are_left_alone(text):
    assert not looks_like_html(text)


def test_a_document_is_its_title_and_its_texts_cleaned():
    body = "\r\n    indented\rlines\r\n\x00\x07\ufeff\ud800end  \n\n"
    assert (
        join_document(" A\n title ", [body, " \n", "more"]) == "A title\n\n    indented\nlines\nend\n\nmore"
    )
    assert join_document(None, ["x"]) == join_document("x", []) == "x"
    assert join_document("", ["\x00", "\n"]) == ""


@pytest.mark.parametrize("unit", ["<div>a", "<ul><li>a", "<sup>a", "<table><tr><td>a", "<b><font>a<p>"])
def test_elements_that_never_end(unit):
    html = unit * 20_000  # took up to 40 s while the whole was parsed at once
    started = time.process_time()
    text = html_to_text(html)
    assert time.process_time() - started < 5
    assert text.count("a") == 20_000


def test_many_elements_that_end_are_not_cut():
    items = "".join(f"<li><div>{i}</div>" for i in range(2000))
    assert html_to_text(f"<ol>{items}</ol>").endswith("\n2000. 1999")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        # WordPress' classic editor, Textile, markdown with tags
        (
            "One.\n\nTwo <em>words</em>.\n\n<h2>Part</h2>\n\nThree\nlines.",
            "One.\n\nTwo words.\n\nPart\n\nThree\nlines.",
        ),
        ("One.\n\n<strong>Two.</strong>\n\n<img alt='A boat'>\n\nThree.", "One.\n\nTwo.\n\nA boat\n\nThree."),
        ("a\r\n\r\nb <i>c</i>", "a\n\nb c"),
        ("a\n \n\t\n\n\nb <i>c</i>", "a\n\nb c"),
        ("Roses <b>are</b> red,\nviolets are blue", "Roses are red,\nviolets are blue"),
        ("One.\n\n<blockquote>Said\n\ntwice</blockquote>\n\nTwo.", "One.\n\nSaid\n\ntwice\n\nTwo."),
        ("One.\n\n<ul>\n\n<li>a\n\nb</li>\n\n<li>c</li>\n\n</ul>\n\nTwo.", "One.\n\n- a b\n- c\n\nTwo."),
        ("One.\n\n<pre>x\n\ny</pre>\n\nTwo.", "One.\n\nx\n\ny\n\nTwo."),
        ("<div>One.\n\nTwo.</div>\n\n<div>Three</div>\n\nFour <i>x</i>", "One.\n\nTwo.\nThree\n\nFour x"),
        ("<p style='x'>One.</p>\nTwo\nwrapped.\n\nThree.", "One.\n\nTwo wrapped.\n\nThree."),
        # HTML, in which lines of the source mean nothing
        ("<p>One\n\ntwo</p>\n\n\n<p>three\nfour</p>", "One two\n\nthree four"),
        ("<div>one</div>\n\n<div>two</div>", "one\ntwo"),
        ("<table>\n\n<tr>\n\n<td>a\n\nb</td>\n\n<td>c</td></tr></table>", "a b | c"),
        ("<div>\n\n  <h1>T</h1>\n\n  <div>x\ny</div>\n\n</div>", "T\n\nx y"),
    ],
)
def test_blank_lines_between_texts_are_paragraphs(html, text):
    assert html_to_text(html) == text


WORDS = [
    "one",
    "&amp;",
    "<b>two</b>",
    "<a href='/x'>three</a>",
    "x<sup>2</sup>",
    "line\nbreak",
    "<br>",
    "<span class='x'>four</span>",
    "<b>five <i>six<br>seven</i></b>",
    "\n\n",
]
BLOCKS = [
    "<p>{}</p>\n",
    "<p>{}\n",
    "<h2>{}</h2>",
    "{}",
    "<pre>{}\n\n  {}\n</pre>",
    "<!-- <p>{}</p> <ul> -->",
    "<script>write('<p>{}</p>')</script>",
    '<p title="<p>no</p> <p>">{}</p>',
    "<ul>\n<li>{}</li><li>{}<ol start=7><li>{}<li>{}</ol></ul>",
    "<ol><li>{}\n<li><p>{}</p></ol>",
    "<dl><dt>{}</dt><dd>{}</dd>\n<dt>{}<dd>{}</dl>",
    "<table><tr><td>{}</td><td>{}</td></tr>\n<tr><td>{}</td></tr></table>",
    "<table><tbody><tr><td>{}<tr><td>{}</tbody></table>",
]
OUTER = [
    "{}",
    "<div>{}</div>",
    "<div>{}</div>after",
    "<article>{}",
    "<blockquote>{}</blockquote>",
    "<form>{}",
]


def some_html(chance):
    """Well-formed or nearly so, with what browsers forgive: end tags left out, text outside of elements."""

    def filled(block):
        return re.sub(r"\{\}", lambda _: " ".join(chance.choices(WORDS, k=chance.randint(1, 5))), block)

    text = ""
    for _ in range(12):
        text = chance.choice(OUTER).replace("{}", text + filled(chance.choice(BLOCKS)))
    head = "<!doctype html><html><head><title>no</title></head><body>" if chance.random() < 0.3 else ""
    return head + text


@pytest.mark.parametrize("length", [1, 40, 300])
def test_a_long_html_text_is_read_in_pieces_as_if_whole(monkeypatch, length):
    for seed in range(60):
        html = some_html(random.Random(seed))
        whole = html_to_text(html)
        with monkeypatch.context() as short:
            short.setattr(html_module, "PIECE", length)
            assert len(list(html_module._pieces(html))) > 1 or length == 300
            assert html_to_text(html) == whole, seed


def test_pieces_that_were_cut_where_they_should_not_be_still_have_a_text(monkeypatch):
    """No cut may fail, also where a parser and the tags disagree."""
    monkeypatch.setattr(html_module, "PIECE", 1)
    broken = [
        "<form><ul><form></ul><li>a<li>b",
        "<noframes><p>a</p><p>b</noframes>c",
        "<ul></select><li>a</ul></ul>",
    ]
    for chance in map(random.Random, range(100)):
        tags = re.findall(r"<[^>]*>|[^<]+", some_html(chance))
        broken.append("".join(chance.sample(tags, len(tags))))
    for html in broken:
        html_to_text(html)


@pytest.mark.parametrize(
    ("before", "part", "after"),
    [
        ("<div>", "<p>Paragraph {} <b>of</b> many.</p>\n", "</div>"),
        ("<div>", "Line {} of <b>many</b> lines.<br>\n", "</div>"),
        ("<p>", "<a href='/x'>Link {} of many</a>, ", "</p>"),
        ("<p><span>", "</span><span>Span {} of many spans ", "</span></p>"),
        ("<dl>", "<dt>Word {}</dt><dd>What it means, and why</dd>", "</dl>"),
    ],
)
def test_a_long_html_text_takes_little_memory(before, part, after):
    html = before + "".join(part.replace("{}", str(i)) for i in range(60_000)) + after
    pieces = [piece for piece, _ in html_module._pieces(html)]
    assert max(map(len, pieces)) < 1.1 * html_module.PIECE < len(html) and "".join(pieces) == html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<![CDATA[<p>Hello</p><p>there</p>]]>", "Hello\n\nthere"),
        ("\n<![CDATA[Tom &amp; Ann]]>\n", "Tom & Ann"),
        ("<p>if <![CDATA[x < y && z]]> then</p>", "if x < y && z then"),
        ("<p>So:</p><x:code><![CDATA[a <b>\n  c]]></x:code><p>End</p>", "So:\n\na <b>\n  c\n\nEnd"),
        ("<p>a</p><![CDATA[b", "a"),
        (
            "So<ac:structured-macro ac:name='code'><ac:parameter ac:name='language'>sql</ac:parameter>"
            "<ac:plain-text-body><![CDATA[select 1]]></ac:plain-text-body></ac:structured-macro>there",
            "So\n\nselect 1\n\nthere",
        ),
    ],
)
def test_cdata_is_read(html, text):
    assert html_to_text(html) == text


def test_the_menus_of_a_page_are_left_out():
    menu = "<nav class='top'><ul><li>Home</li></ul></nav><p>Text</p>"
    assert html_to_text(f"<html><body>{menu}</body></html>") == "Text"
    assert html_to_text(menu) == "- Home\n\nText"
    assert html_to_text("<body><nav>a</nav>b<NAV>c</NAV>d<nav>e") == "b\n\nd\n\ne"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('We met <lj user="ada"> there. <b>Then</b> she left.', "We met ada there. Then she left."),
        ('<p>See <lj comm="mills"/>, <user name="bob"></user>.</p>', "See mills, bob."),
        ('<p><span user="ben">@Ben</span> and <i user="12">x</i></p>', "@Ben and x"),
        ("<body><p>Text</p><footer>All rights reserved</footer></div></body>", "Text"),
        ("<body><blockquote>A<footer>Ada</footer></blockquote><p>Text</p></body>", "A\n\nAda\n\nText"),
        ("<p>Text</p><footer>Ada</footer>", "Text\n\nAda"),
        ("<body></footer><p>Text<footer>Ada", "Text\n\nAda"),
    ],
)
def test_names_in_tags_and_the_footers_of_pages(html, text):
    assert html_to_text(html) == text


@pytest.mark.parametrize("tag", ["section", "sec", "chapter"])
def test_the_title_of_a_section_is_read(tag):
    xml = f"<{tag} id='a'>\n<title><p>The boat</p></title><p>It left.</p></{tag}>"
    assert html_to_text(xml) == "The boat\n\nIt left."
    page = f"<html><head><title>A page</title></head><body>{xml}</body></html>"
    assert "A page" not in html_to_text(page)


def test_what_has_no_end_takes_no_time_by_the_square():
    for piece in ("<nav>", "<![CDATA[", "<body><nav>"):
        html_to_text("<body>]]></nav>" + piece * 20_000)
