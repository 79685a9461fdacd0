"""`python -m s3po`: the command line."""

from __future__ import annotations

import sys

from s3po.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
