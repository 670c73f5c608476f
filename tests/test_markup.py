"""Markup that is neither HTML nor markdown, JSON with a text in it, and lists as Python and R print them."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasette_nanogpt.data.json_records import read_list, read_record
from datasette_nanogpt.data.markup import MARKUPS, find_markup, read_markup
from datasette_nanogpt.data.roff import read_roff
from datasette_nanogpt.data.text_kinds import kind_of
from datasette_nanogpt.data.values_as_text import read_text

UUID = "692fd360-5d58-c705-f979-d04af47aebdd"
PROSE = "The harbour was quiet, and the boats lay on the sand."

BBCODE = (
    f"[quote=ann;12]{PROSE}[/quote]\n[b]Not[/b] [i]so[/i]: [url=http://x.org/a]see here[/url].\n"
    "[img]x.gif[/img]"
)
OLD_PHPBB = (
    "[quote=&quot;ann&quot;:3fk2a1][quote:3fk2a1]a[/quote:3fk2a1]b[/quote:3fk2a1]"
    "Yes, [b:3fk2a1]now[/b:3fk2a1] &amp; then."
)
NEW_PHPBB = (
    "<r>Yes, <B><s>[b]</s>now<e>[/b]</e></B> "
    '<URL url="https://x.org"><s>[url]</s>there<e>[/url]</e></URL></r>'
)
LISTED = "[list]\n[*]one[/*]\n[*] two\n[/list]"
SRT = (
    "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Who is there?</i>\r\n\r\n"
    "2\r\n00:00:03,000 --> 00:00:04,000\r\nIt is\r\nI &amp; he.\r\n"
)
VTT = (
    "WEBVTT\nKind: captions\nLanguage: en\n\nNOTE made by hand\n\n"
    "00:01.000 --> 00:02.000 align:start position:0%\nso the<00:00:01.200><c> boat</c>\n\n"
    "00:02.000 --> 00:03.000\nso the boat\nleft the harbour\n"
)
WIKI = """{{Infobox town
| name = {{lang|de|X}}
}}
'''Old Harbour''' is a [[town|small town]] in [[Germany]].<ref>{{cite web|url=x}}</ref>
[[File:A.jpg|thumb|The [[harbour]] in winter]]

== History ==
It was ''founded'' in 1200.<ref name=a />
* One
* Two
{| class="wikitable"
! A !! B
|-
| 1 || 2
|}

== References ==
{{reflist}}
[[Category:Towns]]"""
MOIN = (
    "= Setup =\n<<TableOfContents(2)>>\n\nSee [[FrontPage|home]] and '''wait'''.\n\n"
    "{{{#!python\nopen(name)\n}}}\n * One\n<<BR>>\nEnd"
)
MAN = r""".\" Copyright
'\" t
.ie \n(.g .ds Aq \(aq
.TH SAIL 1 "January 2023" "boats 2" "User Commands"
.SH NAME
sail \- leave the harbour
.SH "SEE ALSO"
.PP
It goes
.B fast
and \fIfar\fR, if the wind
.RI ( east ,
say) is good.
.TP
\fB\-w\fR, \fB\-\-wind\fR=\fIWHERE\fR
wait for it,
and\~go
.IP \(bu 2
one \(lqboat\(rq
.nf
  sail \-w east
  wait
.fi
.BR row (1),
.BR swim (1)
"""
MAN_TEXT = (
    "NAME\nsail - leave the harbour\n\nSEE ALSO\n\nIt goes fast and far, if the wind (east, say) is good.\n\n"
    "-w, --wind=WHERE\nwait for it, and go\n\n\u2022 one \u201cboat\u201d\n\n"
    "  sail -w east\n  wait\n\nrow(1), swim(1)"
)
MDOC = r""".Dd May 1, 2023
.Dt SAIL 1
.Os
.Sh NAME
.Nm sail
.Nd leave the harbour
.Sh SYNOPSIS
.Nm
.Op Fl w Ar where
.Op Ar
.Sh DESCRIPTION
The
.Nm
command goes on
.Ox ,
see
.Pq Xr row 1 .
.Bl -tag -width Ds
.It Fl w Ar where
Wait
.Em here .
.It Fl q
Do not.
.El
"""
MDOC_TEXT = (
    "NAME\nsail \u2013 leave the harbour\n\nSYNOPSIS\nsail [-w where] [file ...]\n\n"
    "DESCRIPTION\nThe sail command goes on OpenBSD, see (row(1)).\n\n"
    "-w where\nWait here.\n-q\nDo not."
)
SCAN = (
    "Die Bürger der Stadt versammel-\nten sich am Hafen, wo das Damp¬\nfboot lag und war-\n  teten lange.\n\n"
    "Es kam spät, in der Nord-\nSee war Sturm - und\nder Lotse war er-\nkrankt"
)
ASS = (
    "[Script Info]\nTitle: x\n\n[V4+ Styles]\nStyle: Default,Arial,20\n\n[Events]\nFormat: Layer, Start\n"
    "Dialogue: 0,0:00:01.00,0:00:02.50,Default,Ann,0,0,0,,{\\i1}Who is there?{\\i0}\n"
    "Comment: 0,0:00:02.00,0:00:02.50,Default,,0,0,0,,not shown\n"
    "Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,It is I,\\Nand he.\n"
)
LRC = (
    "[ar:Ann Lee]\n[length: 03:10]\n[00:12.00]La la la\n[00:15.30][00:45.30]La la la\n"
    "[00:18.00]La la la\n\n[00:21.10]<00:21.10>the <00:22.00>boat\n"
)
YOUTUBE = (
    '<?xml version="1.0" encoding="utf-8" ?><transcript><text start="0.5" dur="2">It&amp;#39;s late</text>'
    '<text start="2.5" dur="1.2">and cold &amp; wet</text></transcript>'
)
SRV3 = (
    '<timedtext format="3"><body><p t="0" d="900">It is</p>\n<p t="900" d="800">late</p></body></timedtext>'
    * 2
)
JIRA = (
    "h2. Steps\r\n# Open *it*\r\n** and wait\r\n{code:java}\nint[] a = b[x|y]; // {{z}}\n{code}\r\n"
    "See [the page|https://x.org/a], [~ann] and [^log.txt]. !shot.png|width=3!\r\n"
    "{quote}\nIt {{broke}}.\n{quote}\r\n{color:#ff0000}Now{color}\r\n||a||b||\r\n|1|2|"
)
SHORTCODES = (
    '[caption id="a" align="left"]<img src="x"/> The boat[/caption]\n\nThey left.\n\n[gallery ids="1,2"]'
)


GPT_MESSAGE = {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["Hello"]}}


def read(text):
    kind = kind_of([text] * 5)
    return read_text(text, kind).text


TEXTILE = (
    'h2. Steps\r\n\r\nRead the "docs":https://x.org/a, run @rake@ now!/a.png!\r\n* one\r\n'
    '<pre><code class="ruby">\r\nputs "a":b @x@\r\n</code></pre>\r\n\r\nbq. It _broke_.\r\n|a|b|\r\n'
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BBCODE, "Not so: see here."),
        (OLD_PHPBB, "Yes, now & then."),
        (NEW_PHPBB, "Yes, now there"),
        (LISTED, "- one\n- two"),
        (SRT, "Who is there?\nIt is\nI & he."),
        (VTT, "so the boat\nleft the harbour"),
        (
            WIKI,
            "Old Harbour is a small town in Germany.\n\nHistory\nIt was founded in 1200.\n- One\n- Two",
        ),
        (
            SCAN,
            "Die Bürger der Stadt versammelten\nsich am Hafen, wo das Dampfboot\nlag und warteten\nlange.\n\n"
            "Es kam spät, in der Nord-\nSee war Sturm - und\nder Lotse war erkrankt",
        ),
        (
            "Look <@123456789012345678> <a:wave:123456789012345678> in <#123456789012345678> there",
            "Look :wave: in there",
        ),
        (f"{PROSE} ![[boat.png]]\n\n%% not\nread %%See [[Sails]] ^ab12cd\n", f"{PROSE} \n\nSee [[Sails]]"),
        (MAN, MAN_TEXT),
        (MDOC, MDOC_TEXT),
        (MOIN, "Setup\n\nSee home and wait.\n\nopen(name)\n * One\n\nEnd"),
        (SHORTCODES, "The boat\n\nThey left."),
        (
            "0:00:01.000,0:00:02.500\nWho is there?\n\n0:00:03.000,0:00:04.000\nIt is I.\n",
            "Who is there?\nIt is I.",
        ),
        (ASS, "Who is there?\nIt is I,\nand he."),
        (LRC, "La la la\nLa la la\nLa la la\n\nthe boat"),
        (YOUTUBE * 2, "It's late\nand cold & wet"),
        (SRV3, "It is\nlate"),
        (
            JIRA,
            "Steps\n- Open *it*\n- and wait\n```java\nint[] a = b[x|y]; // {{z}}\n```\n"
            "See the page, @ann and . \nIt broke.\nNow\na | b\n1 | 2",
        ),
        (f"02/Jan/22 3:04 PM;557058:5f2a;[~accountid:6fad] {PROSE}\nh2. Now", f"@6fad {PROSE}\nNow"),
        (f"2022-01-02 15:04;ada;{PROSE}", PROSE),
        ("bq. It broke.\nIt did not!", "It broke.\nIt did not!"),
        (
            "{{c1::Paris}} is the capital of {{c2::France::a country}}.[sound:a.mp3]",
            "Paris is the capital of France.",
        ),
        (
            "<@U12345678> see <https://x.org/a|the page> &amp; <#C12345678|general>",
            "@U12345678 see the page & #general",
        ),
        (
            TEXTILE,
            'Steps\n\nRead the docs, run rake now\n- one\n```ruby\nputs "a":b @x@\n```\n\nIt _broke_.\na | b',
        ),
        (
            "h2. Log\n\nIt says {noformat}a|b{noformat} and {noformat}\n# 1\n# 2\n{noformat} then.",
            "Log\n\nIt says a|b and \n```\n# 1\n# 2\n```\n then.",
        ),
        (
            'h2. Run "it":https://x.org/a\n\nbc. @run@\n* two\n\nbc.. # a\n\n# b\n\np. Then wait.',
            "Run it\n\n```\n@run@\n* two\n```\n\n```\n# a\n\n# b\n```\n\nThen wait.",
        ),
        (f"{PROSE}\nid:: {UUID}\ncollapsed:: true", PROSE),
        (f"{PROSE} (({UUID}))", f"{PROSE} "),
        (f"{{{{embed (({UUID}))}}}}", ""),
        (f"DONE {PROSE}\n:LOGBOOK:\nCLOCK: [2023-05-02 Tue 10:11:12] =>  00:01:00\n:END:", f"DONE {PROSE}"),
        (
            f"fix: it\n\n{PROSE}\nNote: slow.\n\nFixes: #3\nSigned-off-by: Ada <a@b.org>\n",
            f"fix: it\n\n{PROSE}\nNote: slow.",
        ),
        ("feat: it\nChange-Id: I254b0c4e", "feat: it"),
        (f"Fix\n\nReviewed-by: Ada <a@b.org>\n\ngit-svn-id: https://x.org/trunk@12 {UUID}", "Fix"),
        (f"  {PROSE}\n{PROSE}", f"{PROSE}\n{PROSE}"),
        (
            f"\n      {PROSE}\n\n      Who may come:\n\n        -  {PROSE}\n    ",
            f"{PROSE}\n\nWho may come:\n\n  -  {PROSE}",
        ),
    ],
)
def test_what_is_left(text, expected):
    assert read(text) == expected


TIDDLER = (
    "\\define x()\nno\n\\end\n! Garden\n\n''Not'' //so// [[far|Far away]] from [[Home]]."
    "\n!!Beds\n* one\n** two\n"
    "<<toc>>\n{{Other}}[img[a.jpg]] [ext[the site|https://x.org/a//b]]"
    "\n```\n!! code ''x''\n```\n<$link to=a>b</$link>"
)
JEKYLL = (
    '{% include figure.html src="/a.png" %}\nIt left{% cite ann %}. See [this]({% post_url 2020-01-01-a %}), '
    "[that]({{ site.baseurl }}/x).\n\n{% highlight python %}\nprint(1)\n{% endhighlight %}\n\n"
    "Use `{% include x %}`.\n\n```\n{% include y %}\n```\n{% comment %}no{% endcomment %}\nEnd"
)
HUGO = (
    '{{< figure src="/a.png" >}}\n\n{{% notice tip %}}\nWait.'
    '\n{{% /notice %}}\nSee [it]({{< ref "a.md" >}}).\n\n'
    '{{< highlight go "linenos=table" >}}\nx := 1\n{{< /highlight >}}\n\n```\n{{< figure >}}\n```'
)
KEY = "0123456789abcdef0123456789abcdef"
NOTION = (
    "# A walk\n\nCreated: January 1, 2022 3:04 PM\nWho: Ann\n\n<aside>\n💡 Wait.\n\n</aside>\n\nThen go to "
    f"[the page](The%20page%20{KEY}.md).\n\n![Untitled](A%20walk%20{KEY}/Untitled.png)\n\nTags: none"
)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (
            TIDDLER,
            "TiddlyWiki's markup",
            "Garden\n\nNot so far from Home.\nBeds\n- one\n- two\n\n the site\n```\n!! code ''x''\n```\nb",
        ),
        (
            JEKYLL,
            "tags of a site",
            "It left. See this, [that](/x).\n\n```python\nprint(1)\n```\n\nUse `{% include x %}`.\n\n```\n"
            "{% include y %}\n```\nEnd",
        ),
        (HUGO, "tags of a site", "Wait.\nSee it.\n\n```go\nx := 1\n```\n\n```\n{{< figure >}}\n```"),
        (
            f"{PROSE} See [the page](:/{KEY}) and ![](:/{KEY})[that](https://x.org/).",
            "pictures and links in an app",
            f"{PROSE} See the page and [that](https://x.org/).",
        ),
        (
            f"{PROSE} See [the page](https://www.notion.so/ann/The-page-{KEY}?pvs=4).",
            "Notion's marks",
            f"{PROSE} See the page.",
        ),
        (NOTION, "Notion's marks", "# A walk\n\n💡 Wait.\n\nThen go to the page.\n\nTags: none"),
    ],
)
def test_what_programs_of_notes_and_sites_leave(text, name, expected):
    """Where enough of the column has it; else it is what somebody writes about."""
    kind = kind_of([text] * 5)
    assert kind.markup == name
    assert read_text(text, kind).text == expected
    assert kind_of([text, *[PROSE] * 40]).markup == ""


@pytest.mark.parametrize(
    "text",
    [
        "! Warning\nIt''s late, see cout << toc >> and http://x.org//a//b",
        "Look!\n\n!important and <<EOF>> are written so.",
        "A template writes {{{name}}} as it is.\n\n```\n{{{\nls\n}}}\n```",
        "if (a\n|| b || c ||\nd) {{{ // {{{\n}}}",
        "Write `{% include x %}` for it, or {% if a %}b{% endif %}.",
        "```\n{{< figure >}}\n```\nSo does Hugo, also {{</* figure */>}}.",
        "# The play\n\nAnn: Who is there?\nBen: It is late.\n\nThey leave.",
        "An aside: <aside> is a tag. Tags: none",
        "The talk is at <https://x.org/notes/talk.pdf>, its pictures at <ftp://x.org/a.png>.",
        f"Mended in [this commit](https://github.com/ann/notes/commit/{KEY}01234567).\n\n"
        f"![A map](https://x.org/{KEY}.png)\n\nBy [mail](mailto:a/{KEY}), or [there](//x.org/{KEY}).",
    ],
)
def test_what_looks_like_these_stays(text):
    kind = kind_of([text] * 5)
    assert kind.markup == ""
    assert read_text(text, kind).text == text


def test_links_and_code_of_trac():
    page = "= Setup =\n\nUse {{{make x}}}, see [wiki:Guide the guide].[[PageOutline(2)]] [[Image(a.png)]]"
    assert read(page).split() == ["Setup", "Use", "make", "x,", "see", "the", "guide."]


TRACEBACK = (
    "class A:\n    # not an item\n    def __init__(self, x=[[1, 2]]):\n        '''Doc'''\n"
    '        return {{x}} or "<b>[[BR]]</b><p>&amp;"\n* ||a||b||\n= x ='
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"It '''fails''':\n{{{{{{\n{TRACEBACK}\n}}}}}}", f"It fails:\n```\n{TRACEBACK}\n```"),
        (f"So:\r\n{{{{{{#!python\r\n{TRACEBACK}\r\n}}}}}}", f"So:\n```python\n{TRACEBACK}\n```"),
        (f"{{{{{{\n#!diff\n{TRACEBACK}\n}}}}}}\nEnd", f"```diff\n{TRACEBACK}\n```\nEnd"),
        ("{{{\n#!/bin/sh\nls\n}}}", "```\n#!/bin/sh\nls\n```"),
        ("See: {{{\nls\n}}}\n[[BR]]", "See: \n```\nls\n```"),
        ("> {{{\n> ls\n> }}}", "```\n> ls\n```"),
        ("{{{#!comment\nno\n}}}\nYes, `a[[BR]]`.", "Yes, `a[[BR]]`."),
        ("#12 is late.[[BR]]So is #13 [[br]]\nEnd", "#12 is late.\nSo is #13\nEnd"),
        (
            "||=Version=||= OS =||\n|| 1.2 || a|b ||\n||1.3||||\n|-----\nEnd",
            "Version | OS\n1.2 | a|b\n1.3 | \nEnd",
        ),
        (
            "Replying to [comment:4 ada]:\n> See [ticket:12], [wiki:Setup] and [http://x.org/a the page], "
            "[[Guide|this]] and [[Home]].\n * One\n   * Two !#3 [[Foo(a=b)]]",
            "Replying to ada:\n> See ticket:12, Setup and the page, this and Home.\n- One\n  - Two #3 ",
        ),
        ("== Steps == #steps\n[[PageOutline]]\nOpen it.\n----\nWait.", "Steps\n\nOpen it.\nWait."),
    ],
)
def test_tickets_of_trac(text, expected):
    """A few tickets with such signs are enough, among others that are plain."""
    kind = kind_of([text, *[PROSE] * 9])
    assert kind.markup == "Trac's markup"
    assert read_text(text, kind).text == expected


def test_code_of_tickets_is_not_joined_where_their_lines_were_wrapped():
    prose = "\n".join(f"the boat number {i} of the harbour left it at seven in the" for i in range(12))
    code = "\n".join(f"at org.example.harbour.Boat.leave in the file of the boat {i}" for i in range(12))
    text = f"{prose}\n\n{{{{{{\n{code}\n}}}}}}"
    kind = kind_of([text] * 5)
    assert kind.width
    assert read_text(text, kind).text == f"{prose.replace(chr(10), ' ')}\n\n```\n{code}\n```"


def test_code_of_a_wiki_stays_as_it_is():
    page = f"= Setup =\n\nSee [[Home]].\n\n{{{{{{\n{TRACEBACK}\n}}}}}}\n<<BR>>\n||a||b||"
    assert read(page) == f"Setup\n\nSee Home.\n\n{TRACEBACK}\n\na | b"


def test_an_empty_section_of_a_wiki_is_left_out_and_one_with_code_alone_stays():
    page = "= Setup =\n\nSee [[Home]].<<BR>>\n\n= Code =\n{{{\nmake\n}}}\n\n= None =\n"
    assert read(page) == "Setup\n\nSee Home.\n\nCode\nmake"


RTF = (
    r"{\rtf1\ansi\ansicpg1252{\fonttbl\f0\fswiss Helvetica;}{\*\generator x;}"
    r"\f0\fs24 \cf0 Un caf\'e9 \b noir\b0 , \u8220?oui\u8221?.\par Next\line line \{x\}}"
)
WRONG = "L’été à la plage – déjà vu, “oui”, €5. Übung".encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RTF, "Un café noir, “oui”.\nNext\nline {x}"),
        ("The+boat%2C+they+say%2C+left%21", "The boat, they say, left!"),
        ("It%27s%20a%20boat", "It's a boat"),
        ('A \\"boat\\".\\n\\nIt left\\tthe caf\\u00e9.', 'A "boat".\n\nIt left\tthe café.'),
        (WRONG.decode("cp1252", "replace").replace("\ufffd", ""), None),
        (WRONG.decode("latin-1"), WRONG.decode()),
    ],
)
def test_what_nobody_decoded(text, expected):
    read_as = read(text)
    assert read_as == expected if expected else ("été" in read_as and "Ã" not in read_as.replace("Ãœ", ""))


@pytest.mark.parametrize(
    "text", ["SÃO PAULO É GRANDE", "À bientôt, Ângela", "Â", "Ça va", "naïve – “quoted”"]
)
def test_right_letters_stay(text):
    assert read(text) == text


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        "See [1] and [the note](https://example.org), and [[Another note]] of mine.",
        "x[i] = y[b] + z[s]",
        "- [ ] milk\n- [x] bread",
        "The {{ name }} of a template, and {% if a %}b{% endif %}.",
        "<https://example.org> says a --> b",
        "At 10:30 --> home",
        "[00:12.00] is how a line of lyrics begins.",
        'def format(x):\n    return f"{code} {color} {quote}".format(code=x)',
        "A command-\nline tool, which was\nwritten in a long after-\nnoon\n" + "and read by many\n" * 30,
        "Use {{ name }} in | pipes |, and h2 for headings.",
        'The keys are "url": "https://example.org" and "a":1, by ann@example.org and bob@example.org.',
        "mood:: fine\nweather:: rain",  # what people say of a note
        "Note: it is slow.\n\nAda: yes\nBen: no",
        "    if a[i] == b[j]:\n        return {a: [b(c)]}\n    x = y",
        f"{PROSE}\n  {PROSE}",
        f" {PROSE}",
    ],
)
def test_other_texts_stay(text):
    kind = kind_of([text] * 5)
    assert kind.markup == ""
    assert read_text(text, kind).text == text


def test_a_text_about_markup_stays():
    about = "In a forum, [b]this[/b] is bold."
    assert find_markup([*[PROSE] * 30, about]) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
            "user: Hi\n\nassistant: Hello",
        ),
        ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": ""}]}, "human: Hi"),
        ([{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image"}]}], "user: Hi"),
        ({"$type": "app.bsky.feed.post", "text": PROSE, "langs": ["en"]}, PROSE),
        ({"rich_text": [{"type": "text", "plain_text": "A"}, {"plain_text": "b"}], "color": "x"}, "Ab"),
        ([{"string": "A", "children": [{"string": "b", "uid": "1"}]}, {"string": "C"}], "- A\n  - b\n- C"),
        (
            {
                "mapping": {
                    "a": {"message": None, "parent": None},
                    "b": {"parent": "a", "message": GPT_MESSAGE},
                }
            },
            "assistant: Hello",
        ),
        ([{"content": "A", "uuid": "1", "children": [{"content": "b", "children": []}]}], "- A\n  - b"),
        ({"name": "Ada", "age": 36}, None),
        (
            {
                "text": "ok",
                "log": "a much longer string than the text, of ninety letters and more, so it is data" * 2,
            },
            None,
        ),
        ({"text": "alone"}, "alone"),
        ({"type": "/type/text", "value": PROSE}, PROSE),
        ({"value": "sold", "price": 3}, None),
        (
            [{"name": "flour", "qty": 2.5, "unit": "cups"}, {"name": "eggs", "qty": "3", "unit": ""}],
            "2.5 cups flour\n3 eggs",
        ),
        ([{"name": "flour"}, {"name": "eggs"}], None),
        ({"tweet": {"full_text": PROSE, "entities": {"urls": []}, "lang": "en"}}, PROSE),
        ({"type": "Create", "object": {"content": PROSE, "tag": []}, "to": ["x"]}, PROSE),
        ({"a": {"text": PROSE}, "b": {"text": "more"}}, None),
        ({"id": "N1", "text": {"string": PROSE, "tags": []}, "type": {"string": "Census"}}, PROSE),  # Gramps
        ([{"start": 0.5, "speaker": 1, "transcript": "Hi."}, {"transcript": "Yes?"}], "Hi.\nYes?"),
        (
            {
                "nbformat": 4,
                "cells": [
                    {"cell_type": "markdown", "source": ["# A\n", "\n", "b"]},
                    {"cell_type": "code", "source": "1 + 1", "outputs": [{"text": ["2"]}]},
                    {"cell_type": "code", "source": []},
                ],
            },
            "# A\n\nb\n\n1 + 1",
        ),
        ({"cells": [1, 2]}, None),
        ([{"text": "Milk ", "done": True}, {"text": "Bread", "done": False}], "Milk\nBread"),
        ([{"text": "Milk"}, {"size": 3}], None),
        ([1, 2], None),
        ("text", None),
        ([], None),
    ],
)
def test_json_with_a_text(value, expected):
    assert read_record(json.dumps(value)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"text":"See "},{"link":"https://example.org","text":"this"},{"text":"!"}', "See this!"),
        ('{"text":"cut off"},{"text', None),
        ('{"size":1},{"size":2}', None),
        ("{not JSON}", None),
    ],
)
def test_objects_one_after_the_other_are_parts_of_a_line(text, expected):
    assert read_record(text) == expected


def test_a_column_of_records():
    posts = [json.dumps({"id": i, "content": f"<p>{PROSE}</p><p>Part {i} &amp; more</p>"}) for i in range(9)]
    kind = kind_of(posts)
    assert kind.names == ["JSON records"]
    assert read_text(posts[2], kind).text == f"{PROSE}\n\nPart 2 & more"
    messages = [json.dumps({"ts": str(i), "text": f"<@U1234567{i}> a &lt; b &amp; c"}) for i in range(9)]
    assert read_text(messages[0], kind_of(messages)).text == "@U12345670 a < b & c"


@pytest.mark.parametrize(
    ("text", "strings"),
    [
        ("['Mix the flour.', \"Don't stir.\"]", ["Mix the flour.", "Don't stir."]),
        ("['one two' 'three'\n 'four']", ["one two", "three", "four"]),
        ('c("1 cup of milk", "2 eggs")', ["1 cup of milk", "2 eggs"]),
        ('["Mix the flour."]', None),
        ("[1, 2]", None),
        ("c(1, 2)", None),
        ("['a', b]", None),
        ("can you (see)", None),
    ],
)
def test_lists_of_python_and_r(text, strings):
    assert read_list(text) == strings


def test_a_column_of_such_lists_is_lines():
    steps = [f"['Mix the flour.', 'Bake for {i} minutes.']" for i in range(9)]
    assert read_text(steps[3], kind_of(steps)).text == "Mix the flour.\nBake for 3 minutes."


TEXTS = st.lists(
    st.sampled_from(
        [
            "[quote=a]",
            "[/quote]",
            "[b]",
            "[/b]",
            "{{",
            "}}",
            "[[",
            "]]",
            "{|\n",
            "|}\n",
            "<ref>",
            "</ref>",
            "<!--",
        ]
        + [
            "00:01.000 --> 00:02.000\n",
            "\n",
            "\n\n",
            "[sound:",
            "{{c1::",
            "[caption id=",
            "<@U123456",
            "|",
            "word ",
        ]
    )
).map("".join)


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_any_text_can_be_read(text):
    for markup in MARKUPS:
        markup.is_in(text)
        read_as = read_markup(markup.name, text)
        assert len(read_as) <= len(text) + 2 * sum(text.count(sign) for sign in ("[*]", "\n", "|"))


@pytest.mark.parametrize(
    "piece",
    [
        "[quote]",
        "{{",
        "[[a",
        "\n{|\n",
        "<ref>",
        "<!--",
        "{{c1::a",
        "{\\*a",
        "%20",
        "Ã",
        "\\n",
        "[b a=b ",
        "{code}",
        "{code:",
        "{quote}a",
        "[a|",
        "!a.b",
        "|a",
        "[00:12.00]",
        "Dialogue: 0,",
        '<text start="1" dur="2">',
        "['a', ",
        '"a":',
        '"a":https:',
        "<pre>",
        "1/1/22 ",
        " @a",
        ":LOGBOOK:\n",
        "Change-Id: a\n\n",
        " ",
        "![[a",
        "%%a",
        "<@1",
        "a (1:02",
        "1:02 a\n",
        "a - 1:02",
        "<<a ",
        "''a",
        "//a ",
        "__a",
        "[img[",
        "[ext[a|",
        "<$a ",
        "\\define a\n",
        "{% highlight a ",
        "{% highlight %}\n",
        "{{< highlight a >}}\n",
        "{% comment %}",
        "[a]({% link ",
        "{{ site.a |",
        "{{% a ",
        "# a\n\nTags: a\n",
        "{{{\n",
        "{{{ a",
        "||a||\n||",
        "[wiki:a ",
        '[wiki:"a ',
        "= a ",
        "= a  =",
        " * ",
        "''",
        "```\n",
        "`a",
        "a: a\n",
        "[a](0123456789abcdef",
        "![a](%20/",
    ],
)
def test_unclosed_markup_takes_no_time(piece):
    text = piece * 5_000
    began = time.process_time()
    for markup in MARKUPS:
        markup.is_in(text)
        read_markup(markup.name, text)
    read_list(text)
    assert time.process_time() - began < 5  # by the square it takes minutes


def test_punctuation_that_a_program_escaped(tmp_path):
    """As Day One exports it; a picture in its store is left out."""
    texts = [
        f"![](dayone-moment://B{i:031X})\n\nIt rained till then\\. Number {i}\\! In C\\+\\+ "
        "\\(say\\), a \\-c\\.\n\n\\# no"
        for i in range(9)
    ]
    kind = kind_of(texts)
    assert kind.names == ["Markdown escapes"]
    assert read_text(texts[3], kind).text == "It rained till then. Number 3! In C++ (say), a -c.\n\n# no"
    code = "Here it is\\. Look\\!\n\n```\ngrep '\\.' x\n```\n\nSo\\."
    assert read_text(code, kind).text == "Here it is. Look!\n\n```\ngrep '\\.' x\n```\n\nSo."


@pytest.mark.parametrize(
    "text",
    [
        r"Match it with `\.` and \( number {i}.",
        r"The sum \(a + b\) is {i}. \[x\]",
        r"D:\old\.git\{i} is it",
    ],
)
def test_backslashes_that_people_write_stay(text):
    texts = [text.replace("{i}", str(i)) for i in range(9)]
    kind = kind_of(texts)
    assert [read_text(each, kind).text for each in texts] == texts


@pytest.mark.parametrize(
    "address", ["bear://x/1", ":/0123456789abcdef", "dayone2://view?id=1", "file:///a/b.png", "cid:7"]
)
def test_pictures_in_the_store_of_a_program_are_left_out(address):
    texts = [f"We met by the river, number {i}.\n\n![photo.jpg]({address})\n\nIt was cold." for i in range(9)]
    kind = kind_of(texts)
    assert read_text(texts[2], kind).text == "We met by the river, number 2.\n\nIt was cold."
    shown = [text.replace(address, "https://example.org/a.png") for text in texts]
    assert read_text(shown[2], kind_of(shown)).text == shown[2]
    assert read_text(texts[2], kind_of([*texts[:1], *["Words alone."] * 40])).text == texts[2]


@pytest.mark.parametrize("level", [1, 2, 6])
def test_closed_headings_are_those_of_a_wiki(level):
    """Of Trac, MoinMoin and DokuWiki, whose pages may be without links."""
    sign = "=" * level
    page = f"{sign} The mill {sign}\r\nIt is '''old'''.\r\n\r\n{sign} History {sign}\r\n * First\r\n"
    kind = kind_of([page, page.replace("mill", "gate"), "A page of one line."])
    assert kind.markup == "wiki markup"
    assert "=" not in read_text(page, kind).text and "The mill" in read_text(page, kind).text
    for other in (
        "Title\n=====\n\nText",
        "a = b\nx == y ==",
        "= A title of AsciiDoc\n\nText",
        "==== ====\na b\n",
    ):
        assert kind_of([other] * 3).markup != "wiki markup"


@pytest.mark.parametrize(
    ("request_", "piece"), [("", "\\[a"), (".B ", "\\f["), (".B ", "a"), (".B ", '"a '), (".Op ", "Op ")]
)
def test_long_lines_of_a_manual_take_little_time(request_, piece):
    began = time.process_time()
    read_roff(f".TH A 1\n.SH NAME\n{request_}{piece * 200_000}")
    assert time.process_time() - began < 5  # by the square it takes minutes
