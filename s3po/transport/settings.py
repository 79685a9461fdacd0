"""What the Config and the environment say of certificates and proxies. netrc is never asked."""

from __future__ import annotations

import os
import sys

from s3po.config import Config


def verify_of(config: Config) -> bool | str:
    """What certificates are checked against: AWS_CA_BUNDLE before REQUESTS_CA_BUNDLE."""
    if config.verify is not None:
        return config.verify
    return os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True


def proxies_for(url: str, config: Config) -> dict[str, str]:
    """The proxies for a URL by scheme, as requests knows them."""
    if config.proxies is not None:
        return dict(config.proxies)
    if not _may_have_proxies():
        return {}
    from requests.utils import get_environ_proxies

    return get_environ_proxies(url, no_proxy=None)


def proxy_for(url: str, config: Config) -> str | None:
    """The URL of the proxy through which to reach `url`."""
    proxies = proxies_for(url, config)
    if not proxies:
        return None
    from requests.utils import select_proxy

    proxy = select_proxy(url, proxies)
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _may_have_proxies() -> bool:
    # Only the environment names proxies where there are no settings of a desktop to ask.
    return sys.platform in ("darwin", "win32") or any(
        name.lower().endswith("_proxy") for name in os.environ
    )
