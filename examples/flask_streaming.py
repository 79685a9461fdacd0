"""Flask: files stream through, up and down, and are never in memory as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, abort, request

import s3po

BUCKET = os.environ["EXAMPLE_BUCKET"]
conn = s3po.Connection()
app = Flask(__name__)


@app.put("/files/<name>")
def upload(name: str) -> dict[str, Any]:
    # The body as it comes: of the length that the client names, or in parts where it names none.
    result = conn.upload(
        BUCKET,
        f"flask/{name}",
        request.stream,
        size=request.content_length,
        content_type=request.content_type,
    )
    return {"size": result.size}


@app.get("/files/<name>")
def download(name: str) -> Response:
    try:
        file = conn.open(BUCKET, f"flask/{name}", "rb")
    except s3po.NoSuchKey:
        abort(404)

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(256 * 1024):
                yield chunk

    return Response(chunks(), headers={"content-length": str(file.size)})


def main() -> None:
    data = os.urandom(12 * s3po.MiB)
    client = app.test_client()
    answer = client.put("/files/big", data=data, content_type="image/png")
    assert answer.json == {"size": len(data)}, answer.text
    assert client.get("/files/big").data == data
    assert client.get("/files/nothing").status_code == 404


if __name__ == "__main__":
    main()
