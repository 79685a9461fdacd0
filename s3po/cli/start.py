"""`Start`: a faster start, and end, of a process that belongs to the command line.

Most of what `s3po ls` costs is the imports. `import s3po` changes nothing of what is changed here.
"""

from __future__ import annotations

import gc
import re
import sys
from typing import TYPE_CHECKING, Any

from s3po.patterns import Pattern
from s3po.postponed import postpone, postpone_functions

if TYPE_CHECKING:
    from argparse import Namespace

    from s3po.cli.table import Command

#: Modules that requests, gevent and botocore import for what the command line does not do. None of what they
#: import accesses them during its own import (`s3po/postponed.py` says why that matters).
MODULES = ("gzip", "inspect", "platform", "pprint", "shlex", "zipfile")
#: Those of the packages that signing imports.
SIGNING_MODULES = ("botocore.awsrequest", "botocore.httpsession", "botocore.vendored.six")
#: Such modules, and the functions and classes that botocore imports from them and calls, but not for a signature.
SIGNING_FUNCTIONS = {
    "botocore.plugin": ("PluginContext", "reset_plugin_context", "set_plugin_context"),
    "botocore.useragent": ("register_feature_id",),
    "dateutil.tz": ("tzlocal", "tzutc"),
}

_compile = re.compile


class Start:
    """Settings of the interpreter from the start of the process until a command is imported, and at its end."""

    def __init__(self) -> None:
        """Collect no garbage, as what modules create stays, and postpone what may never be needed."""
        gc.disable()
        re.compile = _compile_later
        postpone(*MODULES)

    def imported(self, command: Command | None = None, given: Namespace | None = None) -> None:
        """Import what `command` needs for its requests; then begin to collect garbage, except among what is there."""
        if command is not None and command.connects:
            import s3po.connection  # noqa: F401 - before garbage is collected

            if given is None or not given.anonymous:
                _import_signers()
        gc.freeze()
        gc.enable()

    def end(self) -> None:
        """Leave out what is there when the interpreter collects garbage at its end, twice."""
        gc.freeze()


def _import_signers() -> None:
    from s3po.sigv4.signer import load_botocore

    postpone(*SIGNING_MODULES)
    for name, functions in SIGNING_FUNCTIONS.items():
        postpone_functions(name, *functions)
    load_botocore()


def _compile_later(pattern: Any, flags: Any = 0) -> Any:
    """`re.compile` whose result is compiled at its first use, where a module or a class is being created."""
    # Their code is not optimized, in contrast to that of functions.
    if sys._getframe(1).f_code.co_flags & 1 or not isinstance(pattern, (str, bytes)):
        return _compile(pattern, flags)
    return Pattern(pattern, flags)
