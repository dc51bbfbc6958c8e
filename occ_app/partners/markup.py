"""A partner's description as HTML that may stand in the merchant's shop: only elements that show text and pictures, nothing that acts."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

SHOWN = frozenset(
    "p br b strong i em u s ul ol li h1 h2 h3 h4 h5 h6 table thead tbody tfoot tr td th caption blockquote a img span div hr pre code sub sup small".split()  # noqa: E501, SIM905
)
EMPTY = frozenset(("br", "img", "hr"))
UNSEEN = frozenset(
    (
        "script",
        "style",
        "iframe",
        "object",
        "embed",
        "template",
        "noscript",
        "svg",
        "math",
        "form",
        "select",
        "textarea",
        "title",
    )
)
ADDRESSES = {"href": ("http://", "https://", "mailto:"), "src": ("http://", "https://")}
KEPT = ("href", "src", "alt", "title", "colspan", "rowspan")


class _Shown(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNSEEN:
            self._unseen += 1
        elif tag in SHOWN and not self._unseen:
            self.parts.append(f"<{tag}{''.join(map(_attribute, attrs))}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in SHOWN and tag not in EMPTY and not self._unseen:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(escape(data, quote=False))


def _attribute(pair: tuple[str, str | None]) -> str:
    name, value = pair[0], (pair[1] or "").strip()
    is_safe = name in KEPT and (name not in ADDRESSES or value.lower().startswith(ADDRESSES[name]))
    return f' {name}="{escape(value)}"' if is_safe else ""


def shown(text: str) -> str:
    """The text with all that could act taken out: scripts, frames, forms, styles, event attributes, addresses other than web and mail."""
    parser = _Shown()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts)
