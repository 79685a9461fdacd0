"""The table of commands and options: parser, help, docs/cli.md and completion are made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
    Option(("--endpoint-url",), "a store other than AWS", "text", "URL"),
    Option(("--region",), "the region that requests are signed for", "text"),
    Option(("--profile",), "a profile of the shared files", "text"),
    Option(("--no-sign-request", "--anonymous"), "sign nothing"),
    Option(("--ca-bundle",), "certificates to trust", "text", "FILE"),
    Option(("--no-verify-ssl",), "do not verify certificates"),
    Option(("--proxy",), "a proxy for all requests", "text", "URL"),
    Option(("--retries",), "tries of one request beyond the first", "int"),
    Option(("--connect-timeout",), "seconds to connect", "seconds"),
    Option(("--read-timeout",), "seconds to wait for the next byte", "seconds"),
    Option(("--json",), "one JSON object a line, errors too"),
    Option(("-q", "--quiet"), "no results on stdout, no progress"),
    Option(("--no-progress",), "no progress on stderr"),
    Option(("--stat",), "at the end, counts on stderr: objects, bytes, seconds, requests, retries"),
    Option(
        ("--log-level",),
        "log to stderr",
        "text",
        choices=("debug", "info", "warning", "error"),
    ),
    Option(("-v", "--verbose"), "the same as --log-level info"),
    Option(("--debug",), "the same as --log-level debug: requests with their attempts"),
    Option(("-h", "--help"), "show this help"),
)

_RECURSIVE = Option(("-r", "--recursive"), "all below the source")
_RAW = Option(("--raw",), "take * and ? in keys and names as they are")
_DRY = Option(("-n", "--dryrun", "--dry-run"), "only say what would be done, and why")
_CONCURRENCY = Option(
    ("-c", "--concurrency"), "requests at once (default: 50)", "count", "N", default=50
)
_FILTERS = (
    Option(("--include",), "names to take; of all filters the last that matches counts", "include"),
    Option(("--exclude",), "names to pass over, relative to the source", "exclude"),
)
_VERSION_ID = Option(("--version-id",), "a version", "text", "ID")

_WORKERS = Option(
    ("--workers",), "processes that share the work (default: 1)", "count", "N", default=1
)
_CLUSTER = Option(
    ("--cluster",),
    "the scheduler of a Dask cluster that does the work, between stores (s3po[dask])",
    "text",
    "tcp://HOST:PORT",
)

_TRANSFER = (
    *_FILTERS,
    _DRY,
    Option(("--storage-class",), "STANDARD, STANDARD_IA, GLACIER, ...", "text", "CLASS"),
    Option(("--acl",), "private, public-read, ...", "text"),
    Option(("--sse",), "AES256 or aws:kms", "text", "ALGORITHM"),
    Option(("--sse-kms-key-id",), "the key of aws:kms", "text", "ID"),
    Option(("--sse-c-key",), "a file of the customer's key, 32 bytes", "text", "FILE"),
    Option(
        ("--metadata",),
        "user metadata, several after commas, or JSON; repeatable",
        "pairs",
        "NAME=VALUE",
    ),
    Option(("--content-type",), "Content-Type (default: by the key's extension)", "text", "TYPE"),
    Option(("--cache-control",), "Cache-Control", "text"),
    Option(("--follow-symlinks",), "follow symbolic links; else they are passed over"),
    Option(("--part-size",), "bytes of a part, 5MiB or more", "size"),
    _CONCURRENCY,
    Option(("--preserve-mtime",), "keep a file's time in the metadata, and set it from there"),
    Option(("--resume",), "go on where an earlier run of the same command was interrupted"),
    _WORKERS,
    _CLUSTER,
)
_STORED_CHECKSUM = Option(
    ("--checksum",),
    "a checksum that the store compares and keeps",
    "text",
    choices=("crc32", "crc32c", "crc64nvme", "sha1", "sha256"),
)
_COPY = (
    _RECURSIVE,
    _RAW,
    Option(("--no-clobber",), "pass over what is at the target already"),
    Option(("--if-size-differ",), "only where the target has another size"),
    Option(("--if-source-newer",), "only where the target is older"),
    _STORED_CHECKSUM,
    *_TRANSFER,
)
_PATHS = _positional("paths", "sources, and last the target; - is stdin or stdout", "+")

COMMANDS = {
    each.name: each
    for each in (
        Command(
            "ls",
            "list buckets, or objects",
            (_positional("target", "s3://BUCKET[/PREFIX or pattern]", "?"),),
            (
                Option(("-r", "--recursive"), "all keys, and not one level"),
                Option(("-H", "--human-readable"), "sizes in KiB, MiB, ..."),
                Option(("--summarize",), "the number of objects and bytes at the end"),
                Option(("--versions",), "all versions and delete markers"),
                _RAW,
                Option(("--parallel",), "listings at once (default: 1)", "count", "N", default=1),
            ),
            (
                ("s3po ls s3://photos/2026/", "one level of a bucket"),
                ("s3po ls 's3://photos/*.jpg' --summarize", "all keys of a pattern, and a sum"),
            ),
        ),
        Command(
            "cp",
            "copy files and objects",
            (_PATHS,),
            _COPY,
            (
                ("s3po cp -r site/ s3://bucket/site/ --exclude '*.tmp'", "a folder"),
                ("s3po cp 's3://bucket/2026/*/x-?.gz' logs/", "the objects of a pattern"),
            ),
            "Local to S3, S3 to local, or S3 to S3 (within the store). A source of several, a pattern "
            "and -r need a folder or prefix as target.",
        ),
        Command(
            "mv",
            "copy, then delete the source of each copy that succeeded",
            (_PATHS,),
            _COPY,
            (
                ("s3po mv report.pdf s3://bucket/reports/", "a file"),
                ("s3po mv -r s3://bucket/new/ s3://bucket/old/", "all of a prefix"),
            ),
            module="cp",
        ),
        Command(
            "sync",
            "make a folder or prefix like another",
            (_positional("source", "a folder or s3://"), _positional("target", "the same")),
            (
                Option(("--delete",), "delete what the source has not"),
                Option(("--max-delete",), "delete nothing at all if it would be more", "int", "N"),
                Option(("--size-only",), "compare sizes alone"),
                Option(("--exact-timestamps",), "other times differ, newer or older"),
                Option(("--checksum",), "compare content by ETags, those of parts too"),
                *_TRANSFER,
            ),
            (
                ("s3po sync site/ s3://bucket/site/ --delete --max-delete 100", "up"),
                ("s3po sync s3://bucket/data/ data/ --exact-timestamps", "down"),
            ),
        ),
        Command(
            "rm",
            "delete objects",
            (_positional("targets", "s3://BUCKET/KEY, a pattern, or a prefix with -r", "+"),),
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
            (Option(("--range",), "bytes, both ends included", "text", "FIRST-LAST"), _VERSION_ID),
            (
                ("s3po cat s3://bucket/log.gz | zcat", "an object"),
                ("s3po cat --range 0-99 s3://bucket/log", "its first 100 bytes"),
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
                Option(("--part-size",), "bytes of a part, 5MiB or more", "size"),
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
                ("s3po head --json s3://bucket/key", "the same, for programs"),
            ),
        ),
        Command(
            "stat",
            "the same as head",
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
            "sum up sizes",
            (_positional("target", "s3://BUCKET[/PREFIX or pattern]"),),
            (
                Option(("-H", "--human-readable"), "sizes in KiB, MiB, ..."),
                Option(("--group",), "a sum for each storage class"),
                Option(("-d", "--depth"), "a sum for each prefix of so many levels", "int", "N"),
                _RAW,
            ),
            (
                ("s3po du -H s3://bucket", "all of a bucket"),
                ("s3po du --depth 1 s3://bucket/logs/", "for each folder below a prefix"),
            ),
        ),
        Command(
            "mb",
            "make buckets",
            (_positional("targets", "s3://BUCKET", "+"),),
            (),
            (
                ("s3po mb s3://bucket", "in the region of the settings"),
                ("s3po mb --region eu-west-1 s3://bucket", "elsewhere"),
            ),
        ),
        Command(
            "rb",
            "delete buckets",
            (_positional("targets", "s3://BUCKET", "+"),),
            (Option(("--force",), "all that is in it first, all versions included"),),
            (
                ("s3po rb s3://bucket", "one that is empty"),
                ("s3po rb --force s3://bucket", "one that is not"),
            ),
        ),
        Command(
            "presign",
            "print a URL that needs no credentials",
            (_positional("target", "s3://BUCKET/KEY"),),
            (
                Option(("--method",), "GET, PUT, ... (default: GET)", "text", default="GET"),
                Option(
                    ("--expires-in", "--expires"),
                    "until it ends (default: 1h)",
                    "age",
                    "AGE",
                    default=3600,
                ),
            ),
            (
                ("s3po presign s3://bucket/key --expires 7d", "to read for a week"),
                ("s3po presign --method PUT s3://bucket/key", "to write for an hour"),
            ),
        ),
        Command(
            "tag",
            "show or set the tags of an object",
            (
                _positional("target", "s3://BUCKET/KEY"),
                _positional("tags", "NAME=VALUE, in place of all tags", "*"),
            ),
            (Option(("--clear",), "take all tags away"), _VERSION_ID),
            (
                ("s3po tag s3://bucket/key", "show"),
                ("s3po tag s3://bucket/key owner=me stage=test", "set"),
            ),
        ),
        Command(
            "restore",
            "bring archived objects back for some days",
            (_positional("targets", "s3://BUCKET/KEY", "+"),),
            (
                Option(("--days",), "for so long (default: 1)", "int", default=1),
                Option(
                    ("--tier",),
                    "how fast (default: Standard)",
                    "text",
                    choices=("Expedited", "Standard", "Bulk"),
                    default="Standard",
                ),
            ),
            (
                ("s3po restore s3://bucket/old.tar", "for a day"),
                ("s3po restore --days 7 --tier Bulk s3://bucket/old.tar", "cheaply, for a week"),
            ),
        ),
        Command(
            "uploads",
            "list or abort multipart uploads that were left open",
            (
                _positional("action", "ls or abort", choices=("ls", "abort")),
                _positional("target", "s3://BUCKET[/PREFIX]"),
            ),
            (
                Option(("--older-than",), "those begun longer ago: 12h, 7d", "age", "AGE"),
                Option(("-H", "--human-readable"), "sizes in KiB, MiB, ..."),
                _DRY,
            ),
            (
                ("s3po uploads ls s3://bucket", "all of a bucket"),
                ("s3po uploads abort --older-than 7d s3://bucket", "those of last week"),
            ),
        ),
        Command(
            "run",
            "run commands of a file, one a line, many at once",
            (_positional("file", "a file, or - for stdin", "?"),),
            (
                Option(
                    ("-c", "--concurrency"),
                    "lines at once in each process (default: 50)",
                    "count",
                    "N",
                    default=50,
                ),
                _WORKERS,
            ),
            (
                ("s3po run commands.txt", "lines such as: cp a s3://bucket/a"),
                ("printf 'rm s3://bucket/%s\\n' a b | s3po run -", "from stdin"),
            ),
            "Words are split as a POSIX shell splits them; empty lines and those with # are passed over. "
            "All lines are run, many at once and in no order; one after the other with --concurrency 1. Lines that "
            "use stdin or write objects to stdout have them alone. Errors begin with the number of their line; the "
            "exit code is 1 where one failed.",
        ),
        Command(
            "mock",
            "serve an S3 that lives in memory",
            (_positional("arguments", "those of python -m s3po.mock", "*"),),
            (),
            (
                ("s3po mock --port 9000 --bucket test", "with a bucket"),
                ("s3po mock --help", "its options"),
            ),
            connects=False,
        ),
        Command(
            "bench",
            "measure small uploads and downloads against a bucket",
            (_positional("target", "s3://BUCKET[/PREFIX]"),),
            (
                Option(("--objects",), "so many (default: 1000)", "int", "N", default=1000),
                Option(("--size",), "of each (default: 1KiB)", "size", default=1024),
                _CONCURRENCY,
            ),
            (
                ("s3po bench s3://bucket/bench/", "1,000 objects of 1 KiB"),
                ("s3po bench --objects 20 --size 64MiB s3://bucket/", "large ones"),
            ),
        ),
        Command(
            "completion",
            "print a script that completes commands, options, buckets and prefixes",
            (_positional("shell", "bash, zsh or fish", choices=("bash", "zsh", "fish")),),
            (),
            (
                ('eval "$(s3po completion bash)"', "in ~/.bashrc"),
                ("s3po completion fish > ~/.config/fish/completions/s3po.fish", "once"),
            ),
            connects=False,
        ),
    )
}
