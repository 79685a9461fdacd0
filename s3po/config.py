"""Settings of a Connection, checked when they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from s3po.errors import ConfigError
from s3po.providers import provider_named

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
    """How a Connection behaves. Sizes are bytes, times are seconds.

    Retries:

    - `max_attempts`: tries of one request in all; 1 turns retries off.
    - `retry_base`: the first delay is random between 0 and this; it doubles with each further try ...
    - `retry_max`: ... up to this.
    - `retry_base_throttled`: the first delay's bound when the store asks for fewer requests.

    Time:

    - `connect_timeout`: for a connection, its TLS handshake included.
    - `read_timeout`: longest wait for the next byte of an answer, and for the store to take the next of ours.
    - `min_rate`: bytes a second that a body must come or go by; less, seen over 10 s, fails the attempt like a timeout.
      0, the default, allows any rate.
    - `max_idle`: a kept-alive connection that was idle for longer is not used again.

    Transfers:

    - `multipart_threshold`: uploads of this size and more go up as multipart, downloads as parallel ranges.
    - `part_size`: of a part and of a range; parts grow by themselves where 10,000 would not suffice.
    - `max_concurrency`: parts (or ranges) of one transfer that are under way at once.
    - `check_etags`: compare what was downloaded with its ETag where that is an MD5.
    - `response_checksum_validation`: "when_supported" asks for an object's checksum with each download, and
      compares it where it is of the whole object. CRC32, SHA1 and SHA256 cost less than the MD5; CRC64NVME and
      CRC32C have no C code in Python, and cost many times as much. boto3's name; unlike boto3's default,
      nothing that a store may not know is sent unasked.

    The store:

    - `addressing_style`: the bucket in the "path" or in a "virtual" host; "auto" is virtual on AWS, and
      elsewhere path or what the provider needs.
    - `use_fips_endpoint`, `use_dualstack_endpoint`, `use_accelerate_endpoint`: AWS's other hosts. None is off.
    - `us_east_1_regional_endpoint`: "legacy" uses s3.amazonaws.com for us-east-1; None is "regional", where boto3's
      default is "legacy".
    - `provider`: the store, by its name in `s3po.providers` ("r2", "b2", "garage", ...), for what it does
      differently; None recognises it by the endpoint's host.
    - `payload_signing`: sign the body's SHA-256 as well; None does so over plain HTTP and trusts TLS elsewhere.
    - `verify`: of TLS certificates: True, False, or the path of a CA bundle; None honours AWS_CA_BUNDLE and
      REQUESTS_CA_BUNDLE.
    - `cert`: a client certificate: a path, or (certificate, key).
    - `proxies`: {"http": url, "https": url}; None honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
    - `user_agent_extra`: appended to the User-Agent header.

    Raises ConfigError for what cannot be right.
    """

    max_attempts: int = 3
    retry_base: float = 0.1
    retry_max: float = 20.0
    retry_base_throttled: float = 1.0
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    multipart_threshold: int = 8 * MiB
    part_size: int = 8 * MiB
    max_concurrency: int = 4
    check_etags: bool = True
    response_checksum_validation: Literal["when_supported", "when_required"] = "when_required"
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    use_fips_endpoint: bool | None = None
    use_dualstack_endpoint: bool | None = None
    use_accelerate_endpoint: bool | None = None
    us_east_1_regional_endpoint: Literal["regional", "legacy"] | None = None
    provider: str | None = None
    payload_signing: bool | None = None
    verify: bool | str | None = None
    cert: str | tuple[str, str] | None = None
    proxies: dict[str, str] | None = None
    max_idle: float = 55.0
    min_rate: float = 0.0
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
        if not _is_number(self.min_rate) or self.min_rate < 0:
            raise ConfigError(f"min_rate must be 0 or more bytes a second, not {self.min_rate!r}")
        for name in ("connect_timeout", "read_timeout", "max_idle"):
            value = getattr(self, name)
            if not _is_number(value) or value <= 0:
                raise ConfigError(f"{name} must be more than 0 seconds, not {value!r}")
        check_part_size(self.part_size)
        threshold = self.multipart_threshold
        if (
            not isinstance(threshold, int)
            or isinstance(threshold, bool)
            or not 0 < threshold <= MAX_PUT_SIZE
        ):
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
        self._check_endpoint()
        self._check_kinds()

    def _check_endpoint(self) -> None:
        for name in ("use_fips_endpoint", "use_dualstack_endpoint", "use_accelerate_endpoint"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, bool):
                raise ConfigError(f"{name} must be True, False or None, not {value!r}")
        if self.us_east_1_regional_endpoint not in ("regional", "legacy", None):
            raise ConfigError(
                "us_east_1_regional_endpoint must be 'regional', 'legacy' or None, "
                f"not {self.us_east_1_regional_endpoint!r}"
            )
        if self.provider is not None:
            provider_named(self.provider)

    def _check_kinds(self) -> None:
        if not isinstance(self.check_etags, bool):
            raise ConfigError(f"check_etags must be True or False, not {self.check_etags!r}")
        if self.payload_signing is not None and not isinstance(self.payload_signing, bool):
            raise ConfigError(
                f"payload_signing must be True, False or None, not {self.payload_signing!r}"
            )
        if self.verify is not None and not isinstance(self.verify, (bool, str)):
            raise ConfigError(f"verify must be True, False, a path or None, not {self.verify!r}")
        cert = self.cert
        if not (
            cert is None
            or isinstance(cert, str)
            or (isinstance(cert, tuple) and [type(each) for each in cert] == [str, str])
        ):
            raise ConfigError(f"cert must be a path or (certificate, key), not {cert!r}")
        proxies = self.proxies
        if proxies is not None and not (
            isinstance(proxies, dict)
            and all(isinstance(each, str) for pair in proxies.items() for each in pair)
        ):
            # Not shown: a proxy's URL may hold a password.
            raise ConfigError("proxies must be a dict of scheme and URL, both str")
        if not isinstance(self.user_agent_extra, str) or any(
            ord(letter) < 32 or ord(letter) > 126 for letter in self.user_agent_extra
        ):
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
