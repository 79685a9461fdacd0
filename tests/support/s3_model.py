"""S3's operations as botocore's service model describes them, in the words of `s3po.rest.shapes`.

`python -m tests.support.s3_model` prints the two tables of that file.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import botocore

#: Operations that have methods of their own, written by hand.
WRITTEN = frozenset(
    {
        "AbortMultipartUpload",
        "CompleteMultipartUpload",
        "CopyObject",
        "CreateBucket",
        "CreateMultipartUpload",
        "DeleteBucket",
        "DeleteObject",
        "DeleteObjects",
        "GetBucketLocation",
        "GetObject",
        "HeadBucket",
        "HeadObject",
        "ListBuckets",
        "ListDirectoryBuckets",
        "ListMultipartUploads",
        "ListObjects",
        "ListObjectsV2",
        "ListParts",
        "PutObject",
        "UploadPart",
        "UploadPartCopy",
    }
)


def load() -> dict[str, Any]:
    folder = Path(botocore.__file__).parent / "data" / "s3" / "2006-03-01"
    packed = folder / "service-2.json.gz"
    if packed.exists():
        return json.loads(gzip.decompress(packed.read_bytes()))  # type: ignore[no-any-return]
    return json.loads((folder / "service-2.json").read_bytes())  # type: ignore[no-any-return]


class Tables:
    """Writes the model's shapes and operations as lines of text."""

    def __init__(self) -> None:
        self.model = load()
        self.shapes: dict[str, str] = {}

    def _type(self, reference: dict[str, Any]) -> str:
        name = reference["shape"]
        shape = self.model["shapes"][name]
        kind = shape["type"]
        if kind == "structure":
            if name not in self.shapes:
                self.shapes[name] = ""
                self.shapes[name] = self._members(shape)
            return f":{name}"
        if kind in ("integer", "long"):
            return ":i"
        if kind == "timestamp":
            is_iso = "iso8601" in (shape.get("timestampFormat"), reference.get("timestampFormat"))
            return ":t" if is_iso or reference.get("location") != "header" else ":h"
        return {"boolean": ":b", "blob": ":x", "string": ""}[kind]

    def _member(self, name: str, reference: dict[str, Any], required: bool) -> str:
        shape = self.model["shapes"][reference["shape"]]
        text = name + ("!" if required else "")
        located = reference.get("locationName")
        if shape["type"] == "list":
            item = shape["member"]
            inner = item.get("locationName")
            if reference.get("location") == "header":
                return f"{text}={located},{self._type(item)}"
            if shape.get("flattened") or reference.get("flattened"):
                return f"{text}={located or inner or name}*{self._type(item)}"
            return f"{text}={located or name}/{inner or 'member'}*{self._type(item)}"
        if located is not None and located != name:
            text += f"={'@' if reference.get('xmlAttribute') else ''}{located}"
        return text + self._type(reference)

    def _members(self, shape: dict[str, Any], location: str | None = None) -> str:
        required = shape.get("required", ())
        return " ".join(
            self._member(name, reference, name in required)
            for name, reference in shape["members"].items()
            if reference.get("location") == location
        )

    def operation(self, name: str) -> tuple[str, ...]:
        """Method, target, headers, query, payload, headers of the answer, body of the answer."""
        operation = self.model["operations"][name]
        http = operation["http"]
        path, _, query = http["requestUri"].partition("?")
        given = self.model["shapes"][operation["input"]["shape"]]
        target = "key" if "{Key+}" in path else "bucket"
        payload = given.get("payload", "")
        flags = "md5" if operation.get("httpChecksum", {}).get("requestChecksumRequired") else ""
        sent = ""
        if payload:
            sent = self._member(
                payload, given["members"][payload], payload in given.get("required", ())
            )
        answered = answer_headers = ""
        if "output" in operation:
            output = self.model["shapes"][operation["output"]["shape"]]
            answer_headers = self._members(output, "header")
            whole = output.get("payload")
            if whole:
                answered = "=" + self._member(whole, output["members"][whole], False)
            else:
                answered = self._members(output)
        return (
            http["method"],
            f"{target}?{query}" if query else target,
            self._members(given, "header"),
            self._members(given, "querystring"),
            sent,
            flags,
            answer_headers,
            answered,
        )


def tables(skipped: frozenset[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """The operations but for those that are skipped, and the shapes that they use."""
    writer = Tables()
    operations = {
        name: writer.operation(name)
        for name in sorted(writer.model["operations"])
        if name not in skipped | WRITTEN
    }
    return operations, writer.shapes


if __name__ == "__main__":
    from s3po.rest.shapes import LEFT_OUT

    for table in tables(frozenset(LEFT_OUT)):
        print(json.dumps(table, indent=4))
