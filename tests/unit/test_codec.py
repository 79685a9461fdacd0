"""Documents to models and back, in the forms in which different stores write them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3po.errors import (
    AccessDenied,
    InvalidRange,
    MalformedResponse,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NotFound,
    NotModified,
    PreconditionFailed,
    S3Error,
    ServerError,
    Throttled,
)
from s3po.messages import Request
from s3po.models import BucketInfo, ListObjectsResult, ObjectInfo, PartInfo
from s3po.rest import codec
from s3po.transport.bodies import BytesBody
from s3po.transport.messages import Response

NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
TIME = "2026-01-02T03:04:05.000Z"
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def answer(content: bytes | str, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, content.encode() if isinstance(content, str) else content)


def page(entries: str, rest: str = "<IsTruncated>false</IsTruncated>") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult {NS}><Name>b</Name>'
        f"<Prefix></Prefix>{rest}{entries}</ListBucketResult>"
    )


def entry(
    key: str = "a", size: str = "1", more: str = "<StorageClass>STANDARD</StorageClass>"
) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{TIME}</LastModified>"
        f"<ETag>&quot;abc&quot;</ETag><Size>{size}</Size>{more}</Contents>"
    )


URL = "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"


# Listings: the strict scan and the full parser are one

spaces = st.sampled_from(["", "", "\n", "  ", "\r\n\t"])
encoded_keys = st.text("ab/+ %&<\u00e9\u2603\x01\ufffe", min_size=1, max_size=12).map(
    lambda text: quote_plus(text.encode("utf-8", "replace"), safe="/")
)
odd_keys = st.one_of(
    encoded_keys,
    st.text("ab/%+&;<>'\" \u00e9\x01", max_size=8).map(escape),
    st.sampled_from(["", "%", "%zz", "%ff", "a&#x1;b", "<![CDATA[x]]>", "é", "]]>", "a&amp;b"]),
)
odd_times = st.sampled_from(
    [TIME, TIME, TIME, "2026-01-02T03:04:05Z", "2026-13-02T03:04:05Z", "now", "", "2026-01-02"]
)
odd_etags = st.sampled_from(
    [
        "&quot;abc&quot;",
        "&quot;abc-2&quot;",
        '"x"',
        "&#34;y&#34;",
        "abc",
        "",
        '""',
        'W/"w"',
        "&quot;",
    ]
)
odd_sizes = st.sampled_from(["0", "1", "53687091200000", "9" * 18, "9" * 25, "-1", "", "x", "٣"])
odd_extras = st.lists(
    st.sampled_from(
        [
            "<StorageClass>STANDARD</StorageClass>",
            "<StorageClass>DEEP_ARCHIVE</StorageClass>",
            "<StorageClass></StorageClass>",
            "<Owner><ID>o1</ID><DisplayName>me</DisplayName></Owner>",
            "<Owner><ID></ID></Owner>",
            "<Owner>\n <ID>o2</ID>\n</Owner>",
            "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>",
            "<Unheard>of</Unheard>",
        ]
    ),
    max_size=3,
)


@st.composite
def entries(draw: Callable[..., Any]) -> str:
    plain = draw(st.booleans())
    space = draw(spaces)
    if plain:
        fields = (draw(encoded_keys), TIME, "&quot;abc&quot;", "12")
        extras = ["<StorageClass>STANDARD</StorageClass>"]
        before: list[str] = []
        if draw(st.booleans()):
            extras.insert(0, "<Owner><ID>o1</ID><DisplayName>me</DisplayName></Owner>")
        if draw(st.booleans()):
            before = ["<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"]
    else:
        fields = (draw(odd_keys), draw(odd_times), draw(odd_etags), draw(odd_sizes))
        before, extras = draw(odd_extras), draw(odd_extras)
    key, time, etag, size = fields
    return space.join(
        [
            "<Contents>",
            f"<Key>{key}</Key>",
            f"<LastModified>{time}</LastModified>",
            f"<ETag>{etag}</ETag>",
            *before,
            f"<Size>{size}</Size>",
            *extras,
            "</Contents>",
            "",
        ]
    )


def outcome(parse: Callable[..., ListObjectsResult], content: str, v2: bool) -> object:
    try:
        return parse(answer(content.encode("utf-8", "replace")), v2=v2)
    except (MalformedResponse, S3Error) as error:
        return type(error), str(error)


@settings(max_examples=400, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(entries(), max_size=4).map("".join),
    st.sampled_from(
        [
            URL,
            "<IsTruncated>false</IsTruncated>",
            "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
            "<NextContinuationToken>t+%</NextContinuationToken><NextMarker>m%2B+</NextMarker>",
            "<IsTruncated>true</IsTruncated>",
            "",
        ]
    ),
    st.sampled_from(
        [
            "",
            "<CommonPrefixes><Prefix>p%2F</Prefix></CommonPrefixes>",
            "<S3poEntries/>",
            "<!-- ",
            "-->",
            "<![CDATA[",
            "<Inner>",
            "<!DOCTYPE x>",
            "é",
        ]
    ),
    st.sampled_from(["", "-->", "]]>", "</Inner>", "<Contents/>", entry(), "<x"]),
    st.booleans(),
)
def test_the_strict_scan_reads_what_the_full_parser_reads(
    listed: str, rest: str, before: str, after: str, v2: bool
) -> None:
    content = page(before + listed + after, rest)
    scanned = outcome(codec.parse_list_objects, content, v2)
    assert scanned == outcome(codec.parse_list_objects_fully, content, v2)


def test_the_scan_is_what_reads_a_usual_page() -> None:
    # An entry that only the full parser would refuse shows which of the two has read a page.
    usual = entry("a%2Bb+c", "7")
    result = codec.parse_list_objects(answer(page(usual, URL)), v2=True)
    assert result == ListObjectsResult((ObjectInfo("a+b c", 7, "abc", WHEN),))
    (info,) = result.objects
    assert pickle.loads(pickle.dumps(info)) == info
    assert hash(info) == hash(ObjectInfo("a+b c", 7, "abc", WHEN))
    with pytest.raises(AttributeError):
        info.key = "b"  # type: ignore[misc]


@pytest.mark.parametrize("space", ["", "\n  "])
@pytest.mark.parametrize("quote", ["&quot;", '"', "&#34;"])
@pytest.mark.parametrize("time", [TIME, "2026-01-02T03:04:05Z", "20260102T030405.5Z"])
def test_the_scan_reads_what_stores_write(
    space: str, quote: str, time: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = entry().replace("&quot;", quote).replace(TIME, time).replace("><", f">{space}<")
    content = page(written + written, URL)
    due = codec.parse_list_objects_fully(answer(content), v2=True)
    monkeypatch.setattr(codec, "parse_list_objects_fully", None)
    assert codec.parse_list_objects(answer(content), v2=True) == due


@pytest.mark.parametrize(
    "time",
    ["2026-01-02T03:04:05-05:00Z", "2026-13-01T00:00:00Z", "Z", "12:30Z", "-Z", "2026-01-02"],
)
def test_the_scan_leaves_an_odd_time_to_the_full_parser(time: str) -> None:
    content = page(entry().replace(TIME, time), URL)
    scanned = outcome(codec.parse_list_objects, content, True)
    assert scanned == outcome(codec.parse_list_objects_fully, content, True)


def test_the_scan_leaves_entries_that_are_written_in_two_ways_to_the_full_parser() -> None:
    content = page(entry("a") + entry("b").replace("&quot;", '"'), URL)
    listed = codec.parse_list_objects(answer(content), v2=True)
    assert [info.key for info in listed.objects] == ["a", "b"]
    assert len({info.etag for info in listed.objects}) == 1


@settings(max_examples=150, derandomize=True)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), max_size=5
    ),
    st.sampled_from([quote, quote_plus, lambda text: quote_plus(text, safe="/")]),
)
def test_url_encoded_keys_come_back_whole(keys: list[str], encode: Callable[[str], str]) -> None:
    content = page("".join(entry(encode(key)) for key in keys), URL)
    result = codec.parse_list_objects_v2(answer(content))
    assert [info.key for info in result.objects] == keys


def test_keys_are_decoded_only_where_the_store_says_so() -> None:
    content = page(entry("a%2Bb+c") + "<CommonPrefixes><Prefix>d%2F</Prefix></CommonPrefixes>")
    result = codec.parse_list_objects_v2(answer(content))
    assert [info.key for info in result.objects] == ["a%2Bb+c"]
    assert result.common_prefixes == ("d%2F",)


def test_a_control_character_in_a_key_does_not_hide_the_others() -> None:
    content = page(entry("a&#x1;b") + entry("c\ufffe") + entry("d"))
    result = codec.parse_list_objects_v2(answer(content))
    assert [info.key for info in result.objects] == ["a\x01b", "c\ufffe", "d"]


def test_names_that_are_no_utf8_stay_apart() -> None:
    result = codec.parse_list_objects_v2(answer(page(entry("%ff") + entry("%fe"), URL)))
    first, second = (info.key for info in result.objects)
    assert first != second


@pytest.mark.parametrize("content", ["", "<html></html>", "  \n", page("")[:-5], "not xml"])
def test_what_is_no_listing_is_not_an_empty_bucket(content: str) -> None:
    for parse in (codec.parse_list_objects_v2, codec.parse_list_objects_v1):
        with pytest.raises(MalformedResponse):
            parse(answer(content))


def test_an_error_inside_a_200_is_an_error() -> None:
    content = "<Error><Code>SlowDown</Code><Message>slow  down\nplease</Message></Error>"
    for parse in (
        codec.parse_list_objects_v2,
        codec.parse_copy_object,
        lambda response: codec.parse_delete_objects(response, []),
        codec.parse_complete_multipart_upload,
        lambda response: codec.parse_upload_part_copy(response, 1, 2),
        lambda response: codec.parse_create_multipart_upload(response, "b", "k"),
    ):
        with pytest.raises(Throttled) as caught:
            parse(answer(" \n" + content, x_amz_request_id="r1"))
        assert caught.value.code == "SlowDown"
        assert caught.value.message == "slow down please"
        assert caught.value.request_id == "r1"


@pytest.mark.parametrize("content", ["", "<CopyObjectResult/>", "<CopyPartResult/>", "<Other/>"])
def test_a_200_without_its_result_is_no_success(content: str) -> None:
    for parse in (
        codec.parse_copy_object,
        codec.parse_complete_multipart_upload,
        lambda response: codec.parse_upload_part_copy(response, 1, 2),
        lambda response: codec.parse_create_multipart_upload(response, "b", "k"),
    ):
        with pytest.raises(MalformedResponse):
            parse(answer(content))


# The next page

CUT = "<IsTruncated>true</IsTruncated>"


def test_the_next_page_of_v1_is_the_marker_or_the_last_name() -> None:
    def next_of(content: str) -> str | None:
        return codec.parse_list_objects_v1(answer(content)).next_token

    url = "<EncodingType>url</EncodingType>"
    prefix = "<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes>"
    assert next_of(page(entry("a"), CUT + "<NextMarker>x%2By</NextMarker>")) == "x%2By"
    assert next_of(page(entry("a"), url + CUT + "<NextMarker>x%2By</NextMarker>")) == "x+y"
    assert next_of(page(entry("a") + entry("b"), CUT)) == "b"
    # After all keys that begin with the prefix.
    assert next_of(page(entry("a") + prefix, CUT)) == "d/\U0010ffff"
    assert next_of(page(entry("e") + prefix, CUT)) == "e"
    assert next_of(page(entry("e"))) is None
    with pytest.raises(MalformedResponse):
        next_of(page("", CUT))


def test_the_next_page_of_v2_must_be_named() -> None:
    named = page(entry(), CUT + "<NextContinuationToken>1/+=</NextContinuationToken>")
    assert codec.parse_list_objects_v2(answer(named)).next_token == "1/+="
    with pytest.raises(MalformedResponse, match="NextContinuationToken"):
        codec.parse_list_objects_v2(answer(page(entry(), CUT + "<KeyCount>1</KeyCount>")))
    # An answer of version 1, by whose last name the listing goes on.
    first = codec.parse_list_objects_v2(answer(page(entry(), CUT)))
    assert (first.is_truncated, first.next_token) == (True, None)
    with pytest.raises(MalformedResponse, match="NextContinuationToken"):
        codec.parse_list_objects_v2(answer(page("", CUT)))
    # A last page need not say that it is.
    last = codec.parse_list_objects_v2(answer(page(entry(), "")))
    assert (len(last.objects), last.is_truncated) == (1, False)
    token = "<NextContinuationToken>t</NextContinuationToken>"
    assert codec.parse_list_objects_v2(answer(page(entry(), token))).next_token == "t"


# Buckets


def test_buckets() -> None:
    content = (
        f"<ListAllMyBucketsResult {NS}><Owner><ID>me</ID></Owner><Buckets>"
        f"<Bucket><Name>a</Name><CreationDate>{TIME}</CreationDate></Bucket>"
        "<Bucket><Name>b</Name><BucketRegion>eu-west-1</BucketRegion></Bucket></Buckets>"
        "<ContinuationToken>t</ContinuationToken></ListAllMyBucketsResult>"
    )
    result = codec.parse_list_buckets(answer(content))
    assert result.buckets == (BucketInfo("a", WHEN), BucketInfo("b", None, "eu-west-1"))
    assert (result.owner_id, result.continuation_token) == ("me", "t")
    empty = codec.parse_list_buckets(answer("<ListAllMyBucketsResult/>"))
    assert empty.buckets == ()


@pytest.mark.parametrize(
    ("content", "region"),
    [
        (f"<LocationConstraint {NS}/>", "us-east-1"),
        ("<LocationConstraint></LocationConstraint>", "us-east-1"),
        ("<LocationConstraint>EU</LocationConstraint>", "eu-west-1"),
        ("<LocationConstraint>eu-central-1</LocationConstraint>", "eu-central-1"),
    ],
)
def test_the_location_of_a_bucket(content: str, region: str) -> None:
    assert codec.parse_bucket_location(answer(content)) == region


def test_the_location_in_a_new_bucket() -> None:
    assert codec.build_create_bucket(None) == b""
    root = ElementTree.fromstring(codec.build_create_bucket("eu-west-1"))
    assert [child.text for child in root] == ["eu-west-1"]


# Deleting


@settings(max_examples=100, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
                codec.xml_can_carry
            ),
            st.none() | st.text("abc&<.", min_size=1),
        ),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)
def test_keys_to_delete_are_read_by_another_parser(
    keys: list[tuple[str, str | None]], quiet: bool
) -> None:
    root = ElementTree.fromstring(codec.build_delete_objects(keys, quiet=quiet))
    ns = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    assert [
        (item.findtext(f"{ns}Key"), item.findtext(f"{ns}VersionId"))
        for item in root.findall(f"{ns}Object")
    ] == keys
    assert root.findtext(f"{ns}Quiet") == ("true" if quiet else None)


def test_what_was_deleted_and_what_was_not() -> None:
    content = (
        "<DeleteResult><Deleted><Key>a</Key><DeleteMarker>true</DeleteMarker></Deleted>"
        "<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
        "<Deleted><Key>c&#x1;</Key><VersionId>v</VersionId></Deleted></DeleteResult>"
    )
    result = codec.parse_delete_objects(answer(content), [])
    assert [(item.key, item.version_id, item.delete_marker) for item in result.deleted] == [
        ("a", None, True),
        ("c\x01", "v", False),
    ]
    (error,) = result.errors
    assert (error.key, error.code, error.message) == ("b", "AccessDenied", "no")
    assert codec.parse_delete_objects(answer("<DeleteResult/>"), []).deleted == ()


def test_line_ends_that_a_store_echoes_raw_are_those_of_the_key() -> None:
    content = "<DeleteResult>" + "".join(
        f"<Deleted><Key>{key}</Key></Deleted>" for key in ("a\r\nb", "c\rd", "e\rf", "e\nf")
    )
    result = codec.parse_delete_objects(
        answer(content + "</DeleteResult>"),
        [("a\r\nb", None), ("c\rd", None), ("e\nf", None), ("g", None)],
    )
    assert [item.key for item in result.deleted] == ["a\r\nb", "c\rd", "e\nf", "e\nf"]


# Multipart


def test_an_upload_id_is_found_whatever_the_key_is() -> None:
    content = (
        "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>a&#x1;\x02\ufffe</Key>"
        "<UploadId>id</UploadId></InitiateMultipartUploadResult>"
    )
    key = "a\x01\x02\ufffe"
    result = codec.parse_create_multipart_upload(answer(content), "b", key)
    assert (result.bucket, result.key, result.upload_id) == ("b", key, "id")


def test_the_parts_of_an_upload_are_named_with_quoted_etags() -> None:
    body = codec.build_complete_multipart_upload([PartInfo(1, "e1"), PartInfo(3, "e3")])
    root = ElementTree.fromstring(body)
    assert [[child.text for child in part] for part in root] == [['"e1"', "1"], ['"e3"', "3"]]


def test_parts_and_uploads() -> None:
    part = (
        f"<Part><PartNumber>2</PartNumber><LastModified>{TIME}</LastModified>"
        '<ETag>"e"</ETag><Size>5</Size></Part>'
    )
    whole = codec.parse_list_parts(answer(f"<ListPartsResult>{part}</ListPartsResult>"))
    assert whole.parts == (PartInfo(2, "e", 5, WHEN),)
    assert whole.next_part_number_marker is None
    for named in ("", "<NextPartNumberMarker>2</NextPartNumberMarker>"):
        # moto's name for the root.
        cut = codec.parse_list_parts(
            answer(f"<ListPartsResponse>{CUT}{named}{part}</ListPartsResponse>")
        )
        assert cut.next_part_number_marker == 2
    with pytest.raises(MalformedResponse):
        codec.parse_list_parts(answer(f"<ListPartsResult>{CUT}</ListPartsResult>"))

    upload = f"<Upload><Key>a%2B</Key><UploadId>u</UploadId><Initiated>{TIME}</Initiated></Upload>"
    url = "<EncodingType>url</EncodingType>"
    for named in (
        "",
        "<NextKeyMarker>a%2B</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>",
    ):
        uploads, _ = codec.parse_list_multipart_uploads(
            answer(
                f"<ListMultipartUploadsResult>{url}{CUT}{named}{upload}</ListMultipartUploadsResult>"
            )
        )
        assert [(item.key, item.upload_id, item.initiated) for item in uploads.uploads] == [
            ("a+", "u", WHEN)
        ]
        assert (uploads.next_key_marker, uploads.next_upload_id_marker) == ("a+", "u")
    with pytest.raises(MalformedResponse):
        codec.parse_list_multipart_uploads(
            answer(f"<ListMultipartUploadsResult>{CUT}</ListMultipartUploadsResult>")
        )


@pytest.mark.parametrize("key", ["a +b", "a%41", "a%2541", "é"])
@pytest.mark.parametrize("raw", [True, False], ids=["as Ceph has it", "encoded"])
def test_the_marker_of_the_next_page_is_encoded_or_not(key: str, raw: bool) -> None:
    """Ceph encodes the names of a listing, and not the marker."""
    quoted = quote(key, safe="")
    marker = key if raw else quoted
    more = "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><Name>b</Name><Prefix/>"
    page = codec.parse_list_objects_v1(
        answer(
            f"<ListBucketResult {NS}>{more}<NextMarker>{marker}</NextMarker>{entry(quoted)}"
            "</ListBucketResult>"
        )
    )
    assert (page.objects[0].key, page.next_token) == (key, key)
    page = codec.parse_list_objects_v1(
        answer(
            f"<ListBucketResult {NS}>{more}<NextMarker>{marker}</NextMarker>"
            f"<CommonPrefixes><Prefix>{quoted}</Prefix></CommonPrefixes></ListBucketResult>"
        )
    )
    assert (page.common_prefixes, page.next_token) == ((key,), key)
    versions = codec.parse_list_object_versions(
        answer(
            f"<ListVersionsResult>{more}<NextKeyMarker>{marker}</NextKeyMarker><Version><Key>{quoted}</Key>"
            "<VersionId>v</VersionId><Size>1</Size></Version></ListVersionsResult>"
        )
    )
    assert (versions.versions[0].key, versions.next_key_marker) == (key, key)
    uploads, encoded = codec.parse_list_multipart_uploads(
        answer(
            f"<ListMultipartUploadsResult>{more}<NextKeyMarker>{marker}</NextKeyMarker>"
            f"<Upload><Key>{quoted}</Key><UploadId>u</UploadId></Upload></ListMultipartUploadsResult>"
        )
    )
    assert encoded
    assert (uploads.uploads[0].key, uploads.next_key_marker) == (key, key)


def test_a_part_without_an_etag_is_refused() -> None:
    assert codec.parse_upload_part(answer("", etag='"e"'), 3, 9) == PartInfo(3, "e", 9)
    with pytest.raises(MalformedResponse):
        codec.parse_upload_part(answer(""), 3, 9)


def test_results_of_copies_and_completion() -> None:
    copied = codec.parse_copy_object(
        answer(
            f"<CopyObjectResult><ETag>&quot;e&quot;</ETag><LastModified>{TIME}</LastModified>"
            "</CopyObjectResult>",
            x_amz_version_id="v",
        )
    )
    assert (copied.etag, copied.last_modified, copied.version_id) == ("e", WHEN, "v")
    part = codec.parse_upload_part_copy(
        answer("<CopyPartResult><ETag>e</ETag></CopyPartResult>"), 4, 100
    )
    assert part == PartInfo(4, "e", 100)
    done = codec.parse_complete_multipart_upload(
        answer(
            '<?xml version="1.0"?>\n\n  <CompleteMultipartUploadResult><ETag>"e-2"</ETag>'
            "</CompleteMultipartUploadResult>"
        )
    )
    assert (done.etag, done.version_id) == ("e-2", None)


# Objects' heads


def test_the_head_of_an_object() -> None:
    head = codec.parse_head_object(
        answer(
            "",
            content_length="12",
            etag='"e"',
            last_modified="Wed, 12 Oct 2009 17:50:00 GMT",
            content_type="text/plain",
            x_amz_version_id="v",
            x_amz_meta_color="red",
        )
    )
    assert (head.size, head.etag, head.content_type, head.version_id) == (
        12,
        "e",
        "text/plain",
        "v",
    )
    assert head.last_modified == datetime(2009, 10, 12, 17, 50, tzinfo=UTC)
    assert head.metadata == {"color": "red"}
    assert head.headers["content-type"] == "text/plain"
    assert pickle.loads(pickle.dumps(head)) == head
    bare = codec.parse_head_object(answer("", content_length="0", last_modified="never"))
    assert (bare.etag, bare.last_modified, bare.metadata) == ("", None, {})
    for bad in ({}, {"content_length": "-1"}, {"content_length": "x"}):
        head = codec.parse_head_object(answer("", etag="e", **bad))  # type: ignore[arg-type]
        assert head.etag == "e"
        with pytest.raises(MalformedResponse, match=r"large|size"):
            head.size  # noqa: B018


def test_the_head_of_a_range() -> None:
    got = codec.parse_get_range(
        answer(b"abc", 206, etag='"e"', content_length="3", content_range="bytes 10-12/100")
    )
    assert (got.start, got.length, got.size) == (10, 3, 100)
    assert got.body.read() == b"abc"
    no_length = codec.parse_get_range(
        answer(b"abc", 206, etag='"e"', content_range="bytes 10-12/100")
    )
    assert (no_length.start, no_length.length, no_length.size) == (10, 3, 100)
    whole = codec.parse_get_object(answer(b"abc", etag='"e"', content_length="3"))
    assert (whole.start, whole.length, whole.size) == (0, 3, 3)
    chunked = codec.parse_get_object(answer(b"abc", etag='"e"'))
    assert (chunked.length, chunked.size) == (3, 3)
    unknown = codec.parse_get_object(
        Response(200, {"last-modified": "Wed, 12 Oct 2009 17:50:00 GMT"}, None, BytesBody(b"abc"))
    )
    assert unknown.length is None
    with pytest.raises(MalformedResponse):
        unknown.size  # noqa: B018
    for bad in ("", "bytes */100", "bytes 5-4/10", "bytes 0-1/*", "items 0-1/2", "bytes 0-2/2"):
        headers = {"content_range": bad} if bad else {}
        with pytest.raises(MalformedResponse, match=r"range|part"):
            codec.parse_get_range(answer(b"abc", 206, etag='"e"', **headers))
    with pytest.raises(MalformedResponse, match="2 bytes where the range is"):
        codec.parse_get_range(
            answer(b"ab", 206, etag='"e"', content_length="2", content_range="bytes 0-2/9")
        )


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {}),
        (206, {"content_range": "bytes 0-2/9"}),
        (200, {"content_range": "bytes 0-2/9"}),
    ],
)
def test_a_part_is_never_taken_for_the_whole(status: int, headers: dict[str, str]) -> None:
    with pytest.raises(MalformedResponse, match="part of an object"):
        codec.parse_get_object(answer(b"abc", status, etag='"e"', content_length="3", **headers))


def test_a_length_is_a_number() -> None:
    with pytest.raises(MalformedResponse, match="length"):
        codec.parse_get_object(answer(b"abc", etag='"e"', content_length="+3"))


@pytest.mark.parametrize("parse", [codec.parse_get_object, codec.parse_head_object])
@pytest.mark.parametrize("body", [b"", b"<html>Sign in to the network</html>"])
def test_a_page_that_is_no_object(parse: Callable[[Response], object], body: bytes) -> None:
    """An empty 200, or what a proxy has to say, must not become the object's bytes."""
    with pytest.raises(MalformedResponse, match="ETag"):
        parse(answer(body, content_length=str(len(body)), content_type="text/html"))


# Errors


def error_of(
    status: int, content: str = "", *, key: str | None = "k", method: str = "GET", **options: object
) -> S3Error:
    request = Request("get_object", method, "b", key, **options)  # type: ignore[arg-type]
    return codec.parse_error(answer(content, status, x_amz_id_2="h"), request)


def test_an_error_document() -> None:
    error = error_of(
        404,
        f"<Error {NS}><Code>NoSuchBucket</Code><Message>none</Message><BucketName>b</BucketName>"
        "<RequestId>r9</RequestId><HostId>other</HostId></Error>",
    )
    assert isinstance(error, NoSuchBucket)
    assert isinstance(error, FileNotFoundError)
    assert (error.code, error.message, error.status) == ("NoSuchBucket", "none", 404)
    assert (error.request_id, error.host_id) == ("r9", "h")
    assert error.fields["BucketName"] == "b"


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (304, NotModified, "NotModified"),
        (400, S3Error, "BadRequest"),
        (403, AccessDenied, "AccessDenied"),
        (404, NoSuchKey, "NoSuchKey"),
        (412, PreconditionFailed, "PreconditionFailed"),
        (416, InvalidRange, "InvalidRange"),
        (429, Throttled, "TooManyRequests"),
        (500, ServerError, "InternalError"),
        (503, ServerError, "ServiceUnavailable"),
        (418, S3Error, ""),
    ],
)
def test_an_error_without_a_body_is_told_by_its_status(
    status: int, kind: type[S3Error], code: str
) -> None:
    error = error_of(status, method="HEAD")
    assert type(error) is kind
    assert (error.code, error.status) == (code, status)


def test_404_without_a_body_is_about_what_was_asked_for() -> None:
    assert type(error_of(404, key=None, method="HEAD")) is NoSuchBucket
    assert type(error_of(404, query=(("uploadId", "u"),))) is NoSuchUpload
    # Only HEAD has no body: S3 says what it did not find, a web server does not.
    assert type(error_of(404)) is NotFound
    assert type(error_of(404, key=None)) is NotFound
    assert type(error_of(404, "<html>Not Found</html>")) is NotFound


def test_no_such_key_of_an_upload_is_no_such_upload() -> None:
    """So says the Ceph Object Gateway where the upload is gone."""
    document = "<Error><Code>NoSuchKey</Code></Error>"
    upload = (("uploadId", "u"),)
    assert type(error_of(404, document, query=upload)) is NoSuchUpload
    # A copied part's is its source.
    source = {"x-amz-copy-source": "b/k"}
    assert type(error_of(404, document, query=upload, headers=source)) is NoSuchKey
    assert type(error_of(404, document)) is NoSuchKey


def test_an_error_in_json() -> None:
    """So does the Ceph Object Gateway refuse what it cannot read."""
    error = error_of(
        400,
        '{"Code":"InvalidRequest","Message":"no","RequestId":"r9","SignatureProvided":"5ec2e7"}',
    )
    assert (error.code, error.message, error.request_id) == ("InvalidRequest", "no", "r9")
    assert "5ec2e7" not in repr(error.fields)
    for other in ('{"error": {"code": 400}}', "[1]", '{"Code": 1}', "{", "{" * 100_000):
        error = error_of(400, other)
        assert error.code == "BadRequest"


def test_a_page_that_is_no_error_document_is_glimpsed() -> None:
    error = error_of(502, "<html>\n<h1>Bad Gateway</h1></html>")
    assert (error.code, error.status) == ("BadGateway", 502)
    assert "Bad Gateway" in error.message
    assert "\n" not in str(error)


def test_signatures_and_tokens_that_a_store_echoes_stay_out_of_errors() -> None:
    error = error_of(
        403,
        "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKID</AWSAccessKeyId>"
        "<SignatureProvided>5ec2e7</SignatureProvided><Token-0>t0ken</Token-0>"
        "<CanonicalRequest>x-amz-security-token:t0ken</CanonicalRequest>"
        "<CanonicalRequestBytes>74 30</CanonicalRequestBytes></Error>",
    )
    assert error.fields == {"AWSAccessKeyId": "AKID"}
    assert b"t0ken" not in pickle.dumps(error)


def test_a_bucket_that_was_taken_for_a_key_hints_at_the_endpoint() -> None:
    error = error_of(404, "<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>", key=None)
    assert type(error) is NotFound
    assert "endpoint_url" in str(error)


@pytest.mark.parametrize(
    "document",
    [
        "<ErrorResponse><Error><Code>NoSuchKey</Code><Message>m</Message></Error></ErrorResponse>",
        "<Response><Errors><Error><Code>NoSuchKey</Code></Error></Errors></Response>",
        "\ufeff<Error><Code> NoSuchKey\n</Code></Error>",
        " \n\ufeff \n<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>",
        "<?xml version='1.0' encoding='x-nobody-knows'?><Error><Code>NoSuchKey</Code></Error>",
    ],
)
def test_errors_are_read_in_all_their_forms(document: str) -> None:
    assert type(error_of(404, document)) is NoSuchKey
    with pytest.raises(NoSuchKey):
        codec.check_done(answer(document))
    with pytest.raises(NoSuchKey):
        codec.parse_put_object(answer(document, etag='"e"'))


@pytest.mark.parametrize(
    "content",
    [
        '{"error": "SlowDown"}',
        "\ufeff[1]",
        "<html><body>Sign in</body></html>",
        "  <!DOCTYPE html><html></html>",
        "upstream connect error",
    ],
)
def test_what_is_no_answer_of_a_store_is_no_success(content: str) -> None:
    with pytest.raises(MalformedResponse):
        codec.check_done(answer(content))
    with pytest.raises(MalformedResponse):
        codec.parse_upload_part(answer(content, etag='"e"'), 1, 1)


@pytest.mark.parametrize(
    "content", ["", " \n ", "<PutObjectResult/>", "<Any><Thing/></Any>", "True"]
)
def test_empty_and_other_documents_are_success(content: str) -> None:
    codec.check_done(answer(content))


ROOTS: list[tuple[Callable[[Response], object], str]] = [
    (codec.parse_list_buckets, "<Buckets/>"),
    (codec.parse_bucket_location, "<LocationConstraint>eu-west-1</LocationConstraint>"),
    (codec.parse_list_objects_v2, "<IsTruncated>false</IsTruncated>"),
    (codec.parse_list_objects_v1, entry()),
    (codec.parse_copy_object, "<ETag>e</ETag>"),
    (lambda got: codec.parse_delete_objects(got, []), "<Deleted><Key>k</Key></Deleted>"),
    (lambda got: codec.parse_create_multipart_upload(got, "b", "k"), "<UploadId>u</UploadId>"),
    (codec.parse_complete_multipart_upload, "<ETag>e</ETag>"),
    (lambda got: codec.parse_upload_part_copy(got, 1, 1), "<ETag>e</ETag>"),
    (codec.parse_list_parts, "<UploadId>u</UploadId>"),
    (codec.parse_list_multipart_uploads, "<IsTruncated>false</IsTruncated>"),
]


@pytest.mark.parametrize(("parse", "content"), ROOTS)
def test_roots_may_have_names_of_their_own(
    parse: Callable[[Response], object], content: str
) -> None:
    parse(answer(f"<AnyNameAtAll>{content}</AnyNameAtAll>"))
    nothings = ["<html><p/></html>", "<AnyNameAtAll><Else/></AnyNameAtAll>", "{}", ""]
    if "UploadId" not in content:
        nothings.append(f"<html>{content}</html>")
    for nothing in nothings:
        with pytest.raises(MalformedResponse):
            parse(answer(nothing))
    with pytest.raises(S3Error, match="InternalError"):
        parse(answer("<Error><Code>InternalError</Code></Error>"))


@pytest.mark.parametrize(
    "content",
    [
        "<InitiateMultipartUploadResult><Key>a\x01</Key><UploadId>u-1</UploadId>",
        "<x:R xmlns:x='y'><x:UploadId> u-1 </x:UploadId><broken></x:R>",
    ],
)
def test_an_upload_id_is_found_in_what_cannot_be_read(content: str) -> None:
    assert codec.parse_create_multipart_upload(answer(content), "b", "k").upload_id == "u-1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-10-11T13:22:41.123456789Z", datetime(2024, 10, 11, 13, 22, 41, 123456, UTC)),
        ("Tue, 13 Mar 2018 17:25:04 GMT", datetime(2018, 3, 13, 17, 25, 4, tzinfo=UTC)),
        (" 2024-10-11T13:22:41Z\n", datetime(2024, 10, 11, 13, 22, 41, tzinfo=UTC)),
        (":2024-10-11T13:22:41Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("Tue, 13 Mar 99999999999999999999 17:25:04 GMT", None),
        ("", None),
        ("soon", None),
    ],
)
def test_times_are_read_or_none(text: str, expected: datetime | None) -> None:
    assert codec.parse_time(text) == expected
    listed = codec.parse_list_objects_v2(answer(page(entry().replace(TIME, text))))
    assert [(info.key, info.last_modified) for info in listed.objects] == [("a", expected)]
    copied = (
        f"<CopyObjectResult><LastModified>{text}</LastModified><ETag>e</ETag></CopyObjectResult>"
    )
    assert codec.parse_copy_object(answer(copied)).last_modified == expected
