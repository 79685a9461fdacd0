"""The table of operations against botocore's service model, serializer and parser."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree

import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import ServiceModel, Shape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from s3po.errors import AccessDenied, ConfigError, MalformedResponse
from s3po.messages import Request
from s3po.rest import Client, operations
from s3po.rest.operations import TableOperation, members
from s3po.rest.shapes import LEFT_OUT, OPERATIONS, SHAPES
from s3po.transport.messages import Response
from tests.support import s3_model

MODEL = ServiceModel(s3_model.load(), "s3")
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMES = sorted(OPERATIONS)
if not set(NAMES) <= set(MODEL.operation_names):
    # The oldest botocore that s3po takes signs as the newest does, but its model has fewer operations.
    pytest.skip("the model of this botocore is older than the table", allow_module_level=True)


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


# The list


def test_every_operation_of_s3_is_there_or_left_out_for_a_reason() -> None:
    served = set(OPERATIONS) | s3_model.WRITTEN
    assert served & set(LEFT_OUT) == set()
    assert set(MODEL.operation_names) - served - set(LEFT_OUT) == set()
    for name in served:
        method = getattr(Client, snake(name))
        assert method.__doc__
        assert f"API_{name}.html" in method.__doc__
    for name, reason in LEFT_OUT.items():
        assert not hasattr(Client, snake(name))
        assert reason


def test_the_table_says_what_the_model_says() -> None:
    due, shapes = s3_model.tables(frozenset(LEFT_OUT))
    assert set(OPERATIONS) == set(due)
    for name, row in OPERATIONS.items():
        # Newer botocores may know more members.
        for ours, theirs in zip(row, due[name], strict=True):
            if ours != theirs:
                assert members(ours.lstrip("=")).items() <= members(theirs.lstrip("=")).items(), (
                    name
                )
    for name, text in SHAPES.items():
        assert members(text).items() <= members(shapes[name]).items(), name


# To requests and back


def sample(shape: Shape, *, full: bool, name: str = "x") -> Any:
    """A value of a shape of the model: all of it, or only what is required."""
    if shape.type_name == "structure":
        return {
            each: sample(member, full=full, name=each)
            for each, member in shape.members.items()
            if full or each in shape.required_members
        }
    if shape.type_name == "list":
        items = [sample(shape.member, full=full, name=f"{name}{index}") for index in range(2)]
        return items if full else items[:1]
    if shape.type_name == "map":
        return {"a": "b"}
    if shape.type_name in ("integer", "long"):
        return 7
    if shape.type_name == "boolean":
        return True
    if shape.type_name == "timestamp":
        return WHEN
    if shape.type_name == "blob":
        return b"bl\x00b"
    return f"{name} <&> \u00fc\n" if full and name in ("Prefix", "ID", "Value") else name


def canonical(document: bytes | str) -> Any:
    def plain(element: ElementTree.Element) -> Any:
        return (
            element.tag.rpartition("}")[2],
            {name.rpartition("}")[2]: value for name, value in element.attrib.items()},
            element.text if not len(element) else "",
            # Some writers keep the caller's order, S3 asks for none.
            sorted(map(plain, element), key=repr),
        )

    return plain(ElementTree.fromstring(document))


def in_ascii(parameters: dict[str, Any], name: str) -> dict[str, Any]:
    """Parameters that go into headers, as headers can carry them."""
    row = OPERATIONS[name]
    for member in members(row.headers):
        if isinstance(parameters.get(member), str):
            parameters[member] = member
    return parameters


@pytest.mark.parametrize("full", [True, False], ids=["full", "required"])
@pytest.mark.parametrize("name", NAMES)
def test_requests_are_those_of_botocore(name: str, full: bool) -> None:
    model = MODEL.operation_model(name)
    parameters = in_ascii(sample(model.input_shape, full=full), name)
    parameters.update(Bucket="bucket")
    if OPERATIONS[name].target.startswith("key"):
        parameters["Key"] = "the key"
    parameters.pop("SSECustomerKey", None)
    parameters.pop("ChecksumAlgorithm", None)
    due = create_serializer("rest-xml", include_validation=False).serialize_to_request(
        parameters, model
    )
    bucket, key = parameters.pop("Bucket"), parameters.pop("Key", None)
    request = TableOperation(name).request(bucket, key, parameters)
    assert request.method == due["method"]
    path, _, fixed = due["url_path"].partition("?")
    assert unquote(path) == f"/{bucket}/{key}" if key else f"/{bucket}"
    query = dict(parse_qsl(fixed, keep_blank_values=True))
    query.update({each: _text(value) for each, value in due["query_string"].items()})
    if name == "ListObjectVersions":
        query.setdefault("encoding-type", "url")
    assert {each: value or "" for each, value in request.query} == query
    headers = {each.lower(): value for each, value in due["headers"].items()}
    ours = dict(request.headers)
    for added in ("content-md5", "content-type", "x-amz-client-token"):
        if added not in headers:
            ours.pop(added, None)
    headers.pop("content-type", None)
    ours.pop("content-type", None)
    assert ours == headers
    body = due["body"]
    if isinstance(body, bytes) and body[:1] == b"<":
        assert isinstance(request.body, bytes)
        assert canonical(request.body) == canonical(body)
    else:
        assert bytes(request.body or b"") == (  # type: ignore[arg-type]
            body.encode() if isinstance(body, str) else body or b""
        )


def _text(value: Any) -> str:
    return (
        {True: "true", False: "false"}.get(value, str(value))
        if isinstance(value, bool)
        else str(value)
    )


def write(shape: Shape, value: Any, name: str) -> str:
    """A document of an answer, by the model."""
    if shape.type_name == "structure":
        attributes, content = "", ""
        for each, given in value.items():
            member = shape.members[each]
            wire = member.serialization.get("name", each)
            if member.serialization.get("location"):
                continue
            if member.serialization.get("xmlAttribute"):
                attributes = (
                    f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" {wire}="{given}"'
                )
            else:
                content += write(member, given, wire)
        return f"<{name}{attributes}>{content}</{name}>"
    if shape.type_name == "list":
        inner = shape.member.serialization.get("name", "member")
        if shape.serialization.get("flattened"):
            return "".join(write(shape.member, each, name) for each in value)
        return f"<{name}>{''.join(write(shape.member, each, inner) for each in value)}</{name}>"
    return f"<{name}>{escaped(value)}</{name}>"


def escaped(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace("\n", "&#10;")


@pytest.mark.parametrize("full", [True, False], ids=["full", "required"])
@pytest.mark.parametrize(
    "name", [name for name in NAMES if MODEL.operation_model(name).output_shape]
)
def test_answers_are_read_as_botocore_reads_them(name: str, full: bool) -> None:
    output = MODEL.operation_model(name).output_shape
    value = sample(output, full=full)
    headers = {}
    for member in members(OPERATIONS[name].answer_headers).values():
        headers[member.wire] = (
            {"i": "7", "b": "true", "h": "Fri, 02 Jan 2026 03:04:05 GMT"}.get(member.kind, "text")
            if full
            else ""
        )
    headers = {each: text for each, text in headers.items() if text}
    payload = output.serialization.get("payload")
    if payload is None:
        body = write(output, value, "Result").encode()
    elif output.members[payload].type_name == "structure":
        body = write(output.members[payload], value.get(payload, {}), payload).encode()
    else:
        body = b'{"any": "thing"}'
    due = create_parser("rest-xml").parse(
        {"status_code": 200, "headers": HeadersDict(headers), "body": body},
        output,
    )
    due.pop("ResponseMetadata")
    if name == "GetObjectAnnotation":
        # What botocore streams.
        due["AnnotationPayload"] = due["AnnotationPayload"].encode()
    found = operations.parse(
        Response(200, {each.lower(): text for each, text in headers.items()}, body),
        OPERATIONS[name],
    )
    if name == "ListObjectVersions":
        # botocore's client decodes these beside its parser.
        found.pop("EncodingType", None)
        due.pop("EncodingType", None)
    assert found == due


# What may be given, and what comes back


def request(name: str, *arguments: Any, **parameters: Any) -> Request:
    bucket, key = (*arguments, None)[:2]
    return TableOperation(name).request(bucket, key, parameters)


@pytest.mark.parametrize(
    ("name", "key", "parameters", "message"),
    [
        ("PutBucketCors", None, {}, "needs CORSConfiguration"),
        ("PutBucketCors", None, {"CORSConfiguration": {}}, "CORSConfiguration needs CORSRules"),
        ("PutBucketCors", None, {"CORSConfiguration": []}, "must be a dict with CORSRules"),
        ("PutBucketCors", None, {"CORSConfiguration": {"CORSRules": {}}}, "must be a list"),
        (
            "PutBucketCors",
            None,
            {
                "CORSConfiguration": {
                    "CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": "*"}]
                }
            },
            r"CORSRules\[0\]\.AllowedOrigins must be a list",
        ),
        (
            "PutBucketCors",
            None,
            {
                "CORSConfiguration": {
                    "CORSRules": [
                        {"AllowedMethods": [], "AllowedOrigins": [], "MaxAgeSeconds": "9"}
                    ]
                }
            },
            "MaxAgeSeconds must be a whole number",
        ),
        ("GetBucketCors", None, {"Nonsense": 1}, "no 'Nonsense'"),
        ("GetBucketCors", "key", {}, "not of the key"),
        ("GetObjectTagging", None, {}, "key must be"),
        ("GetObjectTagging", "k", {"VersionId": "a\udc80"}, "surrogate"),
        ("GetObjectTagging", "k", {"ExpectedBucketOwner": "a\r\nb"}, "printable"),
        ("PutObjectTagging", "k", {"Tagging": {"TagSet": [{"Key": "a"}]}}, "needs Value"),
        ("PutObjectTagging", "k", {"Tagging": {"TagSet": [{"Key": "a", "Value": "\x01"}]}}, "XML"),
        ("PutObjectRetention", "k", {"Retention": {"RetainUntilDate": "soon"}}, "datetime"),
        (
            "PutPublicAccessBlock",
            None,
            {"PublicAccessBlockConfiguration": {"BlockPublicAcls": "yes"}},
            "True or False",
        ),
        ("PutBucketPolicy", None, {"Policy": {}, "ConfirmRemoveSelfBucketAccess": True}, "str"),
        (
            "PutBucketTagging",
            None,
            {"Tagging": {"TagSet": []}, "ChecksumAlgorithm": "ROT13"},
            "ChecksumAlgorithm",
        ),
    ],
)
def test_what_cannot_be_right_is_told_with_its_place(
    name: str, key: str | None, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        TableOperation(name).request("b", key, parameters)


def test_a_checksum_goes_where_s3_demands_one() -> None:
    tags = {"Tagging": {"TagSet": []}}
    assert "content-md5" in request("PutBucketTagging", "b", **tags).headers
    chosen = request("PutBucketTagging", "b", ChecksumAlgorithm="sha256", **tags).headers
    assert "content-md5" not in chosen
    assert len(chosen["x-amz-checksum-sha256"]) == 44
    given = request("PutBucketTagging", "b", ContentMD5="abc=", **tags).headers
    assert given["content-md5"] == "abc="
    directory = request(
        "PutBucketEncryption",
        "b--use1-az4--x-s3",
        ServerSideEncryptionConfiguration={"Rules": [{}]},
    ).headers
    assert "content-md5" not in directory
    assert "x-amz-checksum-crc32" in directory
    assert "content-md5" in request("PutBucketAcl", "b", ACL="private").headers
    assert (
        "content-md5"
        not in request(
            "PutBucketAnalyticsConfiguration",
            "b",
            Id="i",
            AnalyticsConfiguration={"Id": "i", "StorageClassAnalysis": {}},
        ).headers
    )


def test_a_customers_key_goes_as_boto3_sends_it() -> None:
    sent = request(
        "GetObjectAttributes", "b", "k", ObjectAttributes=["ETag"], SSECustomerKey=b"\x00" * 32
    ).headers
    assert sent["x-amz-server-side-encryption-customer-key"] == "A" * 43 + "="
    assert sent["x-amz-server-side-encryption-customer-key-md5"] == "cLyPS3KoaSFGi/joRB3OUQ=="


def test_what_must_not_be_sent_twice_is_marked() -> None:
    assert request("PutBucketTagging", "b", Tagging={"TagSet": []}).idempotent
    assert not request("RestoreObject", "b", "k", RestoreRequest={"Days": 1}).idempotent
    renamed = request("RenameObject", "b", "k", RenameSource="/b/old", DestinationIfNoneMatch="*")
    assert renamed.idempotent
    assert len(renamed.headers["x-amz-client-token"]) == 36


def parse(name: str, body: str, **headers: str) -> dict[str, Any]:
    return operations.parse(Response(200, headers, body.encode()), OPERATIONS[name])


def test_answers_that_are_none_are_refused() -> None:
    for name in ("GetBucketCors", "GetBucketPolicy", "PutBucketTagging", "GetObjectLegalHold"):
        with pytest.raises(AccessDenied):
            parse(name, "<Error><Code>AccessDenied</Code></Error>")
        with pytest.raises(MalformedResponse):
            parse(name, "<html><p/></html>")
    for name in ("GetBucketCors", "GetObjectLegalHold"):
        with pytest.raises(MalformedResponse):
            parse(name, "")


def test_fields_that_cannot_be_read_are_left_out() -> None:
    found = parse(
        "ListObjectVersions",
        "<R><EncodingType>url</EncodingType><MaxKeys>many</MaxKeys><Prefix>a%2Bb</Prefix>"
        "<Version><Key>a%20b</Key><Size>1e9</Size><LastModified>soon</LastModified></Version>"
        "<DeleteMarker><Key>c+d</Key></DeleteMarker><CommonPrefixes><Prefix>%C3%BC</Prefix></CommonPrefixes></R>",
    )
    assert found == {
        "EncodingType": "url",
        "Prefix": "a+b",
        "Versions": [{"Key": "a b"}],
        "DeleteMarkers": [{"Key": "c d"}],
        "CommonPrefixes": [{"Prefix": "\u00fc"}],
    }
