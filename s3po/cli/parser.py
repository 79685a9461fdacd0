"""Parsing of a command line, and help, by the table."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NoReturn

from s3po.cli.errors import UsageError
from s3po.cli.table import COMMANDS, GLOBAL_OPTIONS, Command, Option

_SIZE = re.compile(r"(\d+)\s*([kmgt]?)(i?b)?", re.IGNORECASE)
_AGE = re.compile(r"(\d+)([smhdw]?)")
_BETWEEN_PAIRS = re.compile(r",(?=[\w!#$%&'*+.^`|~-]+=)|,(?==)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
#: Of timedelta: a billion days.
_LONGEST = 86_400 * 999_999_999


def parse_size(text: str) -> int:
    """Bytes of `8MiB`, `8M`, `8388608`: the units are powers of 1,024."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 8MiB")
    size = int(found[1]) << (10 * " kmgt".index(found[2].lower() or " "))
    if size > sys.maxsize:
        raise argparse.ArgumentTypeError(f"{text!r} is too large")
    return size


def parse_age(text: str) -> int:
    """Seconds of `90`, `12h`, `7d`."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 12h or 7d")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is too long")
    return seconds


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _count(text: str) -> int:
    number = _whole(text)
    if not number:
        raise argparse.ArgumentTypeError("it is at least 1")
    return number


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None


def _pairs(text: str) -> list[tuple[str, str]]:
    """`NAME=VALUE`, several after commas, or JSON, as the AWS CLI takes them.

    A comma that no name and "=" follow is part of the value.
    """
    if text.startswith("{"):
        import json

        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from None
        if not all(isinstance(value, str) for value in found.values()):
            raise argparse.ArgumentTypeError(f"{text!r} has values that are no strings")
        return list(found.items())
    pairs = []
    for each in _BETWEEN_PAIRS.split(text):
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise argparse.ArgumentTypeError(f"{each!r} is not NAME=VALUE")
        pairs.append((name, value))
    return pairs


_TYPES: dict[str, Callable[[str], Any]] = {
    "int": _whole,
    "count": _count,
    "seconds": _seconds,
    "size": parse_size,
    "age": parse_age,
    "pairs": _pairs,
    "include": lambda text: ("include", text),
    "exclude": lambda text: ("exclude", text),
}


#: Begins a word after a "--" that looks like an option; no argument can hold it.
_MARK = "\0"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message.replace(repr(_MARK)[1:-1], "").replace(_MARK, ""))


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint for a mistyped word, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


def split_command(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """The command's name, None if there is none, and all other words."""
    valued = {flag for each in GLOBAL_OPTIONS if each.kind != "flag" for flag in each.flags}
    words = list(arguments)
    at = 0
    while at < len(words):
        word = words[at]
        if not word.startswith("-"):
            return word, words[:at] + words[at + 1 :]
        at += 2 if word in valued else 1
    return None, words


def build_parser(command: Command) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"s3po {command.name}", add_help=False, allow_abbrev=False)
    for option in (*GLOBAL_OPTIONS, *command.options):
        _add(parser, option)
    for argument in command.arguments:
        extra: dict[str, Any] = {"nargs": argument.nargs} if argument.nargs else {}
        if argument.choices:
            extra["choices"] = argument.choices
        parser.add_argument(argument.flags[0], **extra)
    return parser


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    if option.kind == "flag":
        parser.add_argument(*option.flags, dest=option.name, action="store_true")
        return
    extra: dict[str, Any] = {"dest": option.name, "default": option.default}
    if option.kind in _TYPES:
        extra["type"] = _TYPES[option.kind]
    if option.choices:
        extra["choices"] = option.choices
    if option.kind == "pairs":
        extra["action"] = "extend"
    if option.kind in ("include", "exclude"):
        extra["action"] = "append"
    if option.kind in ("include", "exclude"):
        extra["dest"] = "filters"
    parser.add_argument(*option.flags, **extra)


@cache
def _parser_of(name: str) -> argparse.ArgumentParser:
    """Made once for all lines of a `run`."""
    return build_parser(COMMANDS[name])


def parse(name: str, words: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    """The command and its arguments. Raises UsageError, with a hint."""
    command = COMMANDS.get(name)
    if command is None:
        raise UsageError(f"there is no command {name!r}{suggest(name, COMMANDS)}")
    words, after = _split_options(words)
    if "-h" in words or "--help" in words:
        return command, argparse.Namespace(help=True)
    # argparse forgets a "--" among intermixed words: what comes after it is marked.
    marked = [_MARK + word if word[:1] == "-" and word != "-" else word for word in after]
    known, rest = _parser_of(name).parse_known_intermixed_args([*words, *marked])
    if rest:
        flags = [flag for each in (*GLOBAL_OPTIONS, *command.options) for flag in each.flags]
        unknown = rest[0].removeprefix(_MARK)
        hint = "" if unknown != rest[0] else suggest(unknown.partition("=")[0], flags)
        raise UsageError(f"{command.name}: unknown argument {unknown!r}{hint}")
    for argument in command.arguments:
        value = getattr(known, argument.flags[0], None)
        if value == "" or (isinstance(value, list) and "" in value):
            # Mostly a variable of a shell that is not set.
            raise UsageError(f"{command.name}: an argument is empty: {argument.placeholder}")
        if isinstance(value, str):
            setattr(known, argument.flags[0], value.removeprefix(_MARK))
        elif isinstance(value, list):
            value[:] = [each.removeprefix(_MARK) for each in value]
    return command, known


def _split_options(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The words before and after a `--`, which ends the options."""
    if "--" not in words:
        return words, ()
    at = words.index("--")
    return words[:at], words[at + 1 :]


def format_command(command: Command) -> str:
    """The help of one command."""
    lines = [f"s3po {command.name}: {command.summary}", "", f"  {command.usage}", ""]
    if command.description:
        import textwrap

        lines += [*textwrap.wrap(command.description, 96), ""]
    for title, options in (
        ("Arguments", command.arguments),
        ("Options", command.options),
        ("Global options", GLOBAL_OPTIONS),
    ):
        if options:
            lines += [f"{title}:", *map(_format_option, options), ""]
    lines.append("Examples:")
    for line, text in command.examples:
        lines += [f"  # {text}", f"  {line}"]
    return "\n".join(lines) + "\n"


def _format_option(option: Option) -> str:
    left = ", ".join(option.flags)
    if option.flags[0].startswith("-") and option.placeholder:
        left += f" {option.placeholder}"
    return f"  {left:<30} {option.help}" if len(left) <= 30 else f"  {left}\n{'':33}{option.help}"


def format_overview(version: str) -> str:
    lines = [f"s3po {version}: an S3 client", "", "  s3po COMMAND [OPTION]... [ARGUMENT]...", ""]
    lines += [f"  {each.name:<12}{each.summary}" for each in COMMANDS.values()]
    lines += [
        "",
        "`s3po COMMAND --help` shows options and examples, `s3po --version` the version.",
        "",
        "Global options:",
    ]
    lines += map(_format_option, GLOBAL_OPTIONS)
    lines += [
        "",
        "Exit codes: 0; 1 where something failed; 2 for a wrong command line; 130 after Ctrl-C; 143 after SIGTERM.",
        "Other programs: python -m s3po.mock, python -m s3po.slim.",
    ]
    return "\n".join(lines) + "\n"
