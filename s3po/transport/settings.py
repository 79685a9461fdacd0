"""Certificates and proxies, from the Config and the environment. netrc is not used."""

from __future__ import annotations

import ipaddress
import os
import sys
from functools import lru_cache
from urllib.parse import urlsplit

from s3po.config import Config
from s3po.errors import ConfigError
from s3po.log import SecretStr

_NO_BRACKETS = str.maketrans("", "", "[]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=64)
def parse_origin(origin: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL without its path; ConfigError where it cannot be sent to."""
    parts = urlsplit(origin)
    scheme = parts.scheme
    if scheme not in ("http", "https"):
        raise ConfigError(f"not a scheme to send over: {scheme!r}")
    try:
        port = parts.port or (443 if scheme == "https" else 80)
    except ValueError as error:
        raise ConfigError(f"not a URL to send to: {error}") from None
    if not parts.hostname:
        raise ConfigError("the URL names no host")
    return scheme, parts.hostname, port


def verify_of(config: Config) -> bool | str:
    """The bundle that certificates are checked against: AWS_CA_BUNDLE before REQUESTS_CA_BUNDLE."""
    if config.verify is not None:
        return config.verify
    return os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True


def proxies_for(url: str, config: Config) -> dict[str, str]:
    """The proxies for a URL by scheme, in the form of requests."""
    if config.proxies is not None:
        return {name: SecretStr(url) for name, url in config.proxies.items()}
    if not _may_have_proxies():
        return {}
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    no_proxy = proxies.pop("no", "")
    if is_bypassed(url, no_proxy):
        return {}
    if sys.platform in ("darwin", "win32") and proxy_bypass(urlsplit(url).hostname or ""):
        return {}
    return {name: SecretStr(url) for name, url in proxies.items()}


def proxy_for(url: str, proxies: dict[str, str]) -> str | None:
    """The URL of the proxy through which to reach `url`."""
    if not proxies:
        return None
    parts = urlsplit(url)
    host = parts.hostname or ""
    for name in (f"{parts.scheme}://{host}", parts.scheme, f"all://{host}", "all"):
        proxy = proxies.get(name)
        if proxy:
            return SecretStr(proxy if "://" in proxy else f"http://{proxy}")
    return None


def is_bypassed(url: str, no_proxy: str) -> bool:
    """True if NO_PROXY names the host of `url`.

    Its items are names (`example.com` and `.example.com` are the domain and all below it), addresses,
    networks (`10.0.0.0/8`), each with `:port` or without, and `*`. IPv6 addresses can be in brackets.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    address = _address(host.partition("%")[0])
    for item in no_proxy.replace(" ", ",").split(","):
        item = item.strip().lower()
        if not item:
            continue
        if item == "*":
            return True
        if address is not None and "/" in item:
            try:
                if address in ipaddress.ip_network(item.translate(_NO_BRACKETS), strict=False):
                    return True
            except ValueError:
                pass
            continue
        name, item_port = _split_port(item)
        if item_port is not None and item_port != port:
            continue
        if address is not None:
            if _address(name) == address:
                return True
            continue
        name = name.removeprefix("*").strip(".")
        if name and (host == name or host.endswith(f".{name}")):
            return True
    return False


def _split_port(item: str) -> tuple[str, int | None]:
    if item.startswith("["):
        name, _, rest = item[1:].partition("]")
        digits = rest.removeprefix(":")
    elif item.count(":") == 1:
        name, _, digits = item.partition(":")
    else:
        return item, None
    return name, int(digits) if digits.isdigit() else None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _may_have_proxies() -> bool:
    # Only the environment has proxies if there are no desktop settings.
    return sys.platform in ("darwin", "win32") or any(
        name.lower().endswith("_proxy") for name in os.environ
    )
