# ruff: noqa: E501
"""JSON of blocks: the text of the blocks, in order, and nothing else of them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasette_nanogpt.data.json_blocks import has_parts, read_blocks
from datasette_nanogpt.data.text_kinds import kind_of

TEXT = "A heading\n\nFirst & <foremost>, a link here.\n\n- one\n- two"


def leaf(text, **more):
    return {"text": text, **more}


STREAMFIELD = [
    {"type": "heading_block", "value": {"heading_text": "A heading", "size": "h2"}, "id": "3f2b5c1e-aaaa"},
    {
        "type": "paragraph_block",
        "value": "<p>First &amp; &lt;foremost&gt;, a <a href='/x'>link</a> here.</p>",
        "id": "9",
    },
    {"type": "image", "value": 17, "id": "ab12cd34-0000-4000-8000-000000000000"},
    {"type": "list", "value": "<ul><li>one</li><li>two</li></ul>", "id": "b"},
]
EDITOR_JS = {
    "time": 1550476186479,
    "blocks": [
        {"id": "oUq2g_tl8y", "type": "header", "data": {"text": "A heading", "level": 2}},
        {
            "id": "zbGZFPM-iI",
            "type": "paragraph",
            "data": {"text": 'First &amp; &lt;foremost&gt;, a <a href="https://x.org">link</a> here.'},
        },
        {"id": "a", "type": "image", "data": {"file": {"url": "https://x.org/a.jpg"}, "stretched": False}},
        {"id": "qYIGsjS5rt", "type": "list", "data": {"style": "unordered", "items": ["one", "two"]}},
    ],
    "version": "2.8.1",
}
LEXICAL = {
    "root": {
        "children": [
            {
                "children": [leaf("A heading", type="extended-heading", format=0) | {"type": "text"}],
                "type": "heading",
                "tag": "h2",
            },
            {
                "children": [
                    leaf("First & <foremost>, a ", type="text", mode="normal", style=""),
                    {"type": "link", "url": "https://x.org", "children": [leaf("link", type="text")]},
                    leaf(" here.", type="extended-text", detail=0),
                ],
                "direction": "ltr",
                "format": "",
                "type": "paragraph",
            },
            {"type": "image", "src": "https://x.org/a.jpg", "alt": "", "caption": "", "cardWidth": "wide"},
            {
                "type": "list",
                "listType": "bullet",
                "children": [
                    {"type": "listitem", "value": 1, "children": [leaf("one", type="text")]},
                    {"type": "listitem", "value": 2, "children": [leaf("two", type="text")]},
                ],
            },
        ],
        "type": "root",
        "version": 1,
    }
}
MOBILEDOC = {
    "version": "0.3.1",
    "atoms": [["soft-return", "", {}]],
    "cards": [["image", {"src": "/a.jpg"}]],
    "markups": [["a", ["href", "https://x.org"]]],
    "sections": [
        [1, "h2", [[0, [], 0, "A heading"]]],
        [
            1,
            "p",
            [[0, [], 0, "First & <foremost>, a "], [0, [0], 1, "link"], [0, [], 0, " here."], [1, [], 0, 0]],
        ],
        [10, 0],
        [3, "ul", [[[0, [], 0, "one"]], [[0, [], 0, "two"]]]],
    ],
}


def paragraph(*texts):
    return {"type": "paragraph", "content": [{"type": "text", "text": text} for text in texts]}


PROSEMIRROR = {
    "type": "doc",
    "content": [
        {
            "type": "heading",
            "attrs": {"level": 2, "textAlign": "left"},
            "content": [{"type": "text", "text": "A heading"}],
        },
        paragraph("First & <foremost>, a ", "link", " here."),
        {"type": "image", "attrs": {"src": "https://x.org/a.jpg", "alt": None}},
        {
            "type": "bulletList",
            "content": [{"type": "listItem", "content": [paragraph(t)]} for t in ("one", "two")],
        },
    ],
}
SLATE = [
    {"type": "heading-one", "children": [leaf("A heading", bold=True)]},
    {
        "type": "paragraph",
        "children": [
            leaf("First & <foremost>, a "),
            {"type": "link", "url": "/x", "children": [leaf("link")]},
            leaf(" here."),
        ],
    },
    {
        "type": "bulleted-list",
        "children": [{"type": "list-item", "children": [leaf(t)]} for t in ("one", "two")],
    },
]
PORTABLE_TEXT = [
    {
        "_type": "block",
        "_key": "a1b2c3d4",
        "style": "h2",
        "children": [{"_type": "span", "_key": "x", "text": "A heading"}],
        "markDefs": [],
    },
    {
        "_type": "block",
        "children": [
            {"_type": "span", "text": t, "marks": ["m"]} for t in ("First & <foremost>, a ", "link", " here.")
        ],
        "markDefs": [{"_type": "link", "_key": "m", "href": "https://x.org and more"}],
    },
    *(
        {"_type": "block", "listItem": "bullet", "level": 1, "children": [{"_type": "span", "text": t}]}
        for t in ("one", "two")
    ),
]


def notion(kind, *texts):
    rich = [
        {
            "type": "text",
            "text": {"content": t, "link": None},
            "annotations": {"bold": False, "color": "default"},
            "plain_text": t,
            "href": None,
        }
        for t in texts
    ]
    return {
        "object": "block",
        "id": "c02fc1d3-db8b-45c5",
        "type": kind,
        "created_time": "2022-03-01T19:05:00.000Z",
        "created_by": {"object": "user", "id": "c2f2"},
        kind: {"rich_text": rich, "color": "default"},
    }


NOTION = {
    "object": "list",
    "results": [
        notion("heading_2", "A heading"),
        notion("paragraph", "First & <foremost>, a ", "link", " here."),
        notion("bulleted_list_item", "one"),
        notion("bulleted_list_item", "two"),
    ],
    "has_more": False,
}
DRAFT = {
    "blocks": [
        {
            "key": "9adb5",
            "text": t,
            "type": kind,
            "depth": 0,
            "inlineStyleRanges": [],
            "entityRanges": [],
            "data": {},
        }
        for kind, t in [
            ("header-two", "A heading"),
            ("unstyled", "First & <foremost>, a link here."),
            ("unordered-list-item", "one"),
            ("unordered-list-item", "two"),
        ]
    ],
    "entityMap": {"0": {"type": "LINK", "mutability": "MUTABLE", "data": {"url": "https://x.org"}}},
}
CONTENTFUL = {
    "nodeType": "document",
    "data": {},
    "content": [
        {"nodeType": "heading-2", "content": [{"nodeType": "text", "value": "A heading", "marks": []}]},
        {"nodeType": "paragraph", "content": [
            {"nodeType": "text", "value": "First & <foremost>, a ", "marks": [{"type": "bold"}]},
            {"nodeType": "hyperlink", "data": {"uri": "https://x.org"}, "content": [{"nodeType": "text", "value": "link"}]},
            {"nodeType": "text", "value": " here."}]},
        {"nodeType": "unordered-list", "content": [
            {"nodeType": "list-item", "content": [{"nodeType": "paragraph", "content": [{"nodeType": "text", "value": t}]}]}
            for t in ("one", "two")]},
    ],
}  # fmt: skip
BLOCKNOTE = [
    {
        "id": "1",
        "type": "heading",
        "props": {"textColor": "default", "level": 2},
        "content": [leaf("A heading", type="text", styles={})],
        "children": [],
    },
    {
        "id": "2",
        "type": "paragraph",
        "props": {},
        "content": [
            leaf("First & <foremost>, a ", type="text"),
            {"type": "link", "href": "/x", "content": [leaf("link", type="text")]},
            leaf(" here.", type="text"),
        ],
        "children": [],
    },
    *(
        {
            "id": t,
            "type": "bulletListItem",
            "props": {},
            "content": [leaf(t, type="text", styles={})],
            "children": [],
        }
        for t in ("one", "two")
    ),
]
GUTENBERG = [
    {"blockName": "core/heading", "attrs": {"level": 2}, "innerBlocks": [], "innerHTML": "<h2>A heading</h2>", "innerContent": ["<h2>A heading</h2>"]},
    {"blockName": "core/paragraph", "attrs": {}, "innerBlocks": [], "innerHTML": "<p>First &amp; &lt;foremost&gt;, a <a>link</a> here.</p>"},
    {"blockName": "core/list", "innerHTML": "<ul><li>one</li><li>two</li></ul>"},
]  # fmt: skip
PAGES = {
    name.lower(): value
    for name, value in globals().items()
    if name.isupper() and isinstance(value, list | dict)
}


@pytest.mark.parametrize("name", PAGES)
def test_the_text_of_the_blocks(name):
    for indent in (None, 2):
        assert read_blocks(json.dumps(PAGES[name], indent=indent)) == TEXT


def test_texts_that_are_paragraphs_are_apart():
    """Tumblr's posts, and what was answered there."""
    heading = {"type": "text", "subtype": "heading1", "text": "Rain"}
    first, second = ({"type": "text", "text": text} for text in ("It fell.", "Then the sun came"))
    picture = {"type": "image", "media": [{"url": "https://x.org/a.png"}]}
    items = [{"type": "text", "subtype": "unordered-list-item", "text": text} for text in ("wood", "rope")]
    assert read_blocks(json.dumps([first, second])) == "It fell.\n\nThen the sun came"
    whole = "Rain\n\nIt fell.\n\nThen the sun came\n\n- wood\n- rope"
    assert read_blocks(json.dumps([picture, heading, first, second, *items])) == whole
    trail = [
        {"content": [heading, first, second], "post": {"id": "1"}},
        {"content": [first, picture, second]},
    ]
    both = "Rain\n\nIt fell.\n\nThen the sun came\n\nIt fell.\n\nThen the sun came"
    assert read_blocks(json.dumps(trail)) == both


def test_texts_that_are_parts_of_a_line_stay_in_it():
    parts = [{"type": "text", "text": text} for text in ("un", "believ", "able.")]
    page = {"type": "doc", "content": [{"type": "paragraph", "content": parts}]}
    assert read_blocks(json.dumps(page)) == "unbelievable."
    assert read_blocks(json.dumps([{"type": "text", "text": "See "}, {"type": "text", "text": "this"}])) == (
        "See this"
    )


def test_quill_deltas_are_read():
    delta = {
        "ops": [
            {"insert": "One "},
            {"insert": "bold", "attributes": {"bold": True}},
            {"insert": "\nTwo\n"},
            {"insert": {"image": "data:x"}},
        ]
    }
    assert read_blocks(json.dumps(delta)) == "One bold\nTwo"


def test_nested_blocks_captions_code_and_tables():
    page = [
        {"type": "columns", "value": [
            {"type": "text", "value": {"title": "left", "alignment": "left", "colour_scheme": "dark"}, "id": "1"},
            {"type": "embed", "value": "https://example.com/video", "id": "2"}], "id": "3"},
        {"type": "image", "value": {"image": 3, "caption": "A boat", "url": "/media/boat.png"}, "id": "4"},
        {"type": "code", "value": {"code": "if a < b:\n    <b>", "language": "python"}, "id": "5"},
        {"type": "table", "data": {"content": [["Name", "Age"], ["Ada", "36"]], "withHeadings": True}},
        {"type": "quote", "value": {"quote": "To be", "author": "W. S."}, "id": "6"},
    ]  # fmt: skip
    assert read_blocks(json.dumps(page)) == (
        "left\n\nA boat\n\nif a < b:\n    <b>\n\nName | Age\nAda | 36\n\nTo be\n\nW. S."
    )


@pytest.mark.parametrize("sections", [[None], [[1]], [[10, 0]], [[1, None]]])
def test_what_only_looks_like_mobiledoc_is_data(sections):
    assert not read_blocks(json.dumps({"version": None, "sections": sections, "cards": [None]}))


@pytest.mark.parametrize(
    "value",
    [
        [1, 2, 3],
        {},
        [],
        {"name": "Ada", "age": 36},
        [{"name": "Ada"}, {"name": "Charles"}],
        {"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": None}]},
        [{"role": "user", "content": "Hello there"}],
        {"content": "a string", "id": 3},
        "a string",
        [["a", "b"]],
        {"errors": [{"type": "missing", "loc": ["body"], "msg": "Field required"}]},
    ],
)
def test_data_is_not_blocks(value):
    assert read_blocks(json.dumps(value)) is None


@pytest.mark.parametrize(
    "text", ["", "[", "{not json", "[link](to) something", '{"a": 1} and more', "[" * 100_000]
)
def test_text_that_is_not_json_is_left_alone(text):
    assert read_blocks(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "children",
                    "content",
                    "text",
                    "value",
                    "sections",
                    "version",
                    "ops",
                    "insert",
                    "root",
                    "blocks",
                    "items",
                    "data",
                    "nodeType",
                    "leaves",
                    "cards",
                    "atoms",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_gives_text_or_nothing(value):
    text = read_blocks(json.dumps(value))
    assert text is None or isinstance(text, str)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["1 cup of sugar", "salt"], "1 cup of sugar\nsalt"),
        (["塩", "砂糖"], "塩\n砂糖"),
        ({"text": ["1947", "in 1947"], "answer_start": [7, 40]}, "1947\nin 1947"),
        ({"text": ["Denver"]}, "Denver"),
        (["python", "sql-tags"], None),
        ([], None),
        ([1, 2], None),
        (["a b", 1], None),
        ({"text": [], "answer_start": []}, None),
    ],
)
def test_a_list_of_sentences_is_lines(value, text):
    assert read_blocks(json.dumps(value)) == text


LINK = {"type": "link", "text": "https://example.org"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["See ", LINK, ", it is good."], "See https://example.org, it is good."),
        ([LINK, " first"], "https://example.org first"),
        (["1 < 2 & ", {"type": "bold", "text": "more"}], "1 < 2 & more"),
        (["a", {"n": 1}], None),
        (["a", 1], None),
    ],
)
def test_the_parts_of_a_message_are_one_text(value, text):
    assert read_blocks(json.dumps(value)) == text and has_parts(json.dumps(value)) == (text is not None)
    assert not has_parts(json.dumps([LINK])) and not has_parts("[See") and not has_parts("See")


def test_a_list_in_json_is_not_read_as_pythons():
    """Python's list may look the same, but does not join two escapes to a character beyond the first plane."""
    lines = ["Don't stir \N{SLIGHTLY SMILING FACE}", "a/b, caf\u00e9\nend"]
    assert read_blocks(json.dumps(lines)) == "\n".join(lines)
    assert read_blocks(repr(lines)) == "\n".join(lines)


def test_the_parts_of_a_diary():
    parts = [
        {"text": "A walk\n", "attributes": {"line": {"header": 1, "identifier": "X"}}},
        {"embeddedObjects": [{"type": "photo", "identifier": "Y"}]},
        {"text": "It was "},
        {"text": "cold", "attributes": {"bold": True}},
        {"text": ".\n"},
    ]
    page = json.dumps({"meta": {"version": 1}, "contents": parts})
    assert read_blocks(page) == "A walk\nIt was cold."
    assert kind_of([page.replace("A walk", f"Walk {i}") for i in range(5)]).names == ["JSON blocks"]
