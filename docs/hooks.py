"""Parts of the pages that are made from the code; MkDocs calls this."""

from __future__ import annotations

from typing import Any

from s3po.config import settings_table

SETTINGS = "<!-- settings -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the table of settings into the page that asks for it."""
    return markdown.replace(SETTINGS, settings_table()) if SETTINGS in markdown else markdown
