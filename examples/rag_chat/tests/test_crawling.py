"""Which pages belong to a site."""

from __future__ import annotations

import pytest

from rag_chat.crawling import belonging, read_sitemap, robots_rules, sitemaps_in

HOME = "https://e.org/docs/"
ALL = robots_rules("")


def test_pages_below_the_address_belong_and_nothing_else() -> None:
    links = [
        "https://e.org/docs/a.html",
        "https://e.org/docs/a.html#part",
        "https://E.org/docs/deep/b",
        "https://e.org/docs/",
        "https://e.org/docs/search?q=1",
        "https://e.org/docs/logo.png",
        "https://e.org/blog/",
        "http://e.org/docs/plain",
        "https://other.org/docs/",
        "mailto:me@e.org",
    ]
    assert belonging(links, HOME, ALL, [HOME], 10) == ["https://e.org/docs/a.html", "https://E.org/docs/deep/b"]
    assert belonging(links, HOME, ALL, [HOME], 1) == ["https://e.org/docs/a.html"]
    assert belonging(links, HOME, ALL, [HOME], 0) == []


def test_robots_txt_is_heeded() -> None:
    rules = robots_rules("User-agent: *\nDisallow: /docs/private")
    links = ["https://e.org/docs/private/a", "https://e.org/docs/b"]
    assert belonging(links, HOME, rules, [], 10) == ["https://e.org/docs/b"]
    ours = robots_rules("User-agent: rag-chat\nDisallow: /\n\nUser-agent: *\nAllow: /")
    assert belonging(links, HOME, ours, [], 10) == []


def test_a_sitemap_names_pages_and_further_sitemaps() -> None:
    space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    pages = f"<urlset {space}><url><loc> https://e.org/docs/a </loc></url><url><loc>https://e.org/docs/b</loc></url></urlset>"
    assert read_sitemap(pages.encode()) == (["https://e.org/docs/a", "https://e.org/docs/b"], [])
    index = f"<sitemapindex {space}><sitemap><loc>https://e.org/more.xml</loc></sitemap></sitemapindex>"
    assert read_sitemap(index.encode()) == ([], ["https://e.org/more.xml"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html><body>Not here</body></html>",
        "<urlset><url><loc>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><urlset><url><loc>&x;</loc></url></urlset>',
    ],
    ids=["nothing", "html", "cut", "entity"],
)
def test_what_is_no_sitemap_names_nothing(text: str) -> None:
    assert read_sitemap(text.encode()) == ([], [])


def test_robots_txt_says_where_the_sitemaps_are() -> None:
    assert sitemaps_in("Sitemap: https://e.org/s.xml\nsitemap: /t.xml", HOME) == [
        "https://e.org/s.xml",
        "https://e.org/t.xml",
    ]
    assert sitemaps_in("User-agent: *", HOME) == ["https://e.org/sitemap.xml"]
