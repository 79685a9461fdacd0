"""Django's storage API on S3, as Django's own tests ask of storages."""

from __future__ import annotations

import pickle
import urllib.request
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

import s3po
from s3po.mock import MockS3

pytest.importorskip("django", reason="needs s3po[django]")

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import ContentFile

if not settings.configured:
    settings.configure(
        USE_TZ=True, STATIC_URL="/static/", INSTALLED_APPS=["django.contrib.staticfiles"]
    )
    django.setup()

from s3po.contrib.django import S3ManifestStaticStorage, S3Storage


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with MockS3({"key": "secret"}).serve() as server:
        yield server


@pytest.fixture
def options(server: Any) -> dict[str, Any]:
    bucket = f"django-{uuid.uuid4().hex[:12]}"
    keys = {
        "aws_access_key_id": "key",
        "aws_secret_access_key": "secret",
        "endpoint_url": server.url,
    }
    s3po.Connection(**keys).conn.create_bucket(bucket)
    return {"bucket": bucket, **keys}


@pytest.fixture
def storage(options: dict[str, Any]) -> S3Storage:
    return S3Storage(location="media", **options)


def test_files_are_saved_and_read(storage: S3Storage) -> None:
    assert not storage.exists("a.txt")
    name = storage.save("a.txt", ContentFile(b"text"))
    assert name == "a.txt"
    assert storage.exists(name)
    assert storage.size(name) == 4
    with storage.open(name) as file:
        assert file.read() == b"text"
        assert file.size == 4
    with storage.open(name, "r") as file:
        assert file.read() == "text"
    assert isinstance(storage.get_modified_time(name), datetime)
    assert storage.get_modified_time(name).tzinfo is not None
    assert storage.connection.head(storage.bucket, "media/a.txt").content_type == "text/plain"
    storage.delete(name)
    assert not storage.exists(name)
    storage.delete(name)
    with pytest.raises(FileNotFoundError):
        storage.open(name)
    with pytest.raises(FileNotFoundError):
        storage.size(name)


def test_a_file_is_written(storage: S3Storage) -> None:
    with storage.open("written", "wb") as file:
        file.write(b"one")
        file.write(b"two")
    with storage.open("written") as file:
        assert file.read() == b"onetwo"
        assert list(file.open()) == [b"onetwo"]


def test_a_taken_name_is_replaced(storage: S3Storage) -> None:
    first = storage.save("dir/a.txt", ContentFile(b"1"))
    second = storage.save("dir/a.txt", ContentFile(b"2"))
    assert first == "dir/a.txt"
    assert second != first
    assert second.startswith("dir/a_")
    assert second.endswith(".txt")
    assert storage.open(first).read() == b"1"
    short = storage.save("dir/" + "n" * 100, ContentFile(b"3"), max_length=20)
    assert len(short) <= 20


class Racing(S3Storage):
    """A storage beside which somebody else saves first."""

    raced = False

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        found = super().get_available_name(name, max_length)
        if not self.raced:
            self.raced = True
            self.connection.upload(self.bucket, self.key_of(found), b"theirs")
        return found


def test_of_two_uploads_at_once_none_is_lost(options: dict[str, Any]) -> None:
    storage = Racing(**options)
    name = storage.save("a.txt", ContentFile(b"mine"))
    assert name != "a.txt"
    assert storage.open(name).read() == b"mine"
    assert storage.open("a.txt").read() == b"theirs"


def test_overwriting(options: dict[str, Any]) -> None:
    storage = S3Storage(file_overwrite=True, **options)
    for data in (b"1", b"2"):
        assert storage.save("a.txt", ContentFile(data)) == "a.txt"
    assert storage.open("a.txt").read() == b"2"


def test_directories_are_listed(storage: S3Storage) -> None:
    for name in ("a", "b", "d/c", "d/e/f"):
        storage.save(name, ContentFile(b""))
    assert storage.listdir("") == (["d"], ["a", "b"])
    assert storage.listdir("d") == (["e"], ["c"])


def test_names_stay_below_the_location(storage: S3Storage) -> None:
    for name in ("../a", "d/../../a", "..\\a"):
        with pytest.raises(SuspiciousFileOperation):
            storage.key_of(name)
        with pytest.raises(SuspiciousFileOperation):
            storage.save(name, ContentFile(b""))
    assert storage.key_of("/a//b") == "media/a/b"


def test_urls(options: dict[str, Any]) -> None:
    storage = S3Storage(querystring_expire=60, **options)
    name = storage.save("größe 1.txt", ContentFile(b"text"))
    url = storage.url(name)
    assert "X-Amz-Expires=60" in url
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"text"
    assert "?" not in S3Storage(querystring_auth=False, **options).url(name)
    plain = S3Storage(custom_domain="cdn.example.com", **options)
    assert plain.url("a b") == "https://cdn.example.com/a%20b"


def test_urls_without_credentials_are_plain(options: dict[str, Any]) -> None:
    place = {"bucket": options["bucket"], "endpoint_url": options["endpoint_url"]}
    storage = S3Storage(location="media", anonymous=True, **place)
    base = f"{options['endpoint_url']}/{options['bucket']}/media"
    assert storage.url("a b.txt") == f"{base}/a%20b.txt"
    assert storage.url("a", {"versionId": "1 2"}) == f"{base}/a?versionId=1%202"


def test_parameters_are_in_plain_urls(options: dict[str, Any]) -> None:
    plain = S3Storage(querystring_auth=False, **options)
    assert plain.url("a", {"versionId": "1"}).endswith("/a?versionId=1")
    cdn = S3Storage(custom_domain="cdn.example.com", **options)
    assert cdn.url("a", {"v": "1"}) == "https://cdn.example.com/a?v=1"


def test_a_custom_domain_may_have_a_scheme(options: dict[str, Any]) -> None:
    for domain in ("http://cdn.example.com", "http://cdn.example.com/"):
        assert S3Storage(custom_domain=domain, **options).url("a") == "http://cdn.example.com/a"


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "plain"])
def test_urls_of_folders_are_prefixes_of_others(options: dict[str, Any], signed: bool) -> None:
    storage = S3Storage(location="static", querystring_auth=signed, **options)
    base = f"{options['endpoint_url']}/{options['bucket']}"
    assert storage.url("") == storage.url(None) == f"{base}/static/"
    assert storage.url("admin/") == f"{base}/static/admin/"
    assert S3Storage(querystring_auth=signed, **options).url("") == f"{base}/"


def test_folders_exist_but_take_no_names(storage: S3Storage) -> None:
    assert storage.exists("")
    assert not storage.exists("d")
    storage.save("d/e/f", ContentFile(b""))
    assert storage.exists("d")
    assert storage.exists("d/e/")
    assert not storage.exists("d/e/f/")
    assert storage.save("d", ContentFile(b"")) == "d"


def test_collected_static_files_are_cleared(options: dict[str, Any]) -> None:
    from django.contrib.staticfiles.management.commands.collectstatic import Command

    storage = S3ManifestStaticStorage(location="static", **options)
    storage.save("css/deep/a.css", ContentFile(b"body {}"))
    command = Command()
    command.storage = storage
    command.set_options(
        interactive=False,
        verbosity=0,
        link=False,
        clear=True,
        dry_run=False,
        ignore_patterns=[],
        use_default_ignore_patterns=True,
        post_process=True,
    )
    command.clear_dir("")
    assert not list(storage.connection.list(options["bucket"]))


def test_text_is_saved(storage: S3Storage) -> None:
    assert storage.open(storage.save("a.txt", ContentFile("größe"))).read() == "größe".encode()


def test_options_of_django_storages_are_named_as_they_are_here(options: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"'bucket_name'.* is bucket"):
        S3Storage(bucket_name="b")
    with pytest.raises(ImproperlyConfigured, match=r"'default_acl'.*upload_options"):
        S3Storage(default_acl="public-read", **options)


def test_what_is_misconfigured(options: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match="bucket"):
        S3Storage()
    with pytest.raises(ImproperlyConfigured, match="OPTIONS"):
        S3Storage(bucket="b", region="x")
    with pytest.raises(ImproperlyConfigured, match="its own"):
        S3Storage(connection=s3po.Connection("a", "b"), **options)


def test_migrations_can_hold_it(options: dict[str, Any]) -> None:
    path, args, kwargs = S3Storage(**options).deconstruct()
    assert (path, args, kwargs) == ("s3po.contrib.django.S3Storage", (), options)
    again = pickle.loads(pickle.dumps(S3Storage(**options)))
    assert again.bucket == options["bucket"]


def test_static_files_are_named_by_their_content(options: dict[str, Any]) -> None:
    storage = S3ManifestStaticStorage(**options)
    storage.save("css/a.css", ContentFile(b"body {}"))
    paths = {"css/a.css": (storage, "css/a.css")}
    assert [error for *_, error in storage.post_process(paths) if error is not True] == []
    assert storage.stored_name("css/a.css").startswith("css/a.")
    assert storage.exists(storage.stored_name("css/a.css"))
    assert storage.exists("staticfiles.json")
