"""`storage_options` as s3fs has them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("fsspec", reason="needs s3po[fsspec]")

import s3po
from s3po.fs import S3FileSystem

KEYS: dict[str, Any] = {"key": "k", "secret": "s", "endpoint_url": "http://localhost:1"}


def test_names_of_s3fs_reach_the_connection() -> None:
    fs = S3FileSystem(
        **KEYS,
        token="t",
        client_kwargs={"region_name": "eu-west-1", "verify": False},
        config_kwargs={
            "connect_timeout": 3,
            "read_timeout": 7,
            "max_pool_connections": 9,
            "retries": {"max_attempts": 4, "mode": "adaptive"},
            "s3": {"addressing_style": "virtual"},
            "signature_version": "s3v4",
        },
        s3_additional_kwargs={"ServerSideEncryption": "AES256"},
        default_block_size=1024,
        default_cache_type="none",
        max_concurrency=3,
        version_aware=True,
    )
    config = fs.connection.config
    assert (config.connect_timeout, config.read_timeout, config.verify) == (3, 7, False)
    assert (config.max_attempts, config.retry_mode) == (5, "adaptive")
    assert (config.addressing_style, config.max_concurrency) == ("virtual", 3)
    assert fs.batch_size == 9
    assert fs.connection.client.endpoint.region == "eu-west-1"
    assert fs.writing({"ContentType": "text/plain"}) == {
        "sse": "AES256",
        "content_type": "text/plain",
    }
    assert (fs.default_block_size, fs.default_cache_type) == (1024, "none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "x"}, "did you mean 'endpoint_url'"),
        ({"client_kwargs": {"regionname": "x"}}, "did you mean 'region_name'"),
        ({"config_kwargs": {"conect_timeout": 1}}, "did you mean 'connect_timeout'"),
        ({"config_kwargs": {"s3": {"style": 1}}}, "config_kwargs"),
        ({"config_kwargs": {"retries": {"many": 1}}}, "retries"),
        ({"config_kwargs": {"signature_version": "s3"}}, "s3v4"),
        ({"s3_additional_kwargs": {"Acl": "x"}}, "did you mean 'acl'"),
        ({"s3_additional_kwargs": {"SSECustomerAlgorithm": "DES"}}, "must be 'AES256'"),
        ({"s3_additional_kwargs": {"SSECustomerKey": "short"}}, "32 bytes"),
        ({"local_expiry_check": True}, "If-Match"),
        ({"session": object()}, "session"),
        ({"username": "other"}, "two names"),
        ({"use_ssl": False, "endpoint_url": None}, "use_ssl"),
        ({"batch_size": -1}, "poolsize"),
        ({"default_block_size": "big"}, "default_block_size"),
        ({"client_kwargs": {"aws_access_key_id": "other"}}, "aws_access_key_id"),
        ({"connection": object()}, "not with connection="),
        ({"config_kwargs": {"read_timeout": 1}, "config": s3po.Config(read_timeout=2)}, "both"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_not_understood_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(s3po.ConfigError, match=message):
        S3FileSystem(**{**KEYS, **options})


def test_unknown_arguments_of_calls_are_errors() -> None:
    fs = S3FileSystem(**KEYS)
    with pytest.raises(s3po.ConfigError, match="ContentType"):
        fs.pipe_file("b/k", b"", ContentTyp="x")
    with pytest.raises(s3po.ConfigError, match="no option"):
        fs.open("b/k", "rb", versionid="x")
    with pytest.raises(IsADirectoryError):
        fs.cat_file("bucket")


def test_instances_are_shared_unless_they_hold_secrets_that_do_not_show() -> None:
    assert S3FileSystem(**KEYS) is S3FileSystem(**KEYS)
    assert S3FileSystem(**{**KEYS, "secret": "x"}) is not S3FileSystem(**KEYS)
    one, two = (
        S3FileSystem(endpoint_url="http://localhost:1", credentials=lambda: None) for _ in range(2)
    )
    assert one is not two


def test_anonymous_by_each_of_its_names() -> None:
    from botocore import UNSIGNED

    for options in ({"anon": True}, {"config_kwargs": {"signature_version": UNSIGNED}}):
        fs = S3FileSystem(endpoint_url="http://localhost:1", **options)
        assert fs.connection._arguments["anonymous"] is True


def test_requester_pays_goes_with_each_request() -> None:
    fs = S3FileSystem(**KEYS, requester_pays=True)
    assert fs.request_headers == {"x-amz-request-payer": "requester"}
    assert fs.writing({})["headers"] == fs.request_headers


def test_none_in_client_kwargs_is_not_given() -> None:
    none = dict.fromkeys(("endpoint_url", "region_name", "aws_session_token", "verify", "use_ssl"))
    fs = S3FileSystem(**{**KEYS, "endpoint_url": "https://localhost:1"}, client_kwargs=none)
    assert fs.sign("bucket/key").startswith("https://localhost:1/bucket/key?")
    assert "verify" not in fs.connection.config.given


def test_tags_by_boto3_s_name(fs: S3FileSystem, bucket: str) -> None:
    fs.pipe_file(f"{bucket}/tagged", b"", Tagging="a=b+c&d=")
    assert fs.get_tags(f"{bucket}/tagged") == {"a": "b c", "d": ""}


@pytest.mark.parametrize("given", ["x" * 32, b"x" * 32], ids=["str", "bytes"])
def test_a_customer_key_is_sent_by_writes_reads_and_copies(given: str | bytes) -> None:
    options = {"SSECustomerKey": given, "SSECustomerAlgorithm": "AES256"}
    fs = S3FileSystem(key="k", secret="s", s3_additional_kwargs=options, skip_instance_cache=True)
    with fs.connection.mock():
        fs.mkdir("bucket")
        work_with_customer_key(fs)


def work_with_customer_key(fs: S3FileSystem) -> None:
    fs.pipe("bucket/a", b"text")
    with pytest.raises(s3po.S3Error, match="400"):
        fs.connection.download("bucket", "a")
    assert fs.cat("bucket/a") == b"text"
    assert fs.cat(["bucket/a"]) == {"bucket/a": b"text"}
    assert fs.info("bucket/a")["size"] == 4
    assert fs.exists("bucket/a")
    fs.copy("bucket/a", "bucket/b")
    fs.cp_file("bucket/b", "bucket/c")
    fs.mv("bucket/c", "bucket/d")
    with fs.open("bucket/d", "ab") as file:
        file.write(b" and more")
    with fs.open("bucket/d") as file:
        assert file.read() == b"text and more"
    assert fs.find("bucket") == ["bucket/a", "bucket/b", "bucket/d"]


def test_dask_s_argument_of_open_is_taken(fs: S3FileSystem, bucket: str) -> None:
    fs.pipe(f"{bucket}/key", b"text")
    with fs.open(f"{bucket}/key", default_cache="none") as file:
        assert file.read() == b"text"
