"""What in others' texts would hide, turn or break other text is spelled out."""

import pytest

from observability.report.text import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe → 日本 😀\n\tend", "größe → 日本 😀\n\tend"),
        ("a\u202eb\u2066c\u2069", r"a\u202eb\u2066c\u2069"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("nul\x00 esc\x1b[31m del\x7f c1\x9b", r"nul\x00 esc\x1b[31m del\x7f c1\x9b"),
        ("lone \ud800 and \udfff", r"lone \ud800 and \udfff"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("a\r\nb\rc", "a\nb\\x0dc"),
        ("", ""),
    ],
)
def test_texts_are_shown_with_nothing_hidden(text: str, shown: str) -> None:
    assert visible(text) == shown
