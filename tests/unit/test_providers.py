"""The table of stores: recognised by host or by name, each fact with its source."""

from __future__ import annotations

import re
from dataclasses import MISSING, FrozenInstanceError, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import s3po
from s3po.config import MAX_PARTS, Config
from s3po.errors import ConfigError
from s3po.providers import PROVIDERS, UNKNOWN, Provider, provider_named, provider_of

#: No facts about what a store does.
NOT_FACTS = {"name", "title", "sources"}


@pytest.mark.parametrize(
    ("host", "name", "region"),
    [
        ("s3.us-west-2.amazonaws.com", "aws", None),
        ("bucket.vpce-1a-2b.s3.eu-west-1.vpce.amazonaws.com", "aws", None),
        ("s3.cn-north-1.amazonaws.com.cn", "aws", None),
        ("s3.eusc-de-east-1.amazonaws.eu", "aws", None),
        ("0123456789abcdef.r2.cloudflarestorage.com", "r2", None),
        ("0123456789abcdef.eu.r2.cloudflarestorage.com", "r2", None),
        ("s3.us-west-004.backblazeb2.com", "b2", "us-west-004"),
        ("storage.googleapis.com", "gcs", None),
        ("s3.wasabisys.com", "wasabi", None),
        ("s3.eu-central-1.wasabisys.com", "wasabi", "eu-central-1"),
        ("nyc3.digitaloceanspaces.com", "digitalocean", "nyc3"),
        ("s3.gra.io.cloud.ovh.net", "ovh", "gra"),
        ("s3.us-east-va.io.cloud.ovh.us", "ovh", "us-east-va"),
        ("gateway.storjshare.io", "storj", None),
        ("gateway.eu1.storjshare.io", "storj", None),
        ("s3.fr-par.scw.cloud", "scaleway", "fr-par"),
        ("fsn1.your-objectstorage.com", "hetzner", "fsn1"),
        ("us-east-1.linodeobjects.com", "linode", "us-east-1"),
        ("oss-cn-hangzhou.aliyuncs.com", "alibaba", "cn-hangzhou"),
        ("oss-cn-hangzhou-internal.aliyuncs.com", "alibaba", "cn-hangzhou"),
        ("s3.oss-cn-hangzhou.aliyuncs.com", "alibaba", "cn-hangzhou"),
        ("oss-accelerate.aliyuncs.com", "alibaba", None),
        ("cos.ap-guangzhou.myqcloud.com", "tencent", "ap-guangzhou"),
        ("cos.accelerate.myqcloud.com", "tencent", None),
        ("obs.cn-north-4.myhuaweicloud.com", "huawei", "cn-north-4"),
        ("s3.private.dal.us.cloud-object-storage.appdomain.cloud", "ibm", None),
        ("q4n8.or.idrivee2-24.com", "idrive", None),
        ("s3.eu-central-2.ionoscloud.com", "ionos", "eu-central-2"),
        ("play.min.io", "minio", None),
        ("s3.localhost.localstack.cloud", "localstack", None),
        ("t3.storage.dev", "tigris", None),
        ("abcdef.storage.supabase.co", "supabase", None),
        ("S3.FR-PAR.SCW.CLOUD.", "scaleway", "fr-par"),
        # Not theirs
        ("store.example", "other", None),
        ("127.0.0.1", "other", None),
        ("", "other", None),
        ("amazonaws.com", "other", None),
        ("s3.us-west-2.amazonaws.com.evil.example", "other", None),
        ("s3..backblazeb2.com", "other", None),
        ("s3.a.b.backblazeb2.com", "other", None),
        (".r2.cloudflarestorage.com", "other", None),
        ("evilstorage.googleapis.com", "other", None),
        ("idrivee2-.com", "other", None),
    ],
)
def test_a_store_is_recognised_by_its_host(host: str, name: str, region: str | None) -> None:
    provider = provider_of(host)
    assert provider.name == name
    assert provider.region_of(host.rstrip(".").lower()) == region


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
def test_a_store_is_found_by_its_name(provider: Provider) -> None:
    assert provider_named(provider.name) is provider
    assert Config(provider=provider.name).provider == provider.name


@pytest.mark.parametrize("name", ["nobody", "", "R2", "aws ", 7, None, ["aws"]])
def test_an_unknown_name_is_answered_with_the_known(name: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        provider_named(name)
    for provider in PROVIDERS:
        assert f" {provider.name}," in str(caught.value)
    if name is not None:
        with pytest.raises(ConfigError, match="provider must be one of"):
            Config(provider=name)


def test_names_are_unique() -> None:
    assert len({provider.name for provider in PROVIDERS}) == len(PROVIDERS)
    patterns = [pattern for provider in PROVIDERS for pattern in provider.hosts]
    assert len(set(patterns)) == len(patterns)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
def test_each_fact_has_its_source_and_each_source_its_fact(provider: Provider) -> None:
    facts = {
        each.name
        for each in fields(Provider)
        if each.name not in NOT_FACTS
        and each.default is not MISSING
        and getattr(provider, each.name) != each.default
    }
    assert set(provider.sources) == facts
    for source in provider.sources.values():
        parts = urlsplit(source)
        assert parts.scheme == "https"
        assert "." in (parts.hostname or "")


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
def test_facts_are_possible(provider: Provider) -> None:
    assert provider.addressing_style in ("path", "virtual")
    assert provider.list_version in (1, 2, None)
    assert 0 < provider.max_parts <= MAX_PARTS
    assert 0 < provider.min_part_size <= provider.max_part_size
    # A whole object of the usual part size must fit.
    assert provider.max_part_size >= 64 * 1024 * 1024
    assert provider.max_copy_size is None or provider.max_copy_size > 0
    assert provider.region


def test_each_fact_is_read_by_code() -> None:
    code = "".join(
        path.read_text()
        for path in Path(s3po.__file__).parent.rglob("*.py")
        if path.name != "providers.py"
    )
    unread = {
        each.name
        for each in fields(Provider)
        if each.name not in NOT_FACTS | {"hosts"}
        and re.search(rf"(?:provider|store)\.{each.name}\b", code) is None
    }
    assert unread == set()


def test_of_an_unknown_store_nothing_is_expected() -> None:
    assert not UNKNOWN.checksum_headers
    assert not UNKNOWN.conditional_writes
    assert not UNKNOWN.multipart_etag_is_md5
    assert UNKNOWN.may_gunzip
    # To be tried.
    assert UNKNOWN.delete_objects is UNKNOWN.upload_part_copy is UNKNOWN.list_version is None


def test_facts_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        UNKNOWN.max_parts = 7  # type: ignore[misc]
