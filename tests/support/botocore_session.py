"""botocore as tests compare with it."""

from __future__ import annotations

import functools
from typing import Any

import botocore.loaders
import botocore.session


@functools.cache
def data_loader() -> Any:
    """botocore's own data, of which each file is read once: its sessions read megabytes of JSON otherwise."""
    return botocore.loaders.Loader()


def make_session(profile: str | None = None) -> Any:
    """A session of botocore's, with the environment and the files as they are now."""
    session = botocore.session.Session(profile=profile)
    session.register_component("data_loader", data_loader())
    return session
