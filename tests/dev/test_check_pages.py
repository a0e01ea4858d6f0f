"""Each fault of a page is found, and what is no fault is not."""

import pytest

from dev.tools import check_pages


def found(tmp_path, body, name="a.html"):
    (tmp_path / name).write_text(body, encoding="utf-8")
    check_pages.read.cache_clear()
    return check_pages.problems(tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        '<a href="b.html">',
        '<a href="#none">',
        '<a href="a.html#none">',
        '<img src="b.png" alt="b">',
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example/x.css">',
        '<link rel="preload" href="http://x/y.woff2">',
        '<style>@import "https://fonts.example/x.css";</style>',
        "<style>a { background: url(//x/y.png) }</style>",
        "<details><summary>Answer</summary></details><p>It stands open.</p>",
        "<details><summary>Answer</summary> <p> </p></details>",
        '<img src="data:image/png;base64,AA">',
        '<img src="data:," alt=" ">',
        '<iframe src="https://x/"></iframe>',
    ],
)
def test_a_fault_is_found(tmp_path, body):
    assert len(found(tmp_path, body)) == 1


def test_fonts_of_style_sheets_must_lie_here(tmp_path):
    assert found(tmp_path, "a { src: url(x.woff2) }", "a.css") == []
    assert found(tmp_path, "a { src: url('https://fonts.example/x.woff2') }", "a.css") != []


@pytest.mark.parametrize(
    "body",
    [
        '<a href="https://doi.org/10">',
        '<a href="#">',
        '<a href="mailto:a@b.c">',
        '<p id="here"><a href="a.html#here">',
        '<img src="data:," alt="">'.replace('alt=""', 'alt="a head"'),
        '<link rel="canonical" href="https://x/">',
        "<details><summary>Answer</summary><p>It is folded.</p></details>",
        '<details><summary>A <em>picture</em></summary><img src="data:," alt="a head"></details>',
        '<iframe srcdoc="&lt;a href=https://x&gt;"></iframe>',
        '<a href="?q=1">'.replace("?q=1", "a.html?q=1"),
    ],
)
def test_no_fault(tmp_path, body):
    assert found(tmp_path, body) == []


def test_the_empty_fold_is_named(tmp_path):
    body = (
        "<details><summary>Right</summary>yes</details><details><summary>The "
        "answer</summary></details>"
    )
    assert found(tmp_path, body) == ["a.html: nothing folds under 'The answer'"]


def test_main_tells_and_fails(tmp_path, capsys):
    found(tmp_path, '<a href="b.html">')
    assert (
        check_pages.main([str(tmp_path)]) == 1
        and "a.html: b.html leads nowhere" in capsys.readouterr().out
    )
    found(tmp_path, "<p>")
    assert check_pages.main([str(tmp_path)]) == 0
