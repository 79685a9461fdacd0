"""`s3po`, which is `python -m s3po`."""

from __future__ import annotations

import os
import sys

import s3po

# As in `s3po/__init__.py`: `typing` is not imported for it.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s3po.cli.context import Context
    from s3po.cli.signals import Interrupts
    from s3po.cli.start import Start
    from s3po.connection import Connection

_VERSION = f"s3po {s3po.__version__}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: `sys.argv`). Returns the exit code: 0, 1, 2, 130 or 143."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        try:
            sys.stdout.write(_VERSION)
            sys.stdout.flush()
        except AttributeError:
            # It is closed.
            return 1
        except BrokenPipeError:
            _discard_stdout()
            return 1
        except OSError as error:
            _report(words, f"stdout: {error.strerror or error}")
            _discard_stdout()
            return 1
        return 0
    try:
        return _main(words, is_program=arguments is None)
    except KeyboardInterrupt:
        # Before the signals were taken over.
        return 130


def _main(words: list[str], *, is_program: bool) -> int:
    start = None
    if is_program:
        from s3po.cli.start import Start

        start = Start()
    _open_streams()
    from s3po.cli.errors import UsageError
    from s3po.cli.signals import Interrupts

    interrupts = Interrupts(seconds=0.9)
    interrupts.install()
    try:
        code = run(words, interrupts=interrupts, start=start)
        sys.stdout.flush()
    except UsageError as error:
        _report(words, str(error))
        code = 2
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        # The reader has enough.
        _discard_stdout()
        code = 1
    except OSError as error:
        _report(words, f"stdout: {error.strerror or error}")
        _discard_stdout()
        code = 1
    finally:
        interrupts.remove()
        if start is not None:
            start.end()
    return interrupts.code or code


def run(
    words: list[str],
    connections: dict[tuple[object, ...], Connection] | None = None,
    parent: Context | None = None,
    interrupts: Interrupts | None = None,
    line: int | None = None,
    start: Start | None = None,
) -> int:
    """Run a command line, on `connections` if given, which are not closed.

    `parent` is the context of a `run` of whose lines it is one, `line` its number; `start` is that of this
    process, if it was made for the command line. Raises UsageError where it cannot be right.
    """
    from s3po.cli.parser import format_command, format_overview, parse, split_command

    if words[:1] == ["__complete"]:
        from s3po.cli.commands.completion import complete

        if start is not None:
            start.imported()
        return complete(words[1:])
    name, rest = split_command(words)
    if name == "help":
        name, rest = split_command([*rest, "--help"])
    if name is None:
        if {"-V", "--version"}.intersection(rest):
            sys.stdout.write(_VERSION)
            return 0
        asked = bool({"-h", "--help"}.intersection(rest))
        (sys.stdout if asked else sys.stderr).write(format_overview(s3po.__version__))
        return 0 if asked else 2
    if name == "mock":
        # It has its own options and signal handlers.
        from s3po.mock.__main__ import main as serve

        if interrupts is not None:
            interrupts.remove()
        if start is not None:
            start.imported()
        return serve(rest)
    command, given = parse(name, rest)
    if given.help:
        sys.stdout.write(format_command(command))
        return 0
    from importlib import import_module

    from s3po.cli.context import Context

    module = import_module(f"s3po.cli.commands.{command.module or command.name}")
    if start is not None:
        start.imported(command, given)
    context = Context(command.name, given, connections=connections, parent=parent, line=line)
    if interrupts is not None:
        interrupts.at_end = context.give_up
    context.start_logging()
    code = 1
    try:
        code = module.run(context, given)
        if context.failures:
            code = code or 1
    except KeyboardInterrupt:
        context.interrupted = True
        code = 130
    except BrokenPipeError:
        _discard_stdout()
        code = 1
    except Exception as error:
        context.fail_or_raise(error)
        code = 2 if _is_usage(error) else 1
    finally:
        context.close()
    return code


def _report(words: list[str], text: str) -> None:
    """A line on stderr about an error of no command, or of one that could not begin."""
    from s3po.cli.errors import write_error

    before = words[: words.index("--")] if "--" in words else words
    if "--json" in before:
        import json

        text = json.dumps({"error": text})
    else:
        text = f"s3po: {text}"
    write_error(text + "\n")


def _is_usage(error: Exception) -> bool:
    """True for an argument that the library refused before anything was sent."""
    from s3po.errors import ConfigError

    return isinstance(error, ConfigError)


def _open_streams() -> None:
    """Open what was closed before the start, so that no file or socket takes the number of a stream."""
    from s3po.cli.errors import CLOSED

    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            stream = open(os.devnull, "w" if number else "r", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
            CLOSED.add(name)


def _discard_stdout() -> None:
    """Let the interpreter's last flush go nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        pass
    finally:
        os.close(null)
