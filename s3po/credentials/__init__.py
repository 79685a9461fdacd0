"""Who we are to the store: keys from arguments, from the environment, from the shared files.

::

    chain.py          what a provider is, and the chain that asks one source after the other
    arguments.py      keys that are given to the Connection
    environment.py    AWS_ACCESS_KEY_ID and its kin
    files.py          ~/.aws/credentials and ~/.aws/config
    shared.py         where these files are, which profile is meant, what they hold
    ini.py            how their text is read
    settings.py       region and endpoint, from the environment and from the same files

A further source (a web identity, a container, an instance) is one more file with a class that does
what `chain.Source` says, and one more line in `resolve_provider`.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

import time
from collections.abc import Callable

from s3po.credentials.arguments import check_arguments
from s3po.credentials.chain import Chain, Fixed, Provider
from s3po.credentials.environment import Environment, Unread
from s3po.credentials.files import Files
from s3po.credentials.settings import Settings, resolve_settings

__all__ = ["Provider", "Settings", "resolve_provider", "resolve_settings"]


def resolve_provider(
    *,
    access_key: str | None,
    secret_key: str | None,
    token: str | None,
    profile_name: str | None,
    anonymous: bool,
    clock: Callable[[], float] = time.monotonic,
) -> Provider:
    """The provider that a Connection's arguments ask for. Reads nothing before its first `get()`.

    Keys that are given win. Else a `profile_name` that is given (the environment's keys are not
    asked then, as in boto3); else the environment, then the files. What the environment says is
    read once, when the first credentials are found; the files are looked at again every few
    seconds, so that keys that are rotated there are taken up.

    Raises ConfigError for arguments that cannot be right.
    """
    credentials = check_arguments(
        access_key=access_key,
        secret_key=secret_key,
        token=token,
        profile_name=profile_name,
        anonymous=anonymous,
    )
    if anonymous or credentials is not None:
        return Fixed(credentials)
    # The first that has some is taken: this is the order.
    return Chain((Environment(profile_name), Files(profile_name), Unread()), clock=clock)
