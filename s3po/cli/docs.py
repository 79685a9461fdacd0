"""`python -m s3po.cli.docs > docs/cli.md`: the commands and options, from the table."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from s3po.cli.table import COMMANDS, GLOBAL_OPTIONS, Option

_HEAD = """\
# The command line

`s3po`, which is `python -m s3po`. This page is made by `python -m s3po.cli.docs`.

Results go to stdout, one a line; errors and progress to stderr. Exit codes: 0; 1 where something failed (the rest is
done); 2 for a wrong command line; 130 after Ctrl-C and 143 after SIGTERM, within a second: uploads that are under way are
aborted, with `--resume` they stay for the next run. Control characters of names are escaped (`\\n`, `\\x1b`) but in `--json`.
`--` ends the options. Credentials and settings that no option gives come from AWS's environment variables and files.
"""

_POLICY = """\
## What sync and cp do with odd cases

| case | what is done |
|---|---|
| a key with an empty, `.` or `..` part, a NUL, or a part of more than 255 bytes | not downloaded; a line, exit 1 |
| a symbolic link at or below the target folder | not followed, nor replaced; a line, exit 1 |
| `a` beside `a/b` | the one that comes second is not downloaded; a line, exit 1 |
| two keys that are one name to a file system that folds case | the one that comes second is not downloaded; a line, exit 1 |
| a directory marker (a key that ends with `/`, empty) | passed over; within the store, `cp` and `mv` copy it |
| such a key with content | `sync`: passed over; `cp` down: not a file's name; a line, exit 1 |
| a symbolic link in the source folder | passed over with a line, exit 0; followed with `--follow-symlinks` |
| a loop of symbolic links, a special file, a name that is not UTF-8 | passed over; a line, exit 1 |
| a symbolic link or special file that `--exclude` leaves out | no line, exit 0 |
| a file or folder that vanishes or cannot be read | a line, exit 1 |
| a file that changes while it is sent | that upload fails; a line, exit 1; one of at most 256 KiB is stored as it was read at once |
| copies within a bucket, the target below the source | what is below the target is no source: passed over with a line, exit 0 |
| the source below the target | what would replace a source is not copied; a line, exit 1. `sync --delete` deletes no source |
| two files or objects of several sources with one name | the one that comes second is not copied; a line, exit 1 |
| a move whose source cannot be deleted | a line that says so, exit 1; both are there |
| files that s3po has not finished (`.NAME.s3po-part`, `.s3po-....part`, `.NAME.s3po-upload`) | no part of a tree: neither sent nor deleted |
| stdout or stdin closed | `cat`, `cp ... -`, `pipe`, `cp - ...`: exit 1; else results are lost |
| a listing that fails, or is not sorted | the command ends, exit 1; nothing is deleted |
| what was passed over in the source | is not deleted at the target, nor is anything below it |

`sync` transfers what is missing, has another size, or is older at the target, by whole seconds. A download gets the time
of its object. Deletions begin when both listings have ended well; until then their keys are in a temporary file, if they are many.
Memory is bounded by the largest single folder, not by the tree or the bucket.

## Several processes

`--workers N` forks N processes, which list all and share out the keys; `run --workers N` hands out lines as they become
free. One more process writes their lines whole, adds up counts and exit codes, and ends them with Ctrl-C. `--cluster`
gives copies, moves and deletions within a store to a Dask cluster (docs/cluster.md); listings stay here.
"""


def build_page() -> str:
    """The page, as Markdown."""
    lines = [_HEAD, "## Global options\n", *_table(GLOBAL_OPTIONS)]
    for command in COMMANDS.values():
        lines += [f"\n## {command.name}\n", f"`{command.usage}`: {command.summary}.\n"]
        if command.description:
            lines.append(command.description + "\n")
        lines += _table((*command.arguments, *command.options))
        lines.append("\n```sh")
        for example, text in command.examples:
            lines += [f"# {text}", example]
        lines.append("```")
    return "\n".join([*lines, "", _POLICY])


def _table(options: Iterable[Option]) -> list[str]:
    rows = []
    for option in options:
        flags = ", ".join(f"`{flag}`" for flag in option.flags)
        value = ""
        if option.flags[0].startswith("-") and option.placeholder:
            value = " " + option.placeholder.replace("|", "\\|")
        rows.append(f"| {flags}{value} | {option.help} |")
    return ["| | |", "|---|---|", *rows]


if __name__ == "__main__":
    sys.stdout.write(build_page())
