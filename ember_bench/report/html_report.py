"""An experiment's report: one HTML file that loads nothing, and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Final

from ember_bench.drawing.charts import STYLE
from ember_bench.drawing.html import Html, joined, tag
from ember_bench.report.html_contents import Contents
from ember_bench.report.html_data import explorer_data
from ember_bench.report.html_items import items_data
from ember_bench.report.html_page import body
from ember_bench.report.html_systems import systems_data

_SCRIPTS: Final = ("packed.js", "report.js", "systems.js", "matrix.js")

_SELF: Final = "; connect-src 'self'"


def html_report(contents: Contents) -> str:
    """Return the page."""
    data = explorer_data(contents.rows, contents.cells, contents.answers, contents.shown)
    content = joined([body(contents), systems_data(contents), items_data(contents), data])
    return page_of(f"{contents.summary.name}: report", content, "".join(map(_asset, _SCRIPTS)))


def page_of(
    title: str, content: Html, script: str | None = None, *, style: str = "", live: bool = False
) -> str:
    """Return a page whose browser runs `script` and nothing else.

    So text that slipped through as markup would not be run either.

    Args:
        title: Its title.
        content: What it shows.
        script: Its script.
        style: A style beside that of reports.
        live: Whether the script may ask the page's own server.
    """
    style = STYLE + _asset("report.css") + style
    allowed = "'none'" if script is None else f"'{_digest(script)}'"
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none';"
        f" style-src '{_digest(style)}'; script-src {allowed}"
        f"{_SELF if live else ''}"
    )
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    ]
    run = None if script is None else tag("script", Html(script))
    page = tag("html", tag("head", *head), tag("body", content, run), lang="en")
    return joined([Html("<!doctype html>\n"), page, Html("\n")])


def _asset(name: str) -> str:
    return files("ember_bench.report").joinpath("assets", name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    """Return the hash of a script or style as a Content-Security-Policy has it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
