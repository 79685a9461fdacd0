"""Table of commands and options, from which parser, help, docs/cli.md and completion are made."""

from __future__ import annotations

from typing import Any

from s3po.records import record


@record
class Option:
    """`flags` begin with dashes, or are one name of a positional argument."""

    flags: tuple[str, ...]
    help: str
    #: "flag", "text", "int" (from 0), "count" (from 1), "seconds", "size", "age", "pairs", "include", "exclude".
    kind: str = "flag"
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: Any = None
    #: Of positional arguments: "?", "+", "*".
    nargs: str = ""

    @property
    def name(self) -> str:
        """The attribute of the parsed arguments."""
        return self.flags[-1].lstrip("-").replace("-", "_")

    @property
    def placeholder(self) -> str:
        if self.kind == "flag":
            return ""
        if self.choices:
            return "|".join(self.choices)
        return self.metavar or self.name.upper()


@record
class Command:
    name: str
    summary: str
    arguments: tuple[Option, ...]
    options: tuple[Option, ...]
    examples: tuple[tuple[str, str], tuple[str, str]]
    description: str = ""
    #: The module of `s3po.cli.commands`.
    module: str = ""
    #: False for commands that send nothing.
    connects: bool = True

    @property
    def usage(self) -> str:
        words = [f"s3po {self.name}", "[OPTION]..."]
        for each in self.arguments:
            name = each.placeholder
            words.append(
                {"?": f"[{name}]", "+": f"{name}...", "*": f"[{name}]..."}.get(each.nargs, name)
            )
        return " ".join(words)


def _positional(name: str, text: str, nargs: str = "", choices: tuple[str, ...] = ()) -> Option:
    return Option((name,), text, "text", nargs=nargs, choices=choices)


GLOBAL_OPTIONS = (
    Option(("--endpoint-url",), "URL of a store other than AWS", "text", "URL"),
    Option(("--region",), "region for signing requests", "text"),
    Option(("--profile",), "profile of ~/.aws/config and ~/.aws/credentials", "text"),
    Option(("--no-sign-request", "--anonymous"), "send unsigned requests"),
    Option(("--ca-bundle",), "file with trusted CA certificates", "text", "FILE"),
    Option(("--no-verify-ssl",), "do not verify certificates"),
    Option(("--proxy",), "proxy for all requests", "text", "URL"),
    Option(("--retries",), "maximum number of retries of a request, connects included", "int"),
    Option(("--connect-timeout",), "timeout for connecting, in seconds", "seconds"),
    Option(("--read-timeout",), "timeout for the next byte, in seconds", "seconds"),
    Option(("--json",), "print results and errors as JSON, one object per line"),
    Option(("-q", "--quiet"), "print neither results nor progress"),
    Option(("--no-progress",), "print no progress"),
    Option(("--stat",), "print counts at the end: objects, bytes, seconds, requests, retries"),
    Option(
        ("--log-level",),
        "minimum level of log messages on stderr",
        "text",
        choices=("debug", "info", "warning", "error"),
    ),
    Option(("-v", "--verbose"), "same as --log-level info"),
    Option(("--debug",), "same as --log-level debug: log every request and attempt"),
    Option(("-h", "--help"), "show this help"),
)

_RECURSIVE = Option(("-r", "--recursive"), "include all objects or files below the source")
_RAW = Option(("--raw",), "do not interpret * and ? as patterns")
_DRY = Option(
    ("-n", "--dryrun", "--dry-run"), "print the actions and their reasons, without performing them"
)
_CONCURRENCY = Option(
    ("-c", "--concurrency"),
    "maximum number of parallel requests (default: 50)",
    "count",
    "N",
    default=50,
)
_FILTERS = (
    Option(
        ("--include",), "pattern of names to include; the last matching filter decides", "include"
    ),
    Option(("--exclude",), "pattern of names to exclude, relative to the source", "exclude"),
)
_VERSION_ID = Option(("--version-id",), "ID of a version", "text", "ID")

_WORKERS = Option(("--workers",), "number of processes (default: 1)", "count", "N", default=1)
_CLUSTER = Option(
    ("--cluster",),
    "Dask scheduler, to run copies and deletes within S3 on its workers (s3po[dask])",
    "text",
    "tcp://HOST:PORT",
)

_TRANSFER = (
    *_FILTERS,
    _DRY,
    Option(("--storage-class",), "STANDARD, STANDARD_IA, GLACIER, ...", "text", "CLASS"),
    Option(("--acl",), "canned ACL: private, public-read, ...", "text"),
    Option(("--sse",), "server-side encryption: AES256 or aws:kms", "text", "ALGORITHM"),
    Option(("--sse-kms-key-id",), "KMS key for aws:kms", "text", "ID"),
    Option(("--sse-c-key",), "file with a customer key (SSE-C) of 32 bytes", "text", "FILE"),
    Option(
        ("--metadata",),
        "user metadata: NAME=VALUE[,NAME=VALUE]..., or JSON (repeatable)",
        "pairs",
        "NAME=VALUE",
    ),
    Option(
        ("--content-type",), "Content-Type (default: from the extension of the key)", "text", "TYPE"
    ),
    Option(("--cache-control",), "Cache-Control", "text"),
    Option(("--follow-symlinks",), "follow symbolic links (default: skip them)"),
    Option(("--part-size",), "size of a part, at least 5MiB", "size"),
    _CONCURRENCY,
    Option(
        ("--preserve-mtime",),
        "store the modification time of files in the metadata, and restore it",
    ),
    Option(("--resume",), "continue an interrupted run of the same command"),
    _WORKERS,
    _CLUSTER,
)
_STORED_CHECKSUM = Option(
    ("--checksum",),
    "send a checksum, which the store compares and stores",
    "text",
    choices=("crc32", "crc32c", "crc64nvme", "sha1", "sha256"),
)
_COPY = (
    _RECURSIVE,
    _RAW,
    Option(("--no-clobber",), "skip existing targets"),
    Option(("--if-size-differ",), "copy only if the target has another size or does not exist"),
    Option(("--if-source-newer",), "copy only if the target is older or does not exist"),
    _STORED_CHECKSUM,
    *_TRANSFER,
)
_PATHS = _positional("paths", "sources, followed by the target; - is stdin or stdout", "+")

COMMANDS = {
    each.name: each
    for each in (
        Command(
            "ls",
            "list buckets or objects",
            (_positional("target", "s3://BUCKET[/PREFIX or pattern]", "?"),),
            (
                Option(("-r", "--recursive"), "list all keys instead of one level"),
                Option(("-H", "--human-readable"), "print sizes in KiB, MiB, ..."),
                Option(("--summarize",), "print the number of objects and bytes at the end"),
                Option(("--versions",), "list all versions and delete markers"),
                _RAW,
                Option(
                    ("--parallel",),
                    "number of parallel listings (default: 1)",
                    "count",
                    "N",
                    default=1,
                ),
            ),
            (
                ("s3po ls s3://photos/2026/", "one level of a bucket"),
                (
                    "s3po ls 's3://photos/*.jpg' --summarize",
                    "all keys that match a pattern, and their sum",
                ),
            ),
        ),
        Command(
            "cp",
            "copy files and objects",
            (_PATHS,),
            _COPY,
            (
                ("s3po cp -r site/ s3://bucket/site/ --exclude '*.tmp'", "a folder"),
                ("s3po cp 's3://bucket/2026/*/x-?.gz' logs/", "all objects that match a pattern"),
            ),
            "From local to S3, from S3 to local, or from S3 to S3 within one store. With several sources, a "
            "pattern or -r, the target must be a folder or prefix.",
        ),
        Command(
            "mv",
            "move files and objects: copy, then delete each copied source",
            (_PATHS,),
            _COPY,
            (
                ("s3po mv report.pdf s3://bucket/reports/", "a file"),
                ("s3po mv -r s3://bucket/new/ s3://bucket/old/", "all objects of a prefix"),
            ),
            module="cp",
        ),
        Command(
            "sync",
            "copy new and changed files or objects from source to target",
            (
                _positional("source", "folder or s3://BUCKET[/PREFIX]"),
                _positional("target", "folder or s3://BUCKET[/PREFIX]"),
            ),
            (
                Option(
                    ("--delete",),
                    "delete files or objects of the target that the source does not have",
                ),
                Option(
                    ("--max-delete",),
                    "with --delete: if more than N would be deleted, delete none",
                    "int",
                    "N",
                ),
                Option(("--size-only",), "compare only sizes"),
                Option(
                    ("--exact-timestamps",), "copy if the times differ, even if the target is newer"
                ),
                Option(
                    ("--checksum",),
                    "compare content by ETags (multipart ETags included) or stored checksums",
                ),
                *_TRANSFER,
            ),
            (
                ("s3po sync site/ s3://bucket/site/ --delete --max-delete 100", "upload"),
                ("s3po sync s3://bucket/data/ data/ --exact-timestamps", "download"),
            ),
        ),
        Command(
            "rm",
            "delete objects",
            (_positional("targets", "s3://BUCKET/KEY, a pattern, or with -r a prefix", "+"),),
            (_RECURSIVE, _RAW, *_FILTERS, _DRY, _WORKERS, _CLUSTER),
            (
                ("s3po rm s3://bucket/a s3://bucket/b", "two objects"),
                ("s3po rm -r s3://bucket/tmp/ --exclude '*.keep'", "a prefix"),
            ),
        ),
        Command(
            "cat",
            "write objects to stdout",
            (_positional("targets", "s3://BUCKET/KEY", "+"),),
            (
                Option(("--range",), "range of bytes, both ends included", "text", "FIRST-LAST"),
                _VERSION_ID,
            ),
            (
                ("s3po cat s3://bucket/log.gz | zcat", "an object"),
                ("s3po cat --range 0-99 s3://bucket/log", "the first 100 bytes"),
            ),
        ),
        Command(
            "pipe",
            "store stdin as an object",
            (_positional("target", "s3://BUCKET/KEY"),),
            (
                _STORED_CHECKSUM,
                Option(("--content-type",), "Content-Type", "text", "TYPE"),
                Option(("--storage-class",), "STANDARD, STANDARD_IA, ...", "text", "CLASS"),
                Option(("--part-size",), "size of a part, at least 5MiB", "size"),
            ),
            (
                ("tar cz . | s3po pipe s3://bucket/backup.tgz", "an archive"),
                ("mysqldump db | s3po pipe s3://bucket/db.sql --part-size 64MiB", "large parts"),
            ),
        ),
        Command(
            "head",
            "show the properties of an object or bucket",
            (_positional("target", "s3://BUCKET[/KEY]"),),
            (_VERSION_ID,),
            (
                ("s3po head s3://bucket/key", "an object"),
                ("s3po head --json s3://bucket/key", "as JSON"),
            ),
        ),
        Command(
            "stat",
            "same as head",
            (_positional("target", "s3://BUCKET[/KEY]"),),
            (_VERSION_ID,),
            (
                ("s3po stat s3://bucket/key", "an object"),
                ("s3po stat s3://bucket", "a bucket"),
            ),
            module="head",
        ),
        Command(
            "du",
            "sum the sizes of objects",
            (_positional("target", "s3://BUCKET[/PREFIX or pattern]"),),
            (
                Option(("-H", "--human-readable"), "print sizes in KiB, MiB, ..."),
                Option(("--group",), "print a sum for each storage class"),
                Option(
                    ("-d", "--depth"), "print a sum for each prefix of up to N levels", "int", "N"
                ),
                _RAW,
            ),
            (
                ("s3po du -H s3://bucket", "a whole bucket"),
                ("s3po du --depth 1 s3://bucket/logs/", "for each folder below a prefix"),
            ),
        ),
        Command(
            "mb",
            "create buckets",
            (_positional("targets", "s3://BUCKET", "+"),),
            (),
            (
                ("s3po mb s3://bucket", "in the configured region"),
                ("s3po mb --region eu-west-1 s3://bucket", "in another region"),
            ),
        ),
        Command(
            "rb",
            "delete buckets",
            (_positional("targets", "s3://BUCKET", "+"),),
            (Option(("--force",), "delete all objects first, with all versions"),),
            (
                ("s3po rb s3://bucket", "an empty bucket"),
                ("s3po rb --force s3://bucket", "a bucket with objects"),
            ),
        ),
        Command(
            "presign",
            "print a presigned URL",
            (_positional("target", "s3://BUCKET/KEY"),),
            (
                Option(
                    ("--method",),
                    "HTTP method: GET, PUT, ... (default: GET)",
                    "text",
                    default="GET",
                ),
                Option(
                    ("--expires-in", "--expires"),
                    "validity: 12h, 7d, ... (default: 1h)",
                    "age",
                    "AGE",
                    default=3600,
                ),
            ),
            (
                ("s3po presign s3://bucket/key --expires 7d", "for a download, valid for a week"),
                ("s3po presign --method PUT s3://bucket/key", "for an upload, valid for an hour"),
            ),
        ),
        Command(
            "tag",
            "show or set the tags of an object",
            (
                _positional("target", "s3://BUCKET/KEY"),
                _positional("tags", "NAME=VALUE; replace all tags of the object", "*"),
            ),
            (Option(("--clear",), "remove all tags"), _VERSION_ID),
            (
                ("s3po tag s3://bucket/key", "show the tags"),
                ("s3po tag s3://bucket/key owner=me stage=test", "set the tags"),
            ),
        ),
        Command(
            "restore",
            "restore archived objects for some days",
            (_positional("targets", "s3://BUCKET/KEY", "+"),),
            (
                Option(("--days",), "number of days (default: 1)", "int", default=1),
                Option(
                    ("--tier",),
                    "retrieval tier (default: Standard)",
                    "text",
                    choices=("Expedited", "Standard", "Bulk"),
                    default="Standard",
                ),
            ),
            (
                ("s3po restore s3://bucket/old.tar", "for a day"),
                (
                    "s3po restore --days 7 --tier Bulk s3://bucket/old.tar",
                    "for a week, with the cheapest tier",
                ),
            ),
        ),
        Command(
            "uploads",
            "list or abort open multipart uploads",
            (
                _positional("action", "ls or abort", choices=("ls", "abort")),
                _positional("target", "s3://BUCKET[/PREFIX]"),
            ),
            (
                Option(("--older-than",), "only uploads older than this: 12h, 7d", "age", "AGE"),
                Option(("-H", "--human-readable"), "print sizes in KiB, MiB, ..."),
                _DRY,
            ),
            (
                ("s3po uploads ls s3://bucket", "all uploads of a bucket"),
                ("s3po uploads abort --older-than 7d s3://bucket", "all uploads older than a week"),
            ),
        ),
        Command(
            "run",
            "run the commands of a file in parallel, one per line",
            (_positional("file", "file, or - for stdin (default)", "?"),),
            (
                Option(
                    ("-c", "--concurrency"),
                    "parallel lines in each process (default: 50)",
                    "count",
                    "N",
                    default=50,
                ),
                _WORKERS,
            ),
            (
                ("s3po run commands.txt", "a file with lines such as: cp a s3://bucket/a"),
                ("printf 'rm s3://bucket/%s\\n' a b | s3po run -", "from stdin"),
            ),
            "A line is split into words like in a POSIX shell; empty lines and comments (#) are skipped. Lines run "
            "in parallel, in no particular order; with --concurrency 1 they run one after the other. Lines that use "
            "stdin, write objects to stdout, or log (--debug) do not run in parallel with others. A failed line does "
            "not stop the others: its error message begins with the line number, and the exit code is 1.",
        ),
        Command(
            "mock",
            "serve a mock of S3 in memory",
            (_positional("arguments", "arguments of python -m s3po.mock", "*"),),
            (),
            (
                ("s3po mock --port 9000 --bucket test", "with a bucket"),
                ("s3po mock --help", "its options"),
            ),
            connects=False,
        ),
        Command(
            "bench",
            "measure uploads and downloads with a bucket",
            (_positional("target", "s3://BUCKET[/PREFIX]"),),
            (
                Option(
                    ("--objects",), "number of objects (default: 1000)", "int", "N", default=1000
                ),
                Option(("--size",), "size of an object (default: 1KiB)", "size", default=1024),
                _CONCURRENCY,
            ),
            (
                ("s3po bench s3://bucket/bench/", "1,000 objects of 1 KiB"),
                ("s3po bench --objects 20 --size 64MiB s3://bucket/", "20 objects of 64 MiB"),
            ),
        ),
        Command(
            "completion",
            "print a shell script for the completion of commands, options, buckets and prefixes",
            (_positional("shell", "bash, zsh or fish", choices=("bash", "zsh", "fish")),),
            (),
            (
                ('eval "$(s3po completion bash)"', "in ~/.bashrc"),
                ("s3po completion fish > ~/.config/fish/completions/s3po.fish", "once, for fish"),
            ),
            connects=False,
        ),
    )
}
