"""Liquid in LookML: whether its tags fit together, and which fields it speaks of."""

import re
from collections.abc import Iterator

from observability.looker.check.words import words_of

_TAG = re.compile(r"\{\{(?P<output>.*?)\}\}|\{%-?(?P<tag>.*?)-?%\}", re.DOTALL)
_TEXT = re.compile(r"'[^']*'|\"[^\"]*\"")
_REFERENCE = re.compile(
    r"\b([a-z]\w*)\.([a-z]\w*)\._\w+|\b([a-z]\w*)\._(?:value|rendered_value|is_selected|in_query)\b"
)
_FILTERS = words_of(
    "abs append at_least at_most capitalize ceil compact concat date default divided_by downcase encode_uri escape "
    "escape_once first floor join last lstrip map minus modulo newline_to_br plus prepend remove remove_first replace "
    "replace_first reverse round rstrip size slice sort sort_natural split strip strip_html strip_newlines times "
    "truncate truncatewords uniq upcase url_decode url_encode url_param_escape filterable_value sql_quote"
)
_OPENING = {"if": "endif", "unless": "endunless", "case": "endcase", "for": "endfor", "capture": "endcapture",
            "comment": "endcomment", "raw": "endraw", "condition": "endcondition"}  # fmt: skip
_WITHIN = {"elsif": {"if", "unless"}, "else": {"if", "unless", "case", "for"}, "when": {"case"}}
_SINGLE = frozenset(["assign", "increment", "decrement", "parameter", "date_start", "date_end", "break", "continue",
                     "incrementcondition", "cycle"])  # fmt: skip


def problems_of(text: str) -> Iterator[str]:
    """What is wrong with a text's Liquid."""
    rest = _TAG.sub("", text)
    for bracket in ("{{", "{%"):
        if bracket in rest:
            yield f"{bracket} is never closed"
    open_tags: list[str] = []
    for found in _TAG.finditer(text):
        inner = found["output"] if found["output"] is not None else found["tag"]
        yield from _filters(inner)
        if found["tag"] is not None:
            yield from _nesting((found["tag"].split() or [""])[0], open_tags)
    for name in open_tags:
        yield f"{{% {name} %}} is never ended by {{% {_OPENING[name]} %}}"


def _filters(inner: str) -> Iterator[str]:
    for part in _TEXT.sub("''", inner).split("|")[1:]:
        name = part.split(":")[0].strip()
        if name not in _FILTERS:
            yield f"there is no filter {name!r}"


def _nesting(name: str, open_tags: list[str]) -> Iterator[str]:
    if name in _OPENING:
        open_tags.append(name)
    elif name in _WITHIN:
        if not open_tags or open_tags[-1] not in _WITHIN[name]:
            yield f"{{% {name} %}} stands in no {' or '.join(sorted(_WITHIN[name]))}"
    elif name in _OPENING.values():
        if not open_tags or _OPENING[open_tags[-1]] != name:
            yield f"{{% {name} %}} ends nothing"
        else:
            open_tags.pop()
    elif name not in _SINGLE:
        yield f"there is no tag {name!r}"


def references(text: str) -> Iterator[str]:
    """The fields whose values it speaks of: view.field, or field alone."""
    for found in _TAG.finditer(text):
        inner = _TEXT.sub("''", found["output"] if found["output"] is not None else found["tag"])
        for view, name, alone in _REFERENCE.findall(inner):
            yield f"{view}.{name}" if view else alone
