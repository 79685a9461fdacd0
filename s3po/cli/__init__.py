"""The command `s3po`: a table of commands and options, and a module for each command.

`main` imports no more than the command needs: `s3po --version` loads neither gevent nor requests.
"""
