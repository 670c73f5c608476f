"""Templates: what they may have, what they make of a row, and what they cannot be made to do."""

import time

import pytest

from llm_nanogpt import template as template_module
from llm_nanogpt.errors import InvalidOptions
from llm_nanogpt.template import RenderError, Template


@pytest.mark.parametrize(
    ("source", "row", "expected"),
    [
        ("{{ a }} · {{ b }}", {"a": "x", "b": 2}, "x · 2"),
        (r"{{ a }}\n# {{ b }}", {"a": "x", "b": "y"}, "x\n# y"),  # as a shell passes it on
        ("{{ a }}\n", {"a": "x"}, "x\n"),
        ("{{ a[:4] }}{{ a[-1] }}", {"a": "2024-05-06"}, "20246"),
        ("{{ a[:2] }}", {"a": 2024}, "20"),  # a year that is a number
        ("{{ a }}|{{ a[:4] }}|{{ a | upper }}", {"a": None}, "||"),  # NULL is nothing
        ("{% if a %}A{% else %}none{% endif %}", {"a": None}, "none"),
        ("{% if a is none %}none{% endif %}", {"a": None}, "none"),
        ("{{ größe }} {{ заголовок }} {{ 標題 }}", {"größe": 1, "заголовок": 2, "標題": 3}, "1 2 3"),
        ("{{ row['my column'] }}{{ row.class }}{{ from }}", {"my column": 1, "class": 2, "from": 3}, "123"),
        ("{{ row['row'] }}", {"row": 1}, "1"),
        ("{{ a.replace('_', ' ') | title }}", {"a": "two_words"}, "Two Words"),
        ("{% for t in a.split(',') %}{{ loop.index }}{{ t | trim }}{% endfor %}", {"a": "x, y"}, "1x2y"),
        ("{% for c in a %}{{ c }}{% if not loop.last %};{% endif %}{% endfor %}", {"a": "xy"}, "x;y"),
        ("{% if n > 2 and a in ('x', 'y') %}{{ n + 1 }}{% endif %}", {"n": 3, "a": "x"}, "4"),
        ("{{ a ~ ' & ' ~ b }}", {"a": "<b>", "b": "x"}, "<b> & x"),  # it is no HTML
        ("{{ 2.345 | round(1) }} {{ n | round(999999999) }}", {"n": 7}, "2.3 7.0"),
        ("{{ n | round(-999999999) }}", {"n": 7}, "0.0"),
        ("{{ a.replace('x', 'y', 1) }}{{ a + '!' }}", {"a": "xx"}, "yxxx!"),
        ("{# a note #}{{ a }}{% raw %}{{ a }}{% endraw %}", {"a": 1}, "1{{ a }}"),
    ],
)  # fmt: skip
def test_a_row_is_rendered(source, row, expected):
    template = Template(source)
    assert set(template.columns) == row.keys()
    assert template.render(row) == expected


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ a", "line 1: unexpected end of template"),
        ("{{ a }}\n{% if a %}\n\n", "line 2: Unexpected end of template"),
        (r"{{ a }}\n{{ a b }}", "line 2: expected token"),
        ("only text", "it names no column"),
        ("{{ a | frobnicate }}", "there is no filter 'frobnicate'"),
        ("{{ a.__class__ }}", "a value has no '__class__'"),
        ("{{ a['__class__'] }}", "a value has places and slices"),
        ("{{ a.format(1) }}", "there is no method 'format'"),
        ("{{ a | attr('x') }}", "there is no filter 'attr'"),
        ("{{ cycler(1) }}{{ a }}", "there is no function 'cycler'"),
        ("{% for i in range(10**9) %}{{ a }}{% endfor %}", "there is no function 'range'"),
        ("{{ 9 ** 9 ** 9 }}{{ a }}", "pow cannot be used"),
        ("{% set x = a %}{{ x }}", "assign cannot be used"),
        ("{% macro m() %}{% endmacro %}{{ a }}", "macro cannot be used"),
        ("{% include '/etc/passwd' %}{{ a }}", "include cannot be used"),
        ("{% extends a %}", "extends cannot be used"),
        ("{% import a as b %}{{ b }}", "import cannot be used"),
        ("{% for x in a recursive %}{{ x }}{% endfor %}", "a loop cannot be recursive"),
        ("{{ row }}", 'row["title"]'),
        ("{{ row[a] }}", 'row["title"]'),
        ("{{ self }}", 'row["self"]'),
        ("{{ a }}" * 2000, "14,000 characters"),
        ("{{ " + "(" * 4000 + "a" + ")" * 4000 + " }}", "nested too deeply"),
    ],
)
def test_what_a_template_may_not_have_is_told(source, reason):
    with pytest.raises(InvalidOptions) as error:
        Template(source)
    assert [problem.field for problem in error.value.problems] == ["template"]
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ a * 1000000000 }}", "TypeError"),
        ("{{ '%1000000000d' % 1 }}{{ a }}", "TypeError"),
        ("{{ a | replace('x', a) }}", "67,108,864 characters"),
        ("{{ a.replace('x', a) | length }}", "67,108,864 characters"),
        ("{{ a | join(a) | length }}", "67,108,864 characters"),
        ("{{ (" + "a~" * 4000 + "a) | length }}", "67,108,864 characters"),
        ("{{ ((" + "a~" * 2000 + "a) + (" + "a~" * 2000 + "a)) | length }}", "67,108,864 characters"),
        ("{{ a + [a] }}", "TypeError"),
        ("{% for x in a %}{{ a }}{% endfor %}", "67,108,864 characters"),
        ("{% for x in a %}{% for y in a %}{% endfor %}{% endfor %}", "10,000 steps"),
        ("{{ a[1:].missing() }}", None),
        ("{{ a | int + a }}", "TypeError"),
        ("{{ 1 / (a | length - a | length) }}", "ZeroDivisionError"),
    ],
)
def test_what_would_take_long_or_grow_fails_at_once(source, reason):
    began = time.process_time()
    if reason is None:
        with pytest.raises(InvalidOptions):
            Template(source)
        return
    with pytest.raises(RenderError, match=reason):
        Template(source).render({"a": "x" * 20_000})
    assert time.process_time() - began < 2


def test_slow_loops_end(monkeypatch):
    monkeypatch.setattr(template_module, "MAX_SECONDS", 0.05)
    slow = Template("{% for x in a[:9000] %}{% if a|upper|lower|title == 'b' %}{% endif %}{% endfor %}")
    with pytest.raises(RenderError, match="0.05 seconds"):
        slow.render({"a": "word " * 20_000})


@pytest.mark.parametrize(
    ("source", "header"),
    [
        ("{{ a }}\n# {{ b }}\n\n{{ c }}", True),
        ("{% if a %}{{ a }}{% endif %}\n\n{{ c }}", True),
        ("{{ a }}: {{ c }}", False),
        ("Notes\n\n{{ c }}", False),
        ("{{ c }}\n\n-- the end", False),
    ],
)
def test_a_header_is_what_stands_before_a_blank_line(source, header):
    assert Template(source).has_header == header
