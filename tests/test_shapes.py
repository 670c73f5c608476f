"""What a value is called that is not words."""

import time

import pytest

from datasette_nanogpt.data.shapes import shape_of


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ("/ˈcoʊ.nə/", "pronunciations"),
        ("/kəˈnuː/, /kæˈnuː/", "pronunciations"),
        ("[ˈʃtʁaːsə]", "pronunciations"),
        ("/blog/2020/", "file paths"),
        ("/etc/fstab", "file paths"),
        ("/straße/größe/", "file paths"),
        ('["ə", "ˈ"]', "JSON"),
        ("3/14/2023 9:14:02", "dates"),
        ("14.03.2023, 09:14", "dates"),
        ("3/14/2023 9:14 PM", "dates"),
        ("2023/03/14 9:14:02", "dates"),
        ("2023-03-14T09:14:02Z", "dates"),
        ("14.03.2023", "dates"),
        ("1-0", "pairs of numbers"),
        ("1/2-1/2", "pairs of numbers"),
        ("1,234.50", "numbers"),
        ("+49 30 1234-567", "numbers"),
        ("9/10", "numbers"),
        ("and/or", ""),
        ("He said [it is kəˈnuː]", ""),
        ("A night at the mill", ""),
    ],
)
def test_shapes(value, shape):
    assert shape_of(value) == shape


@pytest.mark.parametrize("value", ["/ə" * 500, "/ə/ " * 250 + "x", "[ə" * 500, "/" + "ə" * 998, "1" * 999])
def test_shapes_take_no_time(value):
    began = time.perf_counter()
    shape_of(value)
    assert time.perf_counter() - began < 0.2
