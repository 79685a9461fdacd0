"""An endpoint's URL, parsed and checked."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from s3po.errors import ConfigError

# Compiled when a URL is given, which not every connection has.
_SPACE_OR_CONTROL = r"[\x00-\x20\x7f]"
_HOST = r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?\.?"

DEFAULT_PORTS = {"http": 80, "https": 443}


class URL(NamedTuple):
    """The parts of an endpoint's URL."""

    scheme: str
    #: Lower case, IDNA where it is not ASCII; IPv6 without brackets.
    host: str
    port: int
    #: The Host header's value: with the port where it is not the scheme's default.
    host_header: str
    #: Percent-encoded, without a slash at its end.
    path: str
    has_default_port: bool
    is_ip: bool

    @property
    def text(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.path}"

    def with_host(self, host: str) -> URL:
        """Return the same URL at another host, at the scheme's port."""
        return self._replace(host=host, host_header=host)

    def below(self, label: str) -> URL:
        """Return the same URL with a label before its host."""
        return self._replace(host=f"{label}.{self.host}", host_header=f"{label}.{self.host_header}")


def parse_url(text: object) -> URL:
    """Parse an endpoint's URL: `http://127.0.0.1:9000`, `https://store.example/prefix`.

    Raises ConfigError for what cannot be one; a password in it is not repeated.
    """
    if not isinstance(text, str):
        raise ConfigError(f"endpoint_url must be a str, not {text!r}")

    def invalid(why: str) -> ConfigError:
        return ConfigError(f"not an endpoint's URL, {why}: {shown!a}")

    # A password must not get into an error.
    shown = re.sub(r"//[^/?#]*@", "//***@", text)
    if re.search(_SPACE_OR_CONTROL, text):
        raise invalid("it holds white space or control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise invalid(str(error)) from None
    scheme = parts.scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise invalid("it must begin with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise invalid("it must not hold a user's name")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise invalid("it must not hold a query or a fragment")
    if port == 0:
        raise invalid("its port is 0")
    host, is_ip = _parse_host(parts.hostname or "")
    if not host:
        raise invalid("it has no legal host")
    try:
        path = quote(parts.path.rstrip("/"), safe="/~%!$&'()*+,;=:@")
    except UnicodeEncodeError:
        raise invalid("it has lone surrogates") from None
    default = DEFAULT_PORTS[scheme]
    literal = f"[{host}]" if ":" in host else host
    header = literal if port is None or port == default else f"{literal}:{port}"
    return URL(scheme, host, port or default, header, path, port in (None, default), is_ip)


def _parse_host(host: str) -> tuple[str, bool]:
    """Return a host in its DNS form, and True if it is an IP address; '' if it is neither."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
        return host, True
    except ValueError:
        pass
    try:
        host = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        return "", False
    return (host, False) if re.fullmatch(_HOST, host) and ".." not in host else ("", False)
