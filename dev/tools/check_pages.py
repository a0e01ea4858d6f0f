"""What is wrong with finished HTML pages: dead links, things loaded from elsewhere, pictures
without words, and answers that should be folded but stand open.

    python -m dev.tools.check_pages build/site
"""

import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ELSEWHERE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
IN_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^\s\"')]*", re.IGNORECASE)
LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
}
PLAIN_LINKS = {
    "canonical",
    "next",
    "prev",
    "search",
    "index",
    "author",
    "license",
}  # of <link>: nothing is fetched


class Page(HTMLParser):
    """What a page holds: `ids`, `links`, what is `loaded` and by styles, and pictures that lack an
    alt text.

    `empty_folds` are the summaries of <details> that fold nothing: what belongs there stands open
    below them.
    """

    def __init__(self, text: str):
        super().__init__()
        self.ids = {"", "top"}
        self.links = []
        self.loaded = []
        self.wordless = []
        self.empty_folds = []
        # of the <details> that are open at this place: what is outside their summaries
        self.folds = []
        self.summary = None  # the text of the summary that is open at this place
        self.last_summary = ""
        self.feed(text)
        self.styled = IN_STYLE.findall(
            " ".join(re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL))
        )

    def handle_starttag(self, tag: str, attributes: list) -> None:
        values = {name: value or "" for name, value in attributes}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif values.get(LOADED.get(tag)):
            plain = tag == "link" and set(values.get("rel", "").split()) <= PLAIN_LINKS
            (self.links if plain else self.loaded).append(values[LOADED[tag]])
        if (
            tag == "img"
            and not values.get("alt", "").strip()
            and values.get("role") != "presentation"
        ):
            self.wordless.append(self.get_starttag_text()[:120])
        if tag in ("img", "iframe") and self.folds:
            self.folds[-1] += tag
        if tag == "details":
            self.folds.append("")
        if tag == "summary":
            self.summary = ""

    def handle_data(self, data: str):
        if self.summary is not None:
            self.summary += data
            self.last_summary = self.summary
        elif self.folds:
            self.folds[-1] += data

    def handle_endtag(self, tag: str):
        if tag == "summary":
            self.summary = None
        if tag == "details" and self.folds and not self.folds.pop().strip():
            self.empty_folds.append(self.last_summary)


@cache
def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def problems(folder: Path) -> list[str]:
    """Every fault of the pages in `folder`, in words."""
    folder, found = folder.resolve(), []
    # Templates there.
    for path in sorted(path for path in folder.rglob("*.html") if "_static" not in path.parts):
        page = read(path)
        name = path.relative_to(folder)
        found += [f"{name}: loads {address}" for address in page.loaded if ELSEWHERE.match(address)]
        found += [f"{name}: a style loads {address}" for address in page.styled]
        found += [f"{name}: a picture without alt text, {tag}" for tag in page.wordless]
        found += [f"{name}: nothing folds under {summary!r}" for summary in page.empty_folds]
        local = [
            address
            for address in page.links + page.loaded
            if not re.match(r"[\w+.-]+:|//", address)
        ]
        found += [
            f"{name}: {address} leads nowhere"
            for address in dict.fromkeys(local)
            if is_dead(path, address)
        ]
    for path in sorted(folder.rglob("*.css")):
        found += [
            f"{path.relative_to(folder)}: {load}"
            for load in IN_STYLE.findall(path.read_text(encoding="utf-8"))
        ]
    return found


def is_dead(path: Path, address: str) -> bool:
    """Whether an address on the page `path` leads to no file, or to no place in it."""
    parts = urlsplit(address)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return True
    return target.suffix == ".html" and unquote(parts.fragment) not in read(target).ids


def main(arguments: list[str]) -> int:
    found = [fault for folder in arguments for fault in problems(Path(folder))]
    fine = (
        "pages: no dead link, nothing loaded from elsewhere, words for all pictures, folds closed"
    )
    print("\n".join(found) or fine)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
