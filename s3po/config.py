"""Settings of a Connection, checked when they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from s3po.errors import ConfigError

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
TiB = 1024 * GiB

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MIN_PART_SIZE = 5 * MiB
MAX_PART_SIZE = 5 * GiB
MAX_PARTS = 10_000
#: 10,000 parts of 5 GiB: 48.8 TiB.
MAX_OBJECT_SIZE = MAX_PARTS * MAX_PART_SIZE
MAX_PUT_SIZE = 5 * GiB
#: Keys are at most this many bytes of UTF-8
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
MAX_KEY_BYTES = 1024
#: Keys of one DeleteObjects, and of one page of a listing.
MAX_DELETE_KEYS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How a Connection behaves. Sizes are bytes, times are seconds."""

    #: Tries of one request in all; 1 turns retries off.
    max_attempts: int = 3
    #: The first delay is random between 0 and this; it doubles with each further try ...
    retry_base: float = 0.1
    #: ... up to this.
    retry_max: float = 20.0
    #: The first delay's bound when the store asks for fewer requests.
    retry_base_throttled: float = 1.0
    connect_timeout: float = 10.0
    #: Longest wait for the next byte of an answer, and for the store to take the next byte of ours.
    read_timeout: float = 60.0
    #: Uploads of this size and more go up as multipart, downloads as parallel ranges.
    multipart_threshold: int = 8 * MiB
    #: Size of a part and of a range; parts grow by themselves where 10,000 would not suffice.
    part_size: int = 8 * MiB
    #: Parts (or ranges) of one transfer that are under way at once.
    max_concurrency: int = 4
    #: Compare what was downloaded with its ETag where that is an MD5 (costs about 1.5 s of CPU per GiB).
    check_etags: bool = True
    #: "when_supported" asks for an object's checksum with each download, and compares it where it is of the
    #: whole object: CRC32, SHA1 and SHA256 cost less than the MD5, CRC64NVME and CRC32C about 10 s of CPU
    #: per GiB. boto3's name; unlike boto3's default, nothing that a store may not know is sent unasked.
    response_checksum_validation: Literal["when_supported", "when_required"] = "when_required"
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    #: Sign the body's SHA-256 as well: None does so over plain HTTP and trusts TLS elsewhere.
    payload_signing: bool | None = None
    #: True, False, or the path of a CA bundle; None honours AWS_CA_BUNDLE and REQUESTS_CA_BUNDLE.
    verify: bool | str | None = None
    #: A client certificate: a path, or (certificate, key).
    cert: str | tuple[str, str] | None = None
    #: {"http": url, "https": url}; None honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
    proxies: dict[str, str] | None = None
    #: A kept-alive socket that was idle for longer is not used again.
    max_idle: float = 55.0
    #: Appended to the User-Agent header.
    user_agent_extra: str = ""

    def __post_init__(self) -> None:
        for name in ("max_attempts", "max_concurrency"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} must be a whole number of 1 or more, not {value!r}")
        for name in ("retry_base", "retry_max", "retry_base_throttled"):
            value = getattr(self, name)
            if not _is_number(value) or value < 0:
                raise ConfigError(f"{name} must be 0 or more seconds, not {value!r}")
        for name in ("connect_timeout", "read_timeout", "max_idle"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                raise ConfigError(f"{name} must be more than 0 seconds, not {value!r}")
        check_part_size(self.part_size)
        threshold = self.multipart_threshold
        if not isinstance(threshold, int) or not 0 < threshold <= MAX_PUT_SIZE:
            raise ConfigError(f"multipart_threshold must be 1 byte to 5 GiB, not {threshold!r}")
        if self.response_checksum_validation not in ("when_supported", "when_required"):
            raise ConfigError(
                "response_checksum_validation must be 'when_supported' or 'when_required', "
                f"not {self.response_checksum_validation!r}"
            )
        if self.addressing_style not in ("auto", "path", "virtual"):
            raise ConfigError(
                f"addressing_style must be 'auto', 'path' or 'virtual', not {self.addressing_style!r}"
            )
        if any(ord(letter) < 32 or ord(letter) > 126 for letter in self.user_agent_extra):
            raise ConfigError("user_agent_extra must be printable ASCII")

    @classmethod
    def option_names(cls) -> frozenset[str]:
        return frozenset(field.name for field in fields(cls))


def _is_number(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return math.isfinite(value)


def check_part_size(part_size: int) -> None:
    """Raise ConfigError unless a part of this many bytes is legal (5 MiB to 5 GiB)."""
    if not isinstance(part_size, int) or isinstance(part_size, bool):
        raise ConfigError(f"part_size must be a whole number of bytes, not {part_size!r}")
    if not MIN_PART_SIZE <= part_size <= MAX_PART_SIZE:
        raise ConfigError(f"part_size must be 5 MiB to 5 GiB, not {part_size} bytes")
