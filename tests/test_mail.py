"""Quoted-printable and encoded words are what mail programs made of a text; the text is what counts."""

import quopri
from email.header import Header

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from datasette_nanogpt.data.mail import decode_quoted_printable, decode_words, is_quoted_printable

WIDE = "a line that is as wide as they are cut in mail, so 70 of the letters"
ENCODED = [
    ("caf=C3=A9 und Stra=C3=9Fe", "café und Straße"),
    (f"{WIDE}=\n and on{WIDE}=\r\n and on", f"{WIDE} and on{WIDE} and on"),
    ("d=E9j=E0 vu =96 or so", "déjà vu – or so"),
    (
        '<a href=3D"https://example.com/?a=3D1">x</a> wra=\npped',
        '<a href="https://example.com/?a=1">x</a> wrapped',
    ),
    ("=E2=80=9CWell=E2=80=9D =F0=9F=99=82", "“Well” 🙂"),
]


@pytest.mark.parametrize(("encoded", "text"), ENCODED)
def test_quoted_printable_is_told_and_decoded(encoded, text):
    assert is_quoted_printable(encoded)
    assert decode_quoted_printable(encoded) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a = b",
        "x=10 and y=20",
        "https://example.com/?id=20&page=3D",
        "E=MC2",
        "== Heading ==",
        "café = coffee",
        "key=AB",
        "c=20",
        "caf=C3=A9 but x=y",
        "a line that ends in =\nonce",
        "[tool.pytest]\naddopts =\n    -x\nfilterwarnings =\n    error\n    ignore::UserWarning\n",
    ],
)
def test_other_equals_signs(text):
    assert not is_quoted_printable(text)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_what_python_encodes_comes_back(text):
    encoded = quopri.encodestring(text.encode()).decode()
    assert decode_quoted_printable(encoded) == text


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("=?utf-8?Q?caf=C3=A9_au_lait?=", "café au lait"),
        ("Re: =?UTF-8?B?5L2g5aW9?= there", "Re: 你好 there"),
        ("=?iso-8859-1?q?d=E9j=E0?=\n =?iso-8859-1?q?_vu?=", "déjà vu"),
        ("=?utf-8*en?Q?a=20b?=", "a b"),
        ("write `=?utf-8?Q?caf=C3=A9?=` in a header", "write `=?utf-8?Q?caf=C3=A9?=` in a header"),
        ("=?utf-8?B?!!?= broken", "=?utf-8?B?!!?= broken"),
        ("=?no-such-charset?Q?plain?=", "plain"),
        ("why =? and ?= alone", "why =? and ?= alone"),
    ],
)
def test_encoded_words_in_headers_are_decoded(header, text):
    assert decode_words(header) == text


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1))
def test_what_python_writes_in_headers_comes_back(text):
    assume("=?" not in text and "`" not in text)
    assert decode_words(Header(text, "utf-8").encode()).replace("\n ", "") == text
