"""Settings of a Connection, which are checked when they are created."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import Field, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Self, TypeGuard

from s3po.errors import ConfigError
from s3po.providers import provider_named
from s3po.records import SECRET, record

if TYPE_CHECKING:
    from s3po.models import RequestInfo, RetryInfo

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
#: poll(2) counts milliseconds with 31 bits: 24.8 days.
MAX_SECONDS = 2_000_000
#: Keys are at most this many bytes of UTF-8
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
MAX_KEY_BYTES = 1024
#: Keys of one DeleteObjects, and of one page of a listing.
MAX_DELETE_KEYS = 1000


class _Recorder:
    """Base class that records the keywords an object was made with."""

    __slots__ = ("_passed",)
    _passed: frozenset[str]

    def __new__(cls, **passed: Any) -> Self:
        self = object.__new__(cls)
        object.__setattr__(self, "_passed", frozenset(passed))
        return self


@record(kw_only=True)
class Config(_Recorder):
    """Settings of a Connection. Sizes are bytes, times are seconds.

    The value of a setting that is not given is that of the environment variable, or of the profile in the
    shared config file, or the default; `SETTINGS` has the names. `conn.config` has the effective values.

    Attributes:
        max_attempts: Maximum number of attempts of a request, the first included; 1 turns retries off.
            Attempts to connect to an endpoint that does not respond are not counted, unless it is 1:
            `connect_patience` limits them.
        retry_mode: "standard", or "adaptive", which also limits the rate of requests after throttling,
            with one rate for all greenlets and threads of a connection.
        retry_base: Upper bound of the first delay, which is random; it doubles with each retry.
        retry_max: Upper bound of every delay.
        retry_base_throttled: Upper bound of the first delay after throttling.
        connect_patience: Seconds for which a transfer repeats the connect to an endpoint that refuses
            connections or does not respond; a single request does so for at most 5 seconds. These
            connects do not count as attempts.
        on_retry: Callable that is called with a `RetryInfo` before each retry.
        on_request: Callable that is called with a `RequestInfo` after each attempt, for metrics.
        connect_timeout: Timeout for connecting, with the TLS handshake, in seconds.
        read_timeout: Maximum wait in seconds for the next byte of the response, or until the store
            accepts a byte of the body. On Linux it does not expire while the kernel's send buffer still
            drains, as on a slow link.
        multipart_threshold: Minimum size in bytes for uploads in parts, and for downloads by parallel
            ranges.
        part_size: Size of a part or range, 5 MiB to 5 GiB. Parts are larger if more than 10,000 of them
            would be needed.
        max_concurrency: Maximum number of parts or ranges of one transfer in flight.
        check_etags: True compares downloads and uploads with the ETag of the object, where that is an
            MD5.
        request_checksum_calculation: "when_supported" (the default) sends a CRC32 in a header with
            uploads to AWS, which S3 compares and stores, and with uploads to stores that are known to
            accept it. "when_required" sends none unless `checksum` is given. Named as in boto3.
        response_checksum_validation: "when_supported" requests the checksum of the object with each
            download, and compares it; for a composite checksum the sizes of the parts are requested too.
            "when_required" (the default, unlike in boto3) requests none. CRC32, SHA1 and SHA256 take less
            CPU than the MD5 of the ETag; without `s3po[crc]`, CRC64NVME and CRC32C take many times as
            much. Named as in boto3.
        resolve_timeout: Maximum time in seconds to determine the outcome of a completion, a copy or a
            conditional write whose response was lost, before OutcomeUnknown is raised.
        mark_writes: True adds a random `x-amz-meta-s3po-write-id` to conditional writes and uploads in
            parts, which distinguishes two writers of the same bytes.
        guess_content_type: True derives the Content-Type of `upload_file` and `open` from the extension
            of the key, if none is given.
        state_dir: Folder of the records of `upload_file(resume=True)`. None is `$XDG_STATE_HOME/s3po`
            (`~/.local/state/s3po`), or the folder of the source if that is not writable.
        addressing_style: "path" puts the bucket into the path of the URL, "virtual" into its host. "auto"
            is "virtual" on AWS; elsewhere it is "path", or the style of the provider.
        use_fips_endpoint: True uses AWS's FIPS endpoints; None is off.
        use_dualstack_endpoint: True uses AWS's endpoints with IPv6; None is off.
        use_accelerate_endpoint: True uses S3 Transfer Acceleration; None is off.
        us_east_1_regional_endpoint: "legacy" uses s3.amazonaws.com for us-east-1; None is "regional" (the
            default of boto3 is "legacy").
        provider: Name of the store in `s3po.providers` ("r2", "b2", "garage", ...), for its differences
            from AWS. None recognises it by the host of the endpoint.
        disable_s3_express_session_auth: True signs requests to directory buckets with the keys of the
            connection instead of those of a session.
        payload_signing: True includes the SHA-256 of bodies in signatures, False does not. None includes
            it over plain HTTP only.
        verify: Verification of TLS certificates: True, False, or the path of a CA bundle. None uses
            AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE if they are set.
        cert: Client certificate: a path, or `(certificate, key)`.
        proxies: Proxies by scheme: `{"http": url, "https": url}`. None uses HTTP_PROXY, HTTPS_PROXY and
            NO_PROXY. Not in the repr, as a URL may contain a password.
        max_idle: Seconds after which an idle connection is closed instead of reused.
        min_rate: Minimum rate of a body in bytes per second, over 10 s; an attempt with a slower body
            fails like a timeout. 0 (the default) allows any rate.
        user_agent_extra: Text to append to the User-Agent header.

    Raises:
        ConfigError: A value is wrong.

    https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
    """

    max_attempts: int = 3
    retry_mode: Literal["standard", "adaptive"] = "standard"
    retry_base: float = 0.05
    retry_max: float = 20.0
    retry_base_throttled: float = 1.0
    connect_patience: float = 120.0
    on_retry: Callable[[RetryInfo], object] | None = None
    on_request: Callable[[RequestInfo], object] | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    multipart_threshold: int = 8 * MiB
    part_size: int = 8 * MiB
    max_concurrency: int = 4
    check_etags: bool = True
    request_checksum_calculation: Literal["when_supported", "when_required"] = "when_supported"
    response_checksum_validation: Literal["when_supported", "when_required"] = "when_required"
    resolve_timeout: float = 60.0
    mark_writes: bool = False
    guess_content_type: bool = True
    state_dir: str | os.PathLike[str] | None = None
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    use_fips_endpoint: bool | None = None
    use_dualstack_endpoint: bool | None = None
    use_accelerate_endpoint: bool | None = None
    us_east_1_regional_endpoint: Literal["regional", "legacy"] | None = None
    provider: str | None = None
    disable_s3_express_session_auth: bool = False
    payload_signing: bool | None = None
    verify: bool | str | None = None
    cert: str | tuple[str, str] | None = None
    # Not shown: a proxy's URL may hold a password.
    proxies: dict[str, str] | None = field(default=None, repr=False, metadata=SECRET)
    max_idle: float = 55.0
    min_rate: float = 0.0
    user_agent_extra: str = ""
    _given: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

    def __post_init__(self) -> None:
        passed = self._passed
        if "_given" in passed:
            # `dataclasses.replace` passes every field: those that it leaves at the default are not meant.
            given = self._given | {
                name for name, default in _defaults().items() if getattr(self, name) != default
            }
        else:
            given = passed
        object.__setattr__(self, "_given", given)
        for name in ("max_attempts", "max_concurrency"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} must be a whole number of 1 or more, not {value!r}")
        for name in (
            "retry_base",
            "retry_max",
            "retry_base_throttled",
            "connect_patience",
            "resolve_timeout",
        ):
            value = getattr(self, name)
            if not is_number(value) or value < 0:
                raise ConfigError(f"{name} must be 0 or more seconds, not {value!r}")
        if not is_number(self.min_rate) or self.min_rate < 0:
            raise ConfigError(f"min_rate must be 0 or more bytes a second, not {self.min_rate!r}")
        for name in ("connect_timeout", "read_timeout", "max_idle"):
            value = getattr(self, name)
            if not is_number(value) or not 0 < value <= MAX_SECONDS:
                raise ConfigError(
                    f"{name} must be more than 0 seconds, and at most {MAX_SECONDS:,}, not {value!r}"
                )
        check_part_size(self.part_size)
        threshold = self.multipart_threshold
        if (
            not isinstance(threshold, int)
            or isinstance(threshold, bool)
            or not 0 < threshold <= MAX_PUT_SIZE
        ):
            raise ConfigError(f"multipart_threshold must be 1 byte to 5 GiB, not {threshold!r}")
        for name in ("request_checksum_calculation", "response_checksum_validation"):
            value = getattr(self, name)
            if value not in ("when_supported", "when_required"):
                raise ConfigError(
                    f"{name} must be 'when_supported' or 'when_required', not {value!r}"
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
        for name in (
            "check_etags",
            "mark_writes",
            "guess_content_type",
            "disable_s3_express_session_auth",
        ):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.retry_mode not in ("standard", "adaptive"):
            raise ConfigError(
                f"retry_mode must be 'standard' or 'adaptive', not {self.retry_mode!r}"
            )
        if self.state_dir is not None and not (
            isinstance(self.state_dir, (str, os.PathLike)) and str(self.state_dir)
        ):
            raise ConfigError(f"state_dir must be a path or None, not {self.state_dir!r}")
        for name in ("on_retry", "on_request"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise ConfigError(f"{name} must be callable or None, not {value!r}")
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
        """Return the names of all settings."""
        return frozenset(_defaults())

    @property
    def given(self) -> frozenset[str]:
        """Names of the settings given by code; others may come from the environment or a file."""
        return self._given

    def resolve(self, found: Mapping[str, tuple[Any, str]]) -> Config:
        """Fill the settings that were not given by code.

        Args:
            found: `(value, origin)` by name of the setting; the origin is named in errors.

        Returns:
            Config: A copy with these values, or the object itself where there are none.

        Raises:
            ConfigError: A value is wrong.
        """
        values = {name: value for name, (value, _) in found.items() if name not in self._given}
        if not values:
            return self
        try:
            return self._with(values)
        except ConfigError:
            for name, value in values.items():
                try:
                    self._with({name: value})
                except ConfigError as error:
                    raise ConfigError(f"{found[name][1]}: {error}") from None
            raise

    def _with(self, values: dict[str, Any]) -> Config:
        """A copy with other values, as `dataclasses.replace` makes it."""
        all_values = {name: getattr(self, name) for name in (*_defaults(), "_given")}
        return Config(**{**all_values, **values})


@cache
def _defaults() -> dict[str, Any]:
    """Defaults of all settings, by their names."""
    config: Any = Config
    return {
        name: default.default if isinstance(default, Field) else default
        for name, default in config._defaults.items()
        if name != "_given"
    }


def is_number(value: object) -> TypeGuard[float]:
    """True for an int or float, except bool, that is finite as a float."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_part_size(part_size: int) -> None:
    """Check the size of a part (5 MiB to 5 GiB).

    Args:
        part_size: Size in bytes.

    Raises:
        ConfigError: The size is not allowed.
    """
    if not isinstance(part_size, int) or isinstance(part_size, bool):
        raise ConfigError(f"part_size must be a whole number of bytes, not {part_size!r}")
    if not MIN_PART_SIZE <= part_size <= MAX_PART_SIZE:
        raise ConfigError(f"part_size must be 5 MiB to 5 GiB, not {part_size} bytes")


@record
class Setting:
    """A setting, and its names in the environment and the profile.

    Attributes:
        name: Field of Config, argument of Connection, or setting of the sources of credentials.
        variables: Environment variables; the first non-empty one is used.
        keys: Keys of the profile ("s3.x" is x below `s3 =`); the first one that is set is used.
        kind: Type of its text.
        default: Default value.
        sentence: Description for the documentation.
        owner: Class of the argument.
        choices: Values of a choice, by their text.
    """

    name: str
    variables: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    kind: Literal["text", "path", "bool", "int", "number", "size", "choice"] = "text"
    default: Any = None
    sentence: str = ""
    owner: Literal["Config", "Connection", "credentials"] = "Config"
    choices: Mapping[str, Any] | None = None


#: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
#: https://docs.aws.amazon.com/cli/latest/topic/s3-config.html
SETTINGS: tuple[Setting, ...] = (
    # Retries
    Setting(
        "max_attempts",
        ("AWS_MAX_ATTEMPTS",),
        ("max_attempts",),
        "int",
        3,
        "Attempts of a request at most; 1 turns retries off.",
    ),
    Setting(
        "retry_mode",
        ("AWS_RETRY_MODE",),
        ("retry_mode",),
        "choice",
        "standard",
        "standard, or adaptive, which also holds requests back; legacy of other tools is standard.",
        choices={"standard": "standard", "adaptive": "adaptive", "legacy": "standard"},
    ),
    Setting(
        "retry_base",
        kind="number",
        default=0.05,
        sentence="Upper bound of the first delay, seconds.",
    ),
    Setting(
        "retry_max", kind="number", default=20.0, sentence="Upper bound of every delay, seconds."
    ),
    Setting(
        "retry_base_throttled",
        kind="number",
        default=1.0,
        sentence="Upper bound of the first delay after throttling, in seconds.",
    ),
    Setting(
        "connect_patience",
        kind="number",
        default=120.0,
        sentence="Seconds for which a transfer repeats the connect to an endpoint that does not respond.",
    ),
    Setting("on_retry", sentence="Callable that is called with a RetryInfo before each retry."),
    Setting(
        "on_request", sentence="Callable that is called with a RequestInfo after each attempt."
    ),
    # Time
    Setting(
        "connect_timeout",
        kind="number",
        default=10.0,
        sentence="Timeout for connecting, with the TLS handshake, in seconds.",
    ),
    Setting(
        "read_timeout",
        kind="number",
        default=60.0,
        sentence="Timeout for the next byte of the response or of the request, in seconds.",
    ),
    Setting(
        "min_rate",
        kind="number",
        default=0.0,
        sentence="Minimum rate of a body, in bytes per second over 10 s; 0 allows any rate.",
    ),
    Setting(
        "max_idle",
        kind="number",
        default=55.0,
        sentence="Seconds after which an idle connection is closed instead of reused.",
    ),
    # Transfers
    Setting(
        "multipart_threshold",
        (),
        ("s3.multipart_threshold",),
        "size",
        8 * MiB,
        "Minimum size for uploads in parts, and for downloads by parallel ranges.",
    ),
    Setting(
        "part_size",
        (),
        ("s3.multipart_chunksize",),
        "size",
        8 * MiB,
        "Size of a part or range; a value of the profile is adjusted to the limits of S3, as by the AWS CLI.",
    ),
    Setting(
        "max_concurrency",
        (),
        ("s3.max_concurrent_requests",),
        "int",
        4,
        "Maximum number of parts or ranges of one transfer in flight.",
    ),
    Setting(
        "check_etags",
        kind="bool",
        default=True,
        sentence="Compare downloads and uploads with the ETag of the object, where that is an MD5.",
    ),
    Setting(
        "request_checksum_calculation",
        ("AWS_REQUEST_CHECKSUM_CALCULATION",),
        ("request_checksum_calculation",),
        "choice",
        "when_supported",
        "when_supported sends a CRC32 in a header with uploads to AWS, when_required sends none.",
        choices={"when_supported": "when_supported", "when_required": "when_required"},
    ),
    Setting(
        "response_checksum_validation",
        ("AWS_RESPONSE_CHECKSUM_VALIDATION",),
        ("response_checksum_validation",),
        "choice",
        "when_required",
        "when_supported requests the checksum of the object with each download, when_required requests none.",
        choices={"when_supported": "when_supported", "when_required": "when_required"},
    ),
    Setting(
        "resolve_timeout",
        kind="number",
        default=60.0,
        sentence="Maximum time to determine the outcome of a write whose response was lost, in seconds.",
    ),
    Setting(
        "mark_writes",
        kind="bool",
        default=False,
        sentence="Add a random ID to the metadata of conditional writes and uploads in parts.",
    ),
    Setting(
        "state_dir",
        sentence="Folder of the records of upload_file(resume=True); None is $XDG_STATE_HOME/s3po.",
    ),
    Setting(
        "guess_content_type",
        kind="bool",
        default=True,
        sentence="Derive the Content-Type of upload_file and open from the extension of the key.",
    ),
    # The store
    Setting(
        "addressing_style",
        (),
        ("s3.addressing_style",),
        "choice",
        "auto",
        "Bucket in the path or in the host of URLs; auto is virtual on AWS, path elsewhere.",
        choices={"auto": "auto", "path": "path", "virtual": "virtual"},
    ),
    Setting(
        "provider",
        sentence="Name of the store, for its differences from AWS; None recognises it by its host.",
    ),
    Setting(
        "disable_s3_express_session_auth",
        ("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",),
        ("s3_disable_express_session_auth",),
        "bool",
        False,
        "Sign requests to directory buckets with the keys of the connection instead of those of a session.",
    ),
    Setting(
        "payload_signing",
        (),
        ("s3.payload_signing_enabled",),
        "bool",
        None,
        "Include the SHA-256 of bodies in signatures; None does so over plain HTTP only.",
    ),
    Setting(
        "verify",
        ("AWS_CA_BUNDLE",),
        ("ca_bundle",),
        "path",
        None,
        "Verification of TLS certificates: True, False, or the path of a CA bundle; REQUESTS_CA_BUNDLE is used if none is given.",
    ),
    Setting("cert", sentence="Client certificate: a path, or (certificate, key)."),
    Setting(
        "proxies", sentence="Proxies by scheme; None uses HTTP_PROXY, HTTPS_PROXY and NO_PROXY."
    ),
    Setting("user_agent_extra", default="", sentence="Text to append to the User-Agent header."),
    Setting(
        "use_fips_endpoint",
        ("AWS_USE_FIPS_ENDPOINT",),
        ("use_fips_endpoint",),
        "bool",
        None,
        "Use AWS's endpoints that are validated for FIPS 140.",
    ),
    Setting(
        "use_dualstack_endpoint",
        ("AWS_USE_DUALSTACK_ENDPOINT",),
        ("s3.use_dualstack_endpoint", "use_dualstack_endpoint"),
        "bool",
        None,
        "Use AWS's endpoints with IPv6.",
    ),
    Setting(
        "use_accelerate_endpoint",
        (),
        ("s3.use_accelerate_endpoint",),
        "bool",
        None,
        "Use S3 Transfer Acceleration.",
    ),
    Setting(
        "us_east_1_regional_endpoint",
        ("AWS_S3_US_EAST_1_REGIONAL_ENDPOINT",),
        ("s3_us_east_1_regional_endpoint", "s3.us_east_1_regional_endpoint"),
        "choice",
        None,
        "legacy sends requests for us-east-1 to the global endpoint.",
        choices={"regional": "regional", "legacy": "legacy"},
    ),
    # Arguments of Connection
    Setting(
        "profile_name",
        ("AWS_DEFAULT_PROFILE", "AWS_PROFILE"),
        default="default",
        sentence="Profile of the shared files.",
        owner="Connection",
    ),
    Setting(
        "region_name",
        ("AWS_REGION", "AWS_DEFAULT_REGION"),
        ("region",),
        sentence="Region that requests are signed for.",
        owner="Connection",
    ),
    Setting(
        "endpoint_url",
        ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        ("endpoint_url",),
        sentence="URL of a store other than AWS; `endpoint_url` below `s3 =` of the `services` section comes"
        " before the profile's own.",
        owner="Connection",
    ),
    # Sources of credentials
    Setting(
        "ignore_configured_endpoint_urls",
        ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",),
        ("ignore_configured_endpoint_urls",),
        "bool",
        False,
        "Ignore endpoints of the environment and of the profile.",
        owner="credentials",
    ),
    Setting(
        "sts_regional_endpoints",
        ("AWS_STS_REGIONAL_ENDPOINTS",),
        ("sts_regional_endpoints",),
        "choice",
        "regional",
        "legacy asks the global sts.amazonaws.com for roles.",
        owner="credentials",
        choices={"regional": "regional", "legacy": "legacy"},
    ),
    Setting(
        "metadata_service_timeout",
        ("AWS_METADATA_SERVICE_TIMEOUT",),
        ("metadata_service_timeout",),
        "number",
        1.0,
        "Seconds to wait for the instance metadata service.",
        owner="credentials",
    ),
    Setting(
        "metadata_service_num_attempts",
        ("AWS_METADATA_SERVICE_NUM_ATTEMPTS",),
        ("metadata_service_num_attempts",),
        "int",
        2,
        "Attempts of a request to the instance metadata service.",
        owner="credentials",
    ),
    Setting(
        "ec2_metadata_disabled",
        ("AWS_EC2_METADATA_DISABLED",),
        (),
        "bool",
        False,
        "Do not use the instance metadata service.",
        owner="credentials",
    ),
    Setting(
        "ec2_metadata_v1_disabled",
        ("AWS_EC2_METADATA_V1_DISABLED",),
        ("ec2_metadata_v1_disabled",),
        "bool",
        True,
        "No effect: s3po uses IMDSv2 only.",
        owner="credentials",
    ),
    Setting(
        "ec2_metadata_service_endpoint",
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT",),
        ("ec2_metadata_service_endpoint",),
        "text",
        None,
        "URL of the instance metadata service.",
        owner="credentials",
    ),
    Setting(
        "ec2_metadata_service_endpoint_mode",
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",),
        ("ec2_metadata_service_endpoint_mode",),
        "choice",
        "ipv4",
        "Address family of the instance metadata service's default URL.",
        owner="credentials",
        choices={"ipv4": "ipv4", "ipv6": "ipv6"},
    ),
)

#: Settings of the AWS tools that are accepted without effect, and the reasons.
IGNORED: Mapping[str, str] = {
    "s3.max_bandwidth": "bounds the AWS CLI's transfers",
    "s3.max_queue_size": "bounds the AWS CLI's queue",
    "s3.preferred_transfer_client": "chooses the AWS CLI's engine",
    "s3.target_bandwidth": "for the AWS CLI's other engine",
    "s3.signature_version": "requests are signed with SigV4",
    "s3.use_arn_region": "the region of an ARN is the one that counts",
    "s3_use_arn_region": "the region of an ARN is the one that counts",
    "s3.s3_disable_multiregion_access_points": "they need SigV4A, which is refused anyway",
    "request_min_compression_size_bytes": "no operation of S3 compresses its request",
    "disable_request_compression": "no operation of S3 compresses its request",
    "account_id_endpoint_mode": "endpoints of S3 have no account id",
    "sigv4a_signing_region_set": "requests are signed with SigV4",
    "auth_scheme_preference": "requests are signed with SigV4",
    "defaults_mode": "the defaults are those of this table",
    "parameter_validation": "what cannot be right is refused always",
    "tcp_keepalive": "connections are looked at before they are used again",
    "api_versions": "there is one version of S3's API",
    "data_path": "there are no descriptions to load",
    "cli_pager": "the AWS CLI's own",
    "output": "the AWS CLI's own",
}


def settings_table() -> str:
    """Format `SETTINGS` as a table in Markdown, for the documentation.

    Returns:
        str: The table.
    """
    lines = [
        "| setting | environment | profile | default | |",
        "|---|---|---|---|---|",
    ]
    for each in SETTINGS:
        variables = ", ".join(f"`{name}`" for name in each.variables)
        keys = ", ".join(f"`{name}`" for name in each.keys)
        lines.append(
            f"| `{each.name}` | {variables} | {keys} | `{each.default!r}` | {each.sentence} |"
        )
    return "\n".join(lines) + "\n"
