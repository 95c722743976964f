"""What mkdocs is told in code: pages of the repository that lie elsewhere, and links that work here and there.

In the repository, pages link to each other and to sources by relative paths. On the site README.md is the first page,
other pages keep their places, and a source that is linked is a page that shows it.
"""

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
ELSEWHERE = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md")
"""Pages of the repository that lie outside docs/."""
_LANGUAGES = {".py": "python", "Dockerfile": "docker"}
_LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")
_ITEM = re.compile(r"\d+\. ")
_DRAWING = re.compile(r"^!\[[^\]]*\]\(([^)\s]+\.svg)\)$", re.MULTILINE)


def place_of(path: str) -> str:
    """Where a file of the repository is on the site."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if path in ELSEWHERE else f"sources/{path}.md"


def path_of(place: str) -> str:
    """The file of the repository that a page is made of."""
    if place == "index.md":
        return "README.md"
    return place if place in ELSEWHERE else f"docs/{place}"


def links_of(path: str) -> list[str]:
    """The files of the repository that a page links to."""
    text = (ROOT / path).read_text(encoding="utf-8")
    folder = posixpath.dirname(path)
    return [posixpath.normpath(posixpath.join(folder, found[1])) for found in _LINK.finditer(text)]


def on_files(files: Files, config: "MkDocsConfig") -> Files:
    """Add the pages that lie elsewhere, and a page for each source that a page links to."""
    for path in ELSEWHERE:
        files.append(File.generated(config, place_of(path), content=(ROOT / path).read_text(encoding="utf-8")))
    pages = [*ELSEWHERE, *(f"docs/{file.src_uri}" for file in files.documentation_pages() if file.generated_by is None)]
    sources = {link for path in pages for link in links_of(path) if place_of(link).startswith("sources/")}
    for source in sorted(sources):
        files.append(File.generated(config, place_of(source), content=_shown(source)))
    return files


def _shown(source: str) -> str:
    path = ROOT / source
    language = _LANGUAGES.get(path.suffix or path.name, "text")
    text = path.read_text(encoding="utf-8")
    return (
        f"---\ntitle: {source}\nsearch: {{exclude: true}}\n---\n\n# {source}\n\n````{language}\n{text.rstrip()}\n````\n"
    )


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: Files) -> str:  # noqa: ARG001 - mkdocs' own names
    """Turn links between files of the repository into links between pages, and put drawings in, to be read as text."""
    place = page.file.src_uri
    if place.startswith("sources/"):
        return markdown
    path = path_of(place)
    here, folder = posixpath.dirname(place), posixpath.dirname(path)

    def link(found: re.Match[str]) -> str:
        target = place_of(posixpath.normpath(posixpath.join(folder, found[1])))
        return f"]({posixpath.relpath(target, here or '.')}{found[2] or ''})"

    def drawing(found: re.Match[str]) -> str:
        svg = (ROOT / posixpath.normpath(posixpath.join(folder, found[1]))).read_text(encoding="utf-8")
        whole = re.sub(r"\n+", "\n", svg).strip()
        return f'<div class="drawing">{whole}</div>'

    return with_nested_lists(_LINK.sub(link, _DRAWING.sub(drawing, markdown)))


def with_nested_lists(markdown: str) -> str:
    """What belongs to an item of a numbered list, as this Markdown wants it: four spaces, and a blank line after it."""
    lines: list[str] = []
    in_list = in_example = False
    for line in markdown.split("\n"):
        in_example ^= line.startswith("```")
        if not in_example and _ITEM.match(line):
            in_list = True
            if lines and lines[-1].startswith(" "):
                lines.append("")
        elif line and not line.startswith(" "):
            in_list = False
        lines.append(f" {line}" if in_list and line.startswith("   ") else line)
    return "\n".join(lines)
