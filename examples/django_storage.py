"""Django: media files on S3 by `s3po.contrib.django`. `pip install s3po[django]`"""

from __future__ import annotations

import os

import django
from django.conf import settings

settings.configure(
    USE_TZ=True,
    STORAGES={
        "default": {
            "BACKEND": "s3po.contrib.django.S3Storage",
            "OPTIONS": {
                "bucket": os.environ["EXAMPLE_BUCKET"],
                "location": "media",
                "querystring_expire": 600,
                "upload_options": {"cache_control": "private, max-age=600"},
            },
        },
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    },
)
django.setup()


def main() -> None:
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage

    first = default_storage.save("avatars/me.png", ContentFile(b"one"))
    second = default_storage.save("avatars/me.png", ContentFile(b"two"))
    assert first != second
    with default_storage.open(first) as file:
        assert file.read() == b"one"
    assert "X-Amz-Expires=600" in default_storage.url(second)
    assert default_storage.listdir("avatars")[0] == []
    default_storage.delete(first)
    assert not default_storage.exists(first)


if __name__ == "__main__":
    main()
