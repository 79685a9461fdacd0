"""`python -m s3po`: the programs that come with s3po."""

from __future__ import annotations

import sys

import s3po

_PROGRAMS = """\
s3po {version} is a library; see help(s3po.Connection). Programs that come with it:

  python -m s3po.mock    serve an S3 that lives in memory
  python -m s3po.slim    show, or delete, what s3po never uses of its installed dependencies

Each has --help.
"""


def main() -> int:
    """Print which programs there are; the exit code is that of a wrong call."""
    sys.stderr.write(_PROGRAMS.format(version=s3po.__version__))
    return 2


if __name__ == "__main__":
    sys.exit(main())
