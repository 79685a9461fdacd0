"""One module for each command, with `run(context, arguments) -> int`, the exit code."""
