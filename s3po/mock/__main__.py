"""`python -m s3po.mock`: an S3 in memory for programs of any language."""

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
        description="Serve an S3 that lives in memory. Without keys any key is taken.",
    )
    parser.add_argument("--port", type=int, default=9000, help="0 takes a free one (default: 9000)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1)")
    parser.add_argument(
        "--access-key",
        action="append",
        default=[],
        help="a key that is known; may be repeated, with as many --secret-key",
    )
    parser.add_argument("--secret-key", action="append", default=[], help="its secret")
    parser.add_argument(
        "--account",
        type=_account,
        action="append",
        default=[],
        metavar="KEY:SECRET[:ID[:NAME[:EMAIL]]]",
        help="an account of its own, with its canonical id; may be repeated",
    )
    parser.add_argument(
        "--bucket", action="append", default=[], metavar="NAME", help="a bucket to make; repeatable"
    )
    parser.add_argument("--region", default="us-east-1", help="region of new buckets")
    parser.add_argument(
        "--domain",
        action="append",
        default=[],
        help="a host name whose subdomains are buckets; localhost always is one",
    )
    parser.add_argument(
        "--max-object-size", type=int, metavar="BYTES", help="larger uploads get EntityTooLarge"
    )
    parser.add_argument(
        "--defaults",
        choices=sorted(BUCKET_DEFAULTS),
        default="current",
        help="settings of new buckets: as S3 makes them today; so, but with ACLs and nothing blocked, as "
        "fixtures that make buckets and objects public need it; or as before 2023 (default: current)",
    )
    parser.add_argument(
        "--anonymous-is-owner",
        action="store_true",
        help="let unsigned requests do all that the first account may",
    )
    parser.add_argument(
        "--max-clock-skew",
        type=float,
        default=900.0,
        metavar="SECONDS",
        help="how far a request's date may be off (default: 900); 0 or less: any",
    )
    given = parser.parse_args(arguments)
    if len(given.access_key) != len(given.secret_key):
        parser.error("each --access-key needs its --secret-key")
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
