"""Command `completion`, and the words that its scripts request."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from s3po.cli.context import Context
from s3po.cli.table import COMMANDS, GLOBAL_OPTIONS
from s3po.cli.uri import is_s3

#: A space follows words without a slash; buckets and prefixes may go on. Names are quoted for the shell.
_SCRIPTS = {
    "bash": """\
_s3po() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$' \\t\\n' word words each found quote=''
    read -a words <<< "$line"
    [[ "$line" == *' ' && "$line" != *'\\ ' ]] && words+=('')
    word="${words[-1]}"
    if [[ "$word" == [\\"\\']* ]]; then
        quote="${word:0:1}" word="${word:1}" words[-1]="${words[-1]:1}"
    fi
    mapfile -t found < <(s3po __complete "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    for each in "${found[@]}"; do
        if [[ "$each" != */* ]]; then
            COMPREPLY+=("$each ")
        elif [[ -n "$quote" ]]; then
            COMPREPLY+=("$each")
        else
            # Bash takes the colon of s3:// for the end of a word.
            [[ "$COMP_WORDBREAKS" == *:* ]] && each="${each#"${word%"${word##*:}"}"}"
            COMPREPLY+=("$(printf %q "$each")")
        fi
    done
}
complete -o nospace -o default -F _s3po s3po
""",
    "zsh": """\
#compdef s3po
_s3po() {
    local -a found before
    local word="${(Q)words[CURRENT]#[\\"\\']}"
    before=("${(@Q)words[2,CURRENT-1]}")
    found=("${(@f)$(s3po __complete "${before[@]}" "$word" 2>/dev/null)}")
    if [[ -n "$found" ]]; then
        compadd -S ' ' -- ${found:#*/*}
        compadd -S '' -- ${(M)found:#*/*}
    else
        _files
    fi
}
compdef _s3po s3po
""",
    "fish": """\
function __s3po
    set -l word (string trim -l -c '"\\'' -- (commandline -ct) | string unescape)
    set -l found (s3po __complete (commandline -opc)[2..-1] "$word" 2>/dev/null)
    if set -q found[1]
        printf '%s\\n' $found
    else
        __fish_complete_path "$word"
    end
end
complete -c s3po -f -a '(__s3po)'
""",
}

_SETTINGS = {
    "--endpoint-url": "endpoint_url",
    "--region": "region_name",
    "--profile": "profile_name",
}


def run(context: Context, given: argparse.Namespace) -> int:
    for line in _SCRIPTS[given.shell].rstrip("\n").split("\n"):
        context.line(line)
    return 0


def complete(words: list[str]) -> int:
    """Print the completions of the last word, one per line; nothing if unknown."""
    *before, word = words or [""]
    name = next((each for each in before if each in COMMANDS), None)
    found: list[str] = []
    if word.startswith("-"):
        options = GLOBAL_OPTIONS if name is None else (*GLOBAL_OPTIONS, *COMMANDS[name].options)
        found = [flag for each in options for flag in each.flags]
    elif name is None:
        found = list(COMMANDS)
    elif is_s3(word):
        try:
            found = _locations(word, _settings(before))
        except Exception:
            # There is no place for an error: the shell shows the words alone.
            found = []
    else:
        found = [each for option in COMMANDS[name].arguments for each in option.choices]
    sys.stdout.write("".join(f"{each}\n" for each in found if each.startswith(word)))
    return 0


def _settings(before: list[str]) -> dict[str, Any]:
    """Arguments of a connection to the store that the words before name."""
    found: dict[str, Any] = {}
    for flag, name in _SETTINGS.items():
        for number, word in enumerate(before):
            if word == flag and number + 1 < len(before):
                found[name] = before[number + 1]
            elif word.startswith(f"{flag}="):
                found[name] = word.partition("=")[2]
    if {"--no-sign-request", "--anonymous"}.intersection(before):
        found["anonymous"] = True
    return found


def _locations(word: str, settings: dict[str, Any]) -> list[str]:
    from s3po.config import Config
    from s3po.connection import Connection

    bucket, slash, prefix = word[5:].partition("/")
    config = Config(max_attempts=1, connect_timeout=2, read_timeout=5)
    with Connection(config=config, **settings) as connection:
        if not slash:
            return [f"s3://{each.name}/" for each in connection.list_buckets()]
        page = next(iter(connection.conn.iter_pages(bucket, prefix=prefix, delimiter="/")), None)
        if page is None:
            return []
        names = [*page.common_prefixes, *(each.key for each in page.objects)]
        return [f"s3://{bucket}/{each}" for each in names]
