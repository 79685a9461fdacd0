"""Options of the filesystem: s3fs's names, checked, as arguments of Connection and of its calls."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from fsspec.callbacks import NoOpCallback

from s3po.config import Config
from s3po.errors import ConfigError, PreconditionFailed
from s3po.transfer.headers import build_customer_key

#: boto3's parameters of an upload, as `s3_additional_kwargs` and the calls take them, and their names here.
_PARAMETERS = {
    "ACL": "acl",
    "CacheControl": "cache_control",
    "ContentDisposition": "content_disposition",
    "ContentEncoding": "content_encoding",
    "ContentLanguage": "content_language",
    "ContentType": "content_type",
    "Expires": "expires",
    "IfMatch": "if_match",
    "IfNoneMatch": "if_none_match",
    "Metadata": "metadata",
    "SSEKMSKeyId": "sse_kms_key_id",
    "ServerSideEncryption": "sse",
    "SSECustomerKey": "sse_customer_key",
    "StorageClass": "storage_class",
    "Tagging": "tags",
    "ChecksumAlgorithm": "checksum",
}
#: What boto3 sends with a customer key, and s3po makes of the key.
_OF_CUSTOMER_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": None}
#: Keyword arguments of `Connection.upload` that the filesystem passes on.
WRITE_OPTIONS = frozenset((*_PARAMETERS.values(), "headers"))

#: `client_kwargs` of s3fs are boto3's arguments of `session.client`.
_CLIENT = {
    "aws_access_key_id": "aws_access_key_id",
    "aws_secret_access_key": "aws_secret_access_key",
    "aws_session_token": "aws_session_token",
    "endpoint_url": "endpoint_url",
    "region_name": "region_name",
    "verify": "verify",
    "use_ssl": "use_ssl",
}
#: `config_kwargs` of s3fs are the arguments of botocore's Config: those that have the same meaning here.
_CONFIG = {
    "connect_timeout": "connect_timeout",
    "read_timeout": "read_timeout",
    "proxies": "proxies",
    "client_cert": "cert",
    "user_agent_extra": "user_agent_extra",
    "use_dualstack_endpoint": "use_dualstack_endpoint",
    "use_fips_endpoint": "use_fips_endpoint",
    "response_checksum_validation": "response_checksum_validation",
}
_CONFIG_S3 = {
    "addressing_style": "addressing_style",
    "payload_signing_enabled": "payload_signing",
    "use_accelerate_endpoint": "use_accelerate_endpoint",
    "us_east_1_regional_endpoint": "us_east_1_regional_endpoint",
}
#: They change nothing here: s3po needs no such setting.
_CONFIG_IGNORED = frozenset(
    ("parameter_validation", "tcp_keepalive", "request_checksum_calculation")
)


@dataclass(slots=True)
class Settings:
    """Arguments of a Connection, and what goes with each request."""

    arguments: dict[str, Any]
    #: Sent with every request.
    headers: dict[str, str] = field(default_factory=dict)
    #: Sent with each request that reads an object, beside those.
    read_headers: dict[str, str] = field(default_factory=dict)
    #: Keyword arguments of each upload.
    write: dict[str, Any] = field(default_factory=dict)
    #: Number of parallel requests, if the options have it.
    poolsize: int | None = None


def resolve_options(
    *,
    anon: bool,
    key: str | None,
    secret: str | None,
    token: str | None,
    username: str | None,
    password: str | None,
    endpoint_url: str | None,
    profile: str | None,
    use_ssl: bool,
    client_kwargs: Mapping[str, Any] | None,
    config_kwargs: Mapping[str, Any] | None,
    requester_pays: bool,
    s3_additional_kwargs: Mapping[str, Any] | None,
    config: Config | None,
    credentials: object,
    max_concurrency: int | None,
) -> Settings:
    """Arguments of a Connection for the options of an S3FileSystem.

    Raises ConfigError for options that are unknown, that contradict each other, or that s3po has no
    equivalent for.
    """
    client = {
        name: value
        for name, value in _renamed("client_kwargs", client_kwargs, _CLIENT).items()
        # boto3's word for what is not given.
        if value is not None
    }
    values, region, poolsize, unsigned = _read_config(config_kwargs)
    use_ssl = bool(client.pop("use_ssl", use_ssl))
    if max_concurrency is not None:
        values["max_concurrency"] = max_concurrency
    if "verify" in client:
        values["verify"] = client.pop("verify")
    given = {
        "aws_access_key_id": _one_of(key=key, username=username),
        "aws_secret_access_key": _one_of(secret=secret, password=password),
        "aws_session_token": token,
        "endpoint_url": endpoint_url,
        "region_name": region,
    }
    for name, value in client.items():
        if given[name] is not None and given[name] != value:
            raise ConfigError(f"client_kwargs has another {name} than the option of that meaning")
        given[name] = value
    if not use_ssl and not (given["endpoint_url"] or "").startswith("http://"):
        raise ConfigError("use_ssl=False needs an endpoint_url that begins with http://")
    if values:
        if config is not None:
            both = sorted(values.keys() & config.given)
            if both:
                raise ConfigError(f"{', '.join(both)}: given in both config_kwargs and config")
            values = {**{name: getattr(config, name) for name in config.given}, **values}
        config = Config(**values)
    settings = Settings(
        {
            **given,
            "profile_name": profile,
            "anonymous": bool(anon) or unsigned,
            "credentials": credentials,
            "config": config,
        },
        poolsize=poolsize,
    )
    additional = dict(s3_additional_kwargs or {})
    payer = additional.pop("RequestPayer", None)
    if requester_pays or payer is not None:
        settings.headers["x-amz-request-payer"] = payer or "requester"
    settings.write = write_options(additional)
    if "sse_customer_key" in settings.write:
        settings.read_headers = build_customer_key(settings.write["sse_customer_key"])
    return settings


def _one_of(**given: str | None) -> str | None:
    found = {name: value for name, value in given.items() if value is not None}
    if len(set(found.values())) > 1:
        raise ConfigError(f"{' and '.join(found)} are two names of the same option")
    return next(iter(found.values()), None)


def _renamed(
    option: str, given: Mapping[str, Any] | None, names: Mapping[str, str]
) -> dict[str, Any]:
    for name in given or {}:
        if name not in names:
            refuse_option(f"{option}[{name!r}]", name, names)
    return {names[name]: value for name, value in (given or {}).items()}


def _read_config(
    given: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], str | None, int | None, bool]:
    """Fields of Config, the region, the number of requests at once, and True for unsigned requests."""
    values: dict[str, Any] = {}
    region: str | None = None
    poolsize: int | None = None
    unsigned = False
    special = ("region_name", "max_pool_connections", "retries", "s3", "signature_version")
    for name, value in (given or {}).items():
        if name in _CONFIG:
            values[_CONFIG[name]] = value
        elif name == "region_name":
            region = value
        elif name == "max_pool_connections":
            poolsize = value
        elif name == "retries":
            values.update(_read_retries(value))
        elif name == "s3":
            values.update(_renamed("config_kwargs['s3']", value, _CONFIG_S3))
        elif name == "signature_version":
            # botocore.UNSIGNED, recognised without importing botocore.
            unsigned = type(value).__module__ == "botocore" or value == "unsigned"
            if not unsigned and value not in ("s3v4", "v4"):
                raise ConfigError(f"s3po signs with s3v4, not {value!r}")
        elif name not in _CONFIG_IGNORED:
            refuse_option(f"config_kwargs[{name!r}]", name, (*_CONFIG, *special, *_CONFIG_IGNORED))
    return values, region, poolsize, unsigned


def _read_retries(retries: Mapping[str, Any]) -> dict[str, Any]:
    """Read botocore's `retries`.

    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html
    """
    values: dict[str, Any] = {}
    for name, value in retries.items():
        if name == "total_max_attempts":
            values["max_attempts"] = value
        elif name == "max_attempts":
            # botocore counts the further tries.
            values.setdefault("max_attempts", value + 1)
        elif name == "mode":
            values["retry_mode"] = "standard" if value == "legacy" else value
        else:
            refuse_option(
                f"config_kwargs['retries'][{name!r}]",
                name,
                ("max_attempts", "total_max_attempts", "mode"),
            )
    return values


def write_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of `Connection.upload`, with boto3's names or those of s3po.

    Raises ConfigError for others.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in _OF_CUSTOMER_KEY:
            if _OF_CUSTOMER_KEY[name] not in (None, value):
                raise ConfigError(f"{name} must be {_OF_CUSTOMER_KEY[name]!r}, not {value!r}")
            continue
        own = _PARAMETERS.get(name, name)
        if own not in WRITE_OPTIONS:
            refuse_option(name, name, (*_PARAMETERS, *_OF_CUSTOMER_KEY, *WRITE_OPTIONS))
        if name == "ChecksumAlgorithm":
            value = value.lower()
        elif name == "SSECustomerKey" and isinstance(value, str):
            value = value.encode()
        elif name == "Tagging":
            value = dict(parse_qsl(value, keep_blank_values=True))
        found[own] = value
    return found


def refuse_option(shown: str, name: str, known: Iterable[str]) -> NoReturn:
    """Raise ConfigError for an unknown option, with the most similar known one."""
    close = difflib.get_close_matches(name, list(known), 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ConfigError(f"s3po's filesystem has no option {shown}{hint}")


def pop_part_size(options: dict[str, Any]) -> int | None:
    """Take s3fs's `chunksize` of a call out of its options, and its `max_concurrency`, which the connection has."""
    options.pop("max_concurrency", None)
    size: int | None = options.pop("chunksize", None)
    return size


class Exclusive:
    """The condition of a write in one of fsspec's modes: "overwrite", or "create" where nothing is yet."""

    __slots__ = ("condition", "path")

    def __init__(self, path: str, mode: str) -> None:
        if mode not in ("overwrite", "create"):
            raise ConfigError(f"mode must be 'overwrite' or 'create', not {mode!r}")
        self.path = path
        #: Keyword arguments of an upload.
        self.condition: dict[str, Any] = {"if_none_match": "*"} if mode == "create" else {}

    def translate(self, error: Exception) -> Exception:
        """FileExistsError where the condition did not hold, else the error itself."""
        if not self.condition or not isinstance(error, PreconditionFailed):
            return error
        exists = FileExistsError(errno.EEXIST, "the object exists", self.path)
        exists.__cause__ = error
        return exists

    def __enter__(self) -> dict[str, Any]:
        return self.condition

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, PreconditionFailed) and self.condition:
            raise self.translate(error)


def progress_of(callback: Any) -> Callable[[int], object] | None:
    """Make a Connection's `progress` of a callback of fsspec; None for one that does nothing."""
    if isinstance(callback, NoOpCallback):
        return None
    progress: Callable[[int], object] = callback.relative_update
    return progress
