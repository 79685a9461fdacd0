"""botocore as tests compare with it."""

from __future__ import annotations

import functools
from typing import Any

import botocore
import botocore.loaders
import botocore.session
import pytest

#: For comparisons with what botocore has learned since the oldest version that s3po takes, which signs the same.
recent_botocore = pytest.mark.skipif(
    tuple(map(int, botocore.__version__.split(".")[:2])) < (1, 40),
    reason="this botocore is too old to compare with",
)


@functools.cache
def data_loader() -> Any:
    """botocore's own data, of which each file is read once: its sessions read megabytes of JSON otherwise."""
    return botocore.loaders.Loader()


def make_session(profile: str | None = None) -> Any:
    """A session of botocore's, with the environment and the files as they are now."""
    session = botocore.session.Session(profile=profile)
    session.register_component("data_loader", data_loader())
    return session
