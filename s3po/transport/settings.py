"""Certificates and proxies, from the Config and the environment. netrc is not used."""

from __future__ import annotations

import ipaddress
import os
import sys
from contextlib import suppress
from functools import lru_cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from requests.utils import select_proxy

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
    if scheme not in _DEFAULT_PORTS:
        raise ConfigError(f"not a scheme to send over: {scheme!r}")
    try:
        port = parts.port or _DEFAULT_PORTS[scheme]
    except ValueError as error:
        raise ConfigError(f"not a URL to send to: {error}") from None
    if not parts.hostname:
        raise ConfigError("the URL names no host")
    return scheme, parts.hostname, port


def verify_of(config: Config) -> bool | str:
    """The bundle that certificates are checked against: AWS_CA_BUNDLE before REQUESTS_CA_BUNDLE."""
    found = os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True
    return found if config.verify is None else config.verify


def proxies_for(url: str, config: Config) -> dict[str, str]:
    """The proxies for a URL by scheme, in the form of requests."""
    proxies = config.proxies
    if proxies is None:
        # Those of the environment, or of a desktop's settings.
        proxies = getproxies()
        if is_bypassed(url, proxies.pop("no", "")):
            return {}
        # Elsewhere it takes the environment, too, and `0.0.1` for 127.0.0.1.
        if sys.platform == "darwin" and proxy_bypass(urlsplit(url).hostname or ""):
            return {}
    return {name: SecretStr(proxy) for name, proxy in proxies.items()}


def proxy_for(url: str, proxies: dict[str, str]) -> str | None:
    """The URL of the proxy through which to reach `url`."""
    proxy = select_proxy(url, proxies)
    return SecretStr(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def is_bypassed(url: str, no_proxy: str) -> bool:
    """True if NO_PROXY names the host of `url`.

    Its items are names (`example.com` and `.example.com` are the domain and all below it), addresses,
    networks (`10.0.0.0/8`), each with `:port` or without, and `*`. IPv6 addresses can be in brackets.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        address = None
    for item in no_proxy.lower().replace(",", " ").split():
        if item == "*":
            return True
        name, _, digits = item.rpartition(":")
        # An IPv6 address can have a port after its brackets only.
        if not digits.isdigit() or (":" in name and "]" not in name):
            name = item
        elif int(digits) != port:
            continue
        if address is None:
            name = name.removeprefix("*").strip(".")
            if name and (host == name or host.endswith(f".{name}")):
                return True
            continue
        with suppress(ValueError):
            if address in ipaddress.ip_network(name.translate(_NO_BRACKETS), strict=False):
                return True
    return False
