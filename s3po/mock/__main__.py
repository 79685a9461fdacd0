"""Program `python -m s3po.mock`: a server with a mock of S3, for clients in any language."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from s3po.mock.app import MockS3
from s3po.mock.bucket_defaults import BUCKET_DEFAULTS
from s3po.mock.store import Account


def _account(text: str) -> Account:
    fields = text.split(":")
    if not 2 <= len(fields) <= 5 or not fields[0] or not fields[1]:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not ACCESS_KEY:SECRET_KEY[:ID[:DISPLAY_NAME[:EMAIL]]]"
        )
    rest = fields[2:] + [""] * (5 - len(fields))
    return Account(fields[0], fields[1], None, rest[0], rest[1], rest[2])


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="python -m s3po.mock",
        description="Serve a mock of S3 in memory. Without keys, any key is accepted.",
    )
    parser.add_argument(
        "--port", type=int, default=9000, help="port; 0 for a free one (default: 9000)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1)")
    parser.add_argument(
        "--access-key",
        action="append",
        default=[],
        help="access key to accept (repeatable, each with a --secret-key)",
    )
    parser.add_argument(
        "--secret-key",
        action="append",
        default=[],
        help="secret key of the --access-key in the same position",
    )
    parser.add_argument(
        "--account",
        type=_account,
        action="append",
        default=[],
        metavar="KEY:SECRET[:ID[:NAME[:EMAIL]]]",
        help="key pair of another account, with its canonical ID (repeatable)",
    )
    parser.add_argument(
        "--bucket",
        action="append",
        default=[],
        metavar="NAME",
        help="bucket to create (repeatable)",
    )
    parser.add_argument("--region", default="us-east-1", help="region of new buckets")
    parser.add_argument(
        "--domain",
        action="append",
        default=[],
        help="host name whose subdomains are buckets (repeatable); localhost always is one",
    )
    parser.add_argument(
        "--max-object-size",
        type=int,
        metavar="BYTES",
        help="size limit; larger uploads fail with EntityTooLarge",
    )
    parser.add_argument(
        "--defaults",
        choices=sorted(BUCKET_DEFAULTS),
        default="current",
        help="settings of new buckets: current: those of S3; acls: the same with ACLs and public access enabled; "
        "legacy: those of S3 before 2023 (default: current)",
    )
    parser.add_argument(
        "--anonymous-is-owner",
        action="store_true",
        help="give unsigned requests the rights of the first account",
    )
    parser.add_argument(
        "--max-clock-skew",
        type=float,
        default=900.0,
        metavar="SECONDS",
        help="maximum difference between a request's date and the clock; 0 for no limit (default: 900)",
    )
    given = parser.parse_args(arguments)
    if len(given.access_key) != len(given.secret_key):
        parser.error("each --access-key needs a --secret-key")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    given = read_arguments(arguments)
    accounts = [
        Account(key, secret) for key, secret in zip(given.access_key, given.secret_key, strict=True)
    ] + given.account
    try:
        mock = MockS3(
            accounts,
            region=given.region,
            buckets=given.bucket,
            max_object_size=given.max_object_size,
            domains=["localhost", *given.domain],
            log_limit=1000,
            defaults=given.defaults,
            max_clock_skew=given.max_clock_skew if given.max_clock_skew > 0 else None,
            anonymous_is_owner=given.anonymous_is_owner,
        )
    except ValueError as error:
        print(f"s3po.mock: {error}", file=sys.stderr)
        return 2
    import gevent
    from gevent.event import Event

    from s3po.mock.server import make_server

    try:
        server = make_server(mock, given.host, given.port)
        server.start()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        print(f"s3po.mock: cannot listen on {given.host}:{given.port}: {why}", file=sys.stderr)
        return 1
    stopped = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stopped.set)
    host = f"[{given.host}]" if ":" in given.host else given.host
    print(f"s3po.mock is ready at http://{host}:{server.server_port}", flush=True)
    stopped.wait()
    server.stop(timeout=0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
