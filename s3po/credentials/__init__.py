"""Credentials, region and endpoint: sources, and the provider that reads them.

```text
chain.py          the Provider protocol; the chain that tries one source after the other, and refreshes
flight.py         one greenlet loads while the others wait or continue
context.py        services for the sources: requests, signatures, the time
arguments.py      keys that are given to the Connection
given.py          providers that are given to the Connection
environment.py    AWS_ACCESS_KEY_ID and its kin
files.py          ~/.aws/credentials and ~/.aws/config: keys, roles, and what else a profile names
shared.py         where these files are, which profile is meant, what they hold
ini.py            how their text is read
sts.py            roles, and web identities
sso.py            IAM Identity Center
login.py          sessions of `aws login`; p256.py signs its proof of possession
process.py        programs that print credentials
container.py      ECS, EKS Pod Identity
instance.py       EC2
hosts.py          where AWS's services are
cache.py          token files of the AWS tools
answers.py        credentials in JSON, times, other people's messages
http.py           requests over s3po's transport
threads.py        programs and users are waited for in a thread
settings.py       settings, from the environment and from the same files
```

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from s3po.credentials.arguments import check_arguments
from s3po.credentials.chain import Chain, Fixed, Found, Provider
from s3po.credentials.context import Context
from s3po.credentials.environment import Environment
from s3po.credentials.files import Files
from s3po.credentials.settings import Settings, resolve_settings
from s3po.errors import ConfigError

if TYPE_CHECKING:
    from s3po.config import Config
    from s3po.credentials.context import RequestSigner

__all__ = [
    "Chain",
    "Context",
    "Found",
    "Provider",
    "Settings",
    "make_context",
    "resolve_provider",
    "resolve_settings",
]


def make_context(
    config: Config | None = None,
    *,
    region: str | None = None,
    signer: Callable[[str], RequestSigner] | None = None,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> Context:
    """The context of a Connection: requests go over a requests Session of `config`, which opens nothing yet.

    `signer` makes what signs for STS in a region.
    """
    from s3po.config import Config
    from s3po.credentials.http import SessionFetch
    from s3po.credentials.threads import terminal_prompt

    return Context(
        fetch=SessionFetch(Config() if config is None else config),
        signer=signer or _no_signer,
        sleep=_sleep,
        region=region,
        clock=clock,
        now=now,
        prompt=terminal_prompt(),
    )


def resolve_provider(
    *,
    access_key: str | None,
    secret_key: str | None,
    token: str | None,
    profile_name: str | None,
    anonymous: bool,
    credentials: object = None,
    context: Context | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Provider:
    """The provider for the arguments of a Connection. Nothing is read or requested before its first `get()`.

    Keys or `credentials` that are given win. Else AWS's order: the environment (not with a `profile_name`
    that is given, as in boto3), a role of the profile, a web identity, the profile's IAM Identity Center,
    keys, login, program; the container; the instance. The environment is read once, when the first
    credentials are found; files with keys are checked every few seconds, so that those that are rotated
    there are taken up; what ends is refreshed before.

    Raises ConfigError for arguments that cannot be right.
    """
    explicit = check_arguments(
        access_key=access_key,
        secret_key=secret_key,
        token=token,
        profile_name=profile_name,
        anonymous=anonymous,
    )
    if credentials is not None and (explicit is not None or anonymous or profile_name is not None):
        raise ConfigError("credentials is given beside keys, profile_name or anonymous=True")
    if anonymous or explicit is not None:
        return Fixed(explicit)
    if context is None:
        context = make_context(clock=clock)
    if credentials is not None:
        from s3po.credentials.given import provider_of

        return provider_of(credentials, context)
    # The first that has some is taken: this is the order.
    return Chain(
        (
            Environment(profile_name),
            Files(context, profile_name),
            _LazySource("container", context),
            _LazySource("instance", context, profile_name),
        ),
        clock=context.clock,
        now=context.now,
        sleep=context.sleep,
    )


class _LazySource:
    """Source whose code is loaded when it is used first."""

    __slots__ = ("_arguments", "_name", "_source", "interval")

    def __init__(self, name: str, *arguments: Any) -> None:
        self._name = name
        self._arguments = arguments
        self._source: Any = None
        self.interval = float("inf")

    def load(self) -> Any:
        if self._source is None:
            from importlib import import_module

            module = import_module(f"s3po.credentials.{self._name}")
            self._source = getattr(module, self._name.capitalize())(*self._arguments)
        return self._source.load()

    def renew(self, found: Any, *, due: bool) -> Any:
        return self._source.renew(found, due=due)


def _sleep(seconds: float) -> None:
    """Sleep, by gevent where this thread has a hub: without one there are no other greenlets."""
    # Nothing is imported: several threads that import gevent at once can fail.
    find_hub = getattr(sys.modules.get("gevent._hub_local"), "get_hub_if_exists", None)
    if find_hub is None or find_hub() is None:
        time.sleep(seconds)
    else:
        sys.modules["gevent"].sleep(seconds)


def _no_signer(_: str) -> RequestSigner:
    raise ConfigError("no credentials to sign requests to STS")
