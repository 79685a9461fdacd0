"""Drawing of the layers and of the path of a request: writes architecture.svg in the same folder (`make plots`)."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.name { font-weight: 600; }
.quiet { fill: #59636e; font-size: 12px; }
.box { fill: #f6f8fa; stroke: #d1d9e0; }
.way { fill: none; stroke: #d9480f; stroke-width: 2; }
.tip { fill: #d9480f; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .quiet { fill: #9198a1; }
  .box { fill: #151b23; stroke: #3d444d; }
  .way { stroke: #ff8a4c; }
  .tip { fill: #ff8a4c; }
}
"""

#: Layers from the top: package names and their purpose. A layer imports those below it.
LAYERS = [
    ("cli · fs · contrib", "the command line, fsspec's filesystem, frameworks"),
    (
        "Connection · batch · cluster · paths",
        "the public API; parallel calls, in greenlets or on Dask",
    ),
    ("transfer · file", "transfers made of many requests: upload, download, copy, delete, open"),
    ("rest", "one method per S3 operation; Client.send sends and retries"),
    ("retry · endpoint · auth", "retry policy; URL of bucket and key; signer for requests"),
    ("sigv4 · credentials", "botocore's signers; sources of credentials"),
    ("transport", "S3Session (requests), adapter and pools (urllib3) on gevent's sockets"),
    ("models · config · providers · errors · xml", "data types that all layers use"),
]
WAY = ["resolve", "sign", "send", "parse", "retry"]


def draw() -> str:
    width, left, height, gap = 860, 10, 46, 8
    body: list[str] = []
    top = 10
    for name, words in LAYERS:
        body += [
            f'<rect x="{left}" y="{top}" width="640" height="{height}" rx="6" class="box"/>',
            f'<text x="{left + 14}" y="{top + 20}" class="name">{escape(name)}</text>',
            f'<text x="{left + 14}" y="{top + 37}" class="quiet">{escape(words)}</text>',
        ]
        top += height + gap
    total = top + 6
    # The mock is beside the layers: it is a store, and imports data types only.
    middle = 10 + 6 * (height + gap)
    body += [
        f'<rect x="690" y="{middle}" width="160" height="{height}" rx="6" class="box"/>',
        f'<text x="704" y="{middle + 20}" class="name">mock</text>',
        f'<text x="704" y="{middle + 37}" class="quiet">S3 in memory (WSGI)</text>',
        f'<rect x="690" y="{middle - height - gap}" width="160" height="{height}" rx="6" class="box"/>',
        f'<text x="704" y="{middle - height - gap + 20}" class="name">S3</text>',
        f'<text x="704" y="{middle - height - gap + 37}" class="quiet">AWS or another store</text>',
    ]
    # From the API down to the transport, and out of it.
    start, end = 10 + height + gap + 23, middle + 23
    body += [
        f'<path d="M 610 {start} V {end}" class="way"/>',
        f'<path d="M 603 {end - 9} L 617 {end - 9} L 610 {end} Z" class="tip"/>',
        f'<path d="M 650 {end} H 681" class="way"/>',
        f'<path d="M 680 {end - 7} L 680 {end + 7} L 690 {end} Z" class="tip"/>',
        f'<path d="M 650 {end} L 682 {end - height}" class="way"/>',
        f'<path d="M 678 {end - height - 2} L 690 {end - height - gap} L 687 {end - height + 8} Z" class="tip"/>',
        f'<text x="690" y="{start + 4}" class="quiet">a request: {", ".join(WAY[:2])},</text>',
        f'<text x="690" y="{start + 22}" class="quiet">{WAY[2]}, {" or ".join(WAY[3:])}</text>',
    ]
    title = "Layers of s3po, and the path of a request"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" width="{width}" '
        f'height="{total}" role="img" aria-label="{title}">\n<title>{title}</title>\n'
        f"<style>\n{STYLE}</style>\n" + "\n".join(body) + "\n</svg>\n"
    )


def main() -> int:
    Path(__file__).with_suffix(".svg").write_text(draw(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
