"""POST form uploads (https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import quote, urlencode

from s3po import checksums
from s3po.mock import access, auth, conditions, tagging, writes
from s3po.mock.answers import Answer, S3Failure, xml_answer
from s3po.mock.checksum_types import check_value, given_values, mismatch, new
from s3po.mock.dates import parse_iso
from s3po.mock.document import DECLARATION, element
from s3po.mock.request import Received, Request
from s3po.mock.store import EMPTY, Blob

#: Fields that a policy need not name.
_UNNAMED = frozenset(("awsaccesskeyid", "signature", "policy", "file", "x-amz-signature"))
_FREE = ("x-ignore-", "x-amz-checksum-")


def _malformed() -> S3Failure:
    return S3Failure("MalformedPOSTRequest")


def _parameter(header: str, name: str) -> str | None:
    """A parameter of a header such as Content-Disposition."""
    for piece in header.split(";")[1:]:
        label, _, value = piece.strip().partition("=")
        if label.lower() == name:
            value = value.strip()
            if value[:1] == '"' and value[-1:] == '"' and len(value) > 1:
                value = value[1:-1].replace('\\"', '"').replace("%22", '"')
            return value
    return None


class Form:
    """The fields (names in lower case) and the file of a multipart/form-data body."""

    def __init__(
        self, fields: dict[str, str], filename: str, content_type: str, data: bytes
    ) -> None:
        self.fields = fields
        self.filename = filename
        self.content_type = content_type
        self.data = data


def parse_form(content_type: str, body: bytes) -> Form:
    boundary = _parameter(content_type, "boundary")
    if not content_type.lower().startswith("multipart/form-data") or not boundary:
        raise S3Failure(
            "PreconditionFailed",
            "Bucket POST must be of the enclosure-type multipart/form-data",
            Condition="Bucket POST must be of the enclosure-type multipart/form-data",
        )
    delimiter = b"--" + boundary.encode("latin-1")
    fields: dict[str, str] = {}
    position = body.find(delimiter)
    if position < 0:
        raise _malformed()
    while True:
        position += len(delimiter)
        if body[position : position + 2] == b"--":
            break
        start = body.find(b"\r\n\r\n", position)
        end = body.find(b"\r\n" + delimiter, position)
        if start < 0 or end < 0 or end < start:
            raise _malformed()
        head = body[position:start].decode("utf-8", "replace")
        value = body[start + 4 : end]
        name = filename = None
        content_type = ""
        for line in head.split("\r\n"):
            label, _, text = line.partition(":")
            if label.strip().lower() == "content-disposition":
                name, filename = _parameter(text, "name"), _parameter(text, "filename")
            elif label.strip().lower() == "content-type":
                content_type = text.strip()
        if name is None:
            raise _malformed()
        if name.lower() == "file":
            # What follows the file is ignored.
            return Form(fields, filename or "", content_type, value)
        fields[name.lower()] = value.decode("utf-8", "replace")
        position = end + 2
    raise S3Failure(
        "InvalidArgument",
        "POST requires exactly one file upload per request.",
        ArgumentName="file",
        ArgumentValue="0",
    )


def _denied(message: str) -> S3Failure:
    return S3Failure("AccessDenied", f"Invalid according to Policy: {message}")


def _invalid(message: str) -> S3Failure:
    return S3Failure("InvalidPolicyDocument", f"Invalid Policy: {message}")


def check_policy(request: Request, fields: dict[str, str], size: int) -> None:
    """Hold the form against its policy."""
    import json

    try:
        text = base64.b64decode(fields["policy"], validate=False)
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    expiration = document.get("expiration")
    if not isinstance(expiration, str):
        raise _invalid("Policy missing expiration.")
    when = parse_iso(expiration) if "T" in expiration else None
    if when is None:
        raise _invalid(f"Invalid 'expiration' value: '{expiration}'")
    if when <= request.now:
        raise _denied("Policy expired.")
    rules = document.get("conditions")
    if not isinstance(rules, list):
        raise _invalid("Policy missing conditions.")
    named = set()
    values = {**fields, "bucket": request.bucket_name or ""}
    for rule in rules:
        if isinstance(rule, dict):
            if len(rule) != 1:
                raise _invalid(
                    "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."
                )
            name, wanted = next(iter(rule.items()))
            _compare("eq", str(name).lower(), wanted, values, rule)
            named.add(str(name).lower())
        elif isinstance(rule, list) and rule:
            named |= _check_rule(rule, values, size)
        else:
            raise _invalid("Invalid JSON.")
    # The bucket is a field too, although the form has it in its URL.
    for name in values:
        if name not in named and name not in _UNNAMED and not name.startswith(_FREE):
            raise _denied(f"Extra input fields: {name}")


def _check_rule(rule: list[Any], values: dict[str, str], size: int) -> set[str]:
    operator = str(rule[0]).lower()
    if operator == "content-length-range":
        if len(rule) != 3:
            raise _invalid("Invalid Condition: content-length-range must have two arguments.")
        try:
            least, most = int(rule[1]), int(rule[2])
        except (TypeError, ValueError):
            raise _invalid(
                "Invalid Condition: content-length-range arguments must be numbers."
            ) from None
        if size > most:
            raise S3Failure("EntityTooLarge", ProposedSize=str(size), MaxSizeAllowed=str(most))
        if size < least:
            raise S3Failure("EntityTooSmall", ProposedSize=str(size), MinSizeAllowed=str(least))
        return set()
    if len(rule) != 3 or not isinstance(rule[1], str):
        raise _invalid("Invalid Condition: wrong number of arguments.")
    if operator not in ("eq", "starts-with"):
        raise _invalid(f"Invalid Condition: unknown operation '{rule[0]}'.")
    if not rule[1].startswith("$"):
        raise _invalid("Invalid Condition: field names must begin with '$'.")
    name = rule[1][1:].lower()
    _compare(operator, name, rule[2], values, rule)
    return {name}


def _compare(
    operator: str, name: str, wanted: object, values: dict[str, str], rule: object
) -> None:
    if not isinstance(wanted, str):
        raise _invalid("Invalid Condition: values must be strings.")
    value = values.get(name, "")
    if operator == "eq":
        fine = value == wanted
    elif name == "content-type":
        fine = all(each.startswith(wanted) for each in value.split(","))
    else:
        fine = value.startswith(wanted)
    if not fine or (name not in values and wanted):
        raise _denied(f"Policy Condition failed: {rule}")


def _received(fields: dict[str, str], data: bytes) -> Received:
    digest = hashlib.md5(data, usedforsecurity=False).digest()
    declared = fields.get("content-md5")
    if declared is not None:
        try:
            if len(base64.b64decode(declared, validate=True)) != 16:
                raise ValueError
        except ValueError:
            raise S3Failure("InvalidDigest") from None
        if base64.b64decode(declared) != digest:
            raise S3Failure("BadDigest")
    found = {}
    for name, given in given_values(fields).items():
        check_value(name, given)
        hasher = new(name)
        hasher.update(data)
        found[name] = checksums.encode(hasher.digest())
        if found[name] != given:
            raise mismatch(name)
    return Received(Blob([data], len(data)) if data else EMPTY, digest, found)


def post_object(request: Request) -> Answer:
    bucket = request.bucket
    form = parse_form(request.headers.get("content-type", ""), request.body)
    fields = form.fields
    key = fields.get("key")
    if not key:
        raise S3Failure(
            "InvalidArgument",
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the "
            "order of the fields.",
            ArgumentName="key",
            ArgumentValue="",
        )
    # The policy is about the key that the object will have.
    filename = form.filename.replace("\\", "/").rpartition("/")[2]
    key = fields["key"] = key.replace("${filename}", filename)
    if "policy" in fields:
        auth.authenticate_form(request, fields)
        check_policy(request, fields, len(form.data))
    elif "awsaccesskeyid" in fields or "x-amz-credential" in fields or "signature" in fields:
        raise S3Failure(
            "InvalidArgument",
            "Bucket POST must contain a field named 'policy'.  If it is specified, please check the "
            "order of the fields.",
            ArgumentName="policy",
            ArgumentValue="",
        )
    request.key = key
    headers = {
        name: value.encode("utf-8").decode("latin-1")
        for name, value in fields.items()
        if name not in ("x-amz-signature", "x-amz-algorithm", "x-amz-credential", "x-amz-date")
    }
    if "acl" in headers:
        headers["x-amz-acl"] = headers.pop("acl")
    if headers.pop("tagging", None) is not None:
        tags = tagging.from_document(fields["tagging"].encode("utf-8", "replace"))
        headers["x-amz-tagging"] = urlencode(tags)
    # A bucket policy checks them like those of a PUT.
    request.headers = {**request.headers, **{n: v for n, v in headers.items() if n[:6] == "x-amz-"}}
    access.check_write(request)
    limit = request.app.max_object_size
    if limit is not None and len(form.data) > limit:
        raise S3Failure(
            "EntityTooLarge", ProposedSize=str(len(form.data)), MaxSizeAllowed=str(limit)
        )
    if "content-type" not in headers and form.content_type and "policy" not in fields:
        headers["content-type"] = form.content_type
    conditions.check_write(request, bucket, key)
    answer = writes.put_received(request, bucket, key, headers, _received(fields, form.data))
    return _answer(request, key, fields, answer)


def _answer(request: Request, key: str, fields: dict[str, str], stored: Answer) -> Answer:
    etag = dict(stored.headers)["ETag"]
    scheme = request.environ.get("wsgi.url_scheme", "http")
    base = f"{scheme}://{request.host}" + ("" if request.virtual else f"/{request.bucket_name}")
    location = f"{base}/{quote(key, safe='/~-._')}"
    redirect = fields.get("success_action_redirect") or fields.get("redirect")
    if redirect and redirect.startswith(("http://", "https://")):
        joint = "&" if "?" in redirect else "?"
        target = (
            f"{redirect}{joint}bucket={quote(request.bucket_name or '', safe='')}"
            f"&key={quote(key, safe='')}&etag={quote(etag, safe='')}"
        )
        return Answer(303, [*stored.headers, ("Location", target)])
    headers = [*stored.headers, ("Location", location)]
    status = fields.get("success_action_status", "204")
    if status == "201":
        # The one document of S3's that is in no namespace.
        inner = (
            element("Location", location)
            + element("Bucket", request.bucket_name)
            + element("Key", key)
            + element("ETag", etag)
        )
        document = f"{DECLARATION}<PostResponse>{inner}</PostResponse>".encode()
        return xml_answer(document, headers, 201)
    return Answer(200 if status == "200" else 204, headers)
