"""FastAPI: files stream through, up and down, and are never in memory as a whole.

The endpoints are plain functions, which FastAPI runs in threads: a Connection may be shared by them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from fastapi import FastAPI, HTTPException, UploadFile
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

import s3po

BUCKET = os.environ["EXAMPLE_BUCKET"]
conn = s3po.Connection()
app = FastAPI()


@app.post("/files/{name}")  # type: ignore[untyped-decorator, unused-ignore]
def upload(name: str, file: UploadFile) -> dict[str, int]:
    result = conn.upload(BUCKET, f"fastapi/{name}", file.file, content_type=file.content_type)
    return {"size": result.size}


@app.get("/files/{name}")  # type: ignore[untyped-decorator, unused-ignore]
def download(name: str) -> StreamingResponse:
    try:
        # The first request is here, so that what is missing is a 404.
        file = conn.open(BUCKET, f"fastapi/{name}", "rb")
    except s3po.NoSuchKey:
        raise HTTPException(404, "no such file") from None

    def chunks() -> Iterator[bytes]:
        with file:
            while chunk := file.read(256 * 1024):
                yield chunk

    return StreamingResponse(chunks(), headers={"content-length": str(file.size)})


@app.get("/links/{name}")  # type: ignore[untyped-decorator, unused-ignore]
def link(name: str) -> dict[str, str]:
    """A URL by which the browser reads from the store itself."""
    return {"url": conn.presign("GET", BUCKET, f"fastapi/{name}", expires=300)}


def main() -> None:
    data = os.urandom(12 * s3po.MiB)
    with TestClient(app) as client:
        answer = client.post("/files/big", files={"file": ("big", data, "image/png")})
        assert answer.json() == {"size": len(data)}, answer.text
        assert client.get("/files/big").content == data
        assert client.get("/files/nothing").status_code == 404
        assert "X-Amz-Signature" in client.get("/links/big").json()["url"]
    assert conn.head(BUCKET, "fastapi/big").content_type == "image/png"


if __name__ == "__main__":
    main()
