"""The verbs of a batch: those of Connection, each as a call that returns a Handle.

To add one: a TypedDict of its keyword arguments in `options`, a line in `VERBS`, and its method here with
the types of its positional arguments and its result.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, Unpack, overload

from s3po.batch.handle import Callback, Errback, Handle
from s3po.batch.options import (
    CopyOptions,
    CreateBucketOptions,
    DeleteBucketOptions,
    DeleteManyOptions,
    DeleteOptions,
    DeletePrefixOptions,
    DownloadFileOptions,
    DownloadOptions,
    ExistsOptions,
    HeadBucketOptions,
    HeadOptions,
    RenameOptions,
    SetTagsOptions,
    TagsOptions,
    UndeleteOptions,
    UploadFileOptions,
    UploadOptions,
)
from s3po.batch.scheduler import Scheduler
from s3po.errors import ConfigError
from s3po.models import (
    BucketInfo,
    CopyObjectResult,
    DeleteObjectResult,
    DownloadResult,
    HeadObjectResult,
    ObjectInfo,
    ObjectVersionInfo,
    UploadResult,
)
from s3po.transfer.headers import hide_customer_keys
from s3po.transfer.sink import Target
from s3po.transfer.source import Data


class Verb:
    """A method of Connection that a batch can call, and the keyword arguments that it takes."""

    __slots__ = ("method", "name", "options", "required")

    def __init__(self, name: str, options: Any, *explicit: str) -> None:
        self.name = name
        #: Finds the method on a Connection.
        self.method = attrgetter(name)
        self.required: frozenset[str] = options.__required_keys__
        self.options = self.required | options.__optional_keys__ | {*explicit}

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise the TypeError that the method would raise, before there is a call; hide customer keys.

        Options are copied, so that the caller can change theirs before the call runs.
        """
        hide_customer_keys(options)
        own: Any = options
        for name, value in options.items():
            if type(value) is dict:
                own[name] = value.copy()
            if name not in self.options:
                close = _get_close_matches(name, self.options, 1)
                hint = f". Did you mean {close[0]!r}?" if close else ""
                raise TypeError(f"{self.name}() got an unexpected keyword argument {name!r}{hint}")
        for name in sorted(self.required.difference(options)):
            raise TypeError(f"{self.name}() is missing the keyword argument {name!r}")


class Operation:
    """A method of the low-level client, and its signature, which counts `self`."""

    __slots__ = ("method", "name", "signature")

    #: Its arguments were checked against its signature.
    required: frozenset[str] = frozenset()

    def __init__(self, name: str, signature: inspect.Signature) -> None:
        self.name = name
        self.method = attrgetter(f"client.{name}")
        self.signature = signature

    def check(self, options: Mapping[str, Any]) -> None:
        """Do nothing: the arguments were checked against the signature."""


VERBS = {
    verb.name: verb
    for verb in (
        Verb("upload", UploadOptions),
        Verb("upload_file", UploadFileOptions),
        Verb("download", DownloadOptions, "encoding"),
        Verb("download_file", DownloadFileOptions),
        Verb("head", HeadOptions),
        Verb("exists", ExistsOptions),
        Verb("delete", DeleteOptions),
        Verb("delete_many", DeleteManyOptions),
        Verb("copy", CopyOptions),
        Verb("move", CopyOptions),
        Verb("rename", RenameOptions),
        Verb("delete_prefix", DeletePrefixOptions),
        Verb("undelete", UndeleteOptions),
        Verb("tags", TagsOptions),
        Verb("set_tags", SetTagsOptions),
        Verb("create_bucket", CreateBucketOptions),
        Verb("delete_bucket", DeleteBucketOptions),
        Verb("head_bucket", HeadBucketOptions),
    )
}


class Verbs:
    """Methods of Batch that make calls."""

    __slots__ = ()

    _scheduler: Scheduler

    def upload(
        self,
        bucket: str,
        key: str,
        data: Data,
        *,
        callback: Callback[UploadResult] | None = None,
        errback: Errback | None = None,
        **options: Unpack[UploadOptions],
    ) -> Handle[UploadResult]:
        """Call `Connection.upload` in this batch."""
        return self._scheduler.submit(
            VERBS["upload"], bucket, key, (bucket, key, data), options, callback, errback
        )

    def upload_file(
        self,
        bucket: str,
        key: str,
        path: str | bytes | os.PathLike[Any],
        *,
        callback: Callback[UploadResult] | None = None,
        errback: Errback | None = None,
        **options: Unpack[UploadFileOptions],
    ) -> Handle[UploadResult]:
        """Call `Connection.upload_file` in this batch."""
        return self._scheduler.submit(
            VERBS["upload_file"], bucket, key, (bucket, key, path), options, callback, errback
        )

    @overload
    def download(
        self,
        bucket: str,
        key: str,
        file: None = None,
        *,
        encoding: None = None,
        callback: Callback[bytes] | None = None,
        errback: Errback | None = None,
        **options: Unpack[DownloadOptions],
    ) -> Handle[bytes]: ...
    @overload
    def download(
        self,
        bucket: str,
        key: str,
        file: None = None,
        *,
        encoding: str,
        callback: Callback[str] | None = None,
        errback: Errback | None = None,
        **options: Unpack[DownloadOptions],
    ) -> Handle[str]: ...
    @overload
    def download(
        self,
        bucket: str,
        key: str,
        file: Target,
        *,
        encoding: str | None = None,
        callback: Callback[DownloadResult] | None = None,
        errback: Errback | None = None,
        **options: Unpack[DownloadOptions],
    ) -> Handle[DownloadResult]: ...
    def download(
        self,
        bucket: str,
        key: str,
        file: Target | None = None,
        *,
        encoding: str | None = None,
        callback: Callback[Any] | None = None,
        errback: Errback | None = None,
        **options: Unpack[DownloadOptions],
    ) -> Handle[Any]:
        """Call `Connection.download` in this batch."""
        given: Mapping[str, Any] = options
        if encoding is not None:
            given = {**options, "encoding": encoding}
        return self._scheduler.submit(
            VERBS["download"], bucket, key, (bucket, key, file), given, callback, errback
        )

    def download_file(
        self,
        bucket: str,
        key: str,
        path: str | bytes | os.PathLike[Any],
        *,
        callback: Callback[DownloadResult] | None = None,
        errback: Errback | None = None,
        **options: Unpack[DownloadFileOptions],
    ) -> Handle[DownloadResult]:
        """Call `Connection.download_file` in this batch."""
        return self._scheduler.submit(
            VERBS["download_file"], bucket, key, (bucket, key, path), options, callback, errback
        )

    def head(
        self,
        bucket: str,
        key: str,
        *,
        callback: Callback[HeadObjectResult] | None = None,
        errback: Errback | None = None,
        **options: Unpack[HeadOptions],
    ) -> Handle[HeadObjectResult]:
        """Call `Connection.head` in this batch."""
        return self._scheduler.submit(
            VERBS["head"], bucket, key, (bucket, key), options, callback, errback
        )

    def exists(
        self,
        bucket: str,
        key: str,
        *,
        callback: Callback[bool] | None = None,
        errback: Errback | None = None,
        **options: Unpack[ExistsOptions],
    ) -> Handle[bool]:
        """Call `Connection.exists` in this batch."""
        return self._scheduler.submit(
            VERBS["exists"], bucket, key, (bucket, key), options, callback, errback
        )

    def delete(
        self,
        bucket: str,
        key: str,
        *,
        callback: Callback[DeleteObjectResult] | None = None,
        errback: Errback | None = None,
        **options: Unpack[DeleteOptions],
    ) -> Handle[DeleteObjectResult]:
        """Call `Connection.delete` in this batch; `delete_many` takes far fewer requests for many keys."""
        return self._scheduler.submit(
            VERBS["delete"], bucket, key, (bucket, key), options, callback, errback
        )

    def delete_many(
        self,
        bucket: str,
        keys: Iterable[str | tuple[str, str | None] | ObjectInfo | ObjectVersionInfo],
        *,
        callback: Callback[int] | None = None,
        errback: Errback | None = None,
        **options: Unpack[DeleteManyOptions],
    ) -> Handle[int]:
        """Call `Connection.delete_many` in this batch, as one call; an iterator is read while it runs."""
        if type(keys) is list:
            keys = keys.copy()
        return self._scheduler.submit(
            VERBS["delete_many"], bucket, None, (bucket, keys), options, callback, errback
        )

    def copy(
        self,
        bucket: str,
        key: str,
        *,
        callback: Callback[CopyObjectResult] | None = None,
        errback: Errback | None = None,
        **options: Unpack[CopyOptions],
    ) -> Handle[CopyObjectResult]:
        """Call `Connection.copy` in this batch."""
        return self._scheduler.submit(
            VERBS["copy"], bucket, key, (bucket, key), options, callback, errback
        )

    def move(
        self,
        bucket: str,
        key: str,
        *,
        callback: Callback[CopyObjectResult] | None = None,
        errback: Errback | None = None,
        **options: Unpack[CopyOptions],
    ) -> Handle[CopyObjectResult]:
        """Call `Connection.move` in this batch."""
        return self._scheduler.submit(
            VERBS["move"], bucket, key, (bucket, key), options, callback, errback
        )

    def rename(
        self,
        bucket: str,
        key: str,
        *,
        callback: Callback[None] | None = None,
        errback: Errback | None = None,
        **options: Unpack[RenameOptions],
    ) -> Handle[None]:
        """Call `Connection.rename` in this batch."""
        return self._scheduler.submit(
            VERBS["rename"], bucket, key, (bucket, key), options, callback, errback
        )

    def delete_prefix(
        self,
        bucket: str,
        prefix: str,
        *,
        callback: Callback[int] | None = None,
        errback: Errback | None = None,
        **options: Unpack[DeletePrefixOptions],
    ) -> Handle[int]:
        """Call `Connection.delete_prefix` in this batch."""
        return self._scheduler.submit(
            VERBS["delete_prefix"], bucket, None, (bucket, prefix), options, callback, errback
        )

    def undelete(
        self,
        bucket: str,
        key: str,
        *,
        callback: Callback[ObjectVersionInfo] | None = None,
        errback: Errback | None = None,
        **options: Unpack[UndeleteOptions],
    ) -> Handle[ObjectVersionInfo]:
        """Call `Connection.undelete` in this batch."""
        return self._scheduler.submit(
            VERBS["undelete"], bucket, key, (bucket, key), options, callback, errback
        )

    def tags(
        self,
        bucket: str,
        key: str,
        *,
        callback: Callback[dict[str, str]] | None = None,
        errback: Errback | None = None,
        **options: Unpack[TagsOptions],
    ) -> Handle[dict[str, str]]:
        """Call `Connection.tags` in this batch."""
        return self._scheduler.submit(
            VERBS["tags"], bucket, key, (bucket, key), options, callback, errback
        )

    def set_tags(
        self,
        bucket: str,
        key: str,
        tags: Mapping[str, str],
        *,
        callback: Callback[None] | None = None,
        errback: Errback | None = None,
        **options: Unpack[SetTagsOptions],
    ) -> Handle[None]:
        """Call `Connection.set_tags` in this batch."""
        if type(tags) is dict:
            tags = tags.copy()
        return self._scheduler.submit(
            VERBS["set_tags"], bucket, key, (bucket, key, tags), options, callback, errback
        )

    def create_bucket(
        self,
        bucket: str,
        *,
        callback: Callback[None] | None = None,
        errback: Errback | None = None,
        **options: Unpack[CreateBucketOptions],
    ) -> Handle[None]:
        """Call `Connection.create_bucket` in this batch."""
        return self._scheduler.submit(
            VERBS["create_bucket"], bucket, None, (bucket,), options, callback, errback
        )

    def delete_bucket(
        self,
        bucket: str,
        *,
        callback: Callback[None] | None = None,
        errback: Errback | None = None,
        **options: Unpack[DeleteBucketOptions],
    ) -> Handle[None]:
        """Call `Connection.delete_bucket` in this batch."""
        return self._scheduler.submit(
            VERBS["delete_bucket"], bucket, None, (bucket,), options, callback, errback
        )

    def head_bucket(
        self,
        bucket: str,
        *,
        callback: Callback[BucketInfo] | None = None,
        errback: Errback | None = None,
        **options: Unpack[HeadBucketOptions],
    ) -> Handle[BucketInfo]:
        """Call `Connection.head_bucket` in this batch."""
        return self._scheduler.submit(
            VERBS["head_bucket"], bucket, None, (bucket,), options, callback, errback
        )

    def call(
        self,
        operation: str,
        /,
        *args: Any,
        callback: Callback[Any] | None = None,
        errback: Errback | None = None,
        **kwargs: Any,
    ) -> Handle[Any]:
        """Call any method of the low-level client `conn.conn` in this batch, by its name.

        ```python
        batch.call("abort_multipart_upload", "bucket", "key", upload_id=upload_id)
        ```

        A body that is streamed belongs to the call: `get_object` reads it at once; with `stream=True` the
        callback has to read it, and it is closed when the callback returns.

        Args:
            operation: Name of the method, as "put_object_tagging".
            *args: Positional arguments of the method.
            callback: Called with the result when the call has succeeded.
            errback: Called with the exception when the call has failed, which then counts as handled.
            **kwargs: Keyword arguments of the method.

        Returns:
            Handle: The call. `get()` waits for it, and raises its exception or returns its result.

        Raises:
            ConfigError: The client has no method of that name, or it returns an iterator.
            TypeError: The method does not take these arguments.
        """
        if not isinstance(operation, str):
            raise ConfigError(f"operation must be a str, not {type(operation).__name__}")
        client: Any = type(self._scheduler.connection.client)
        target = _find_operation(client, operation)
        named = target.signature.bind(None, *args, **kwargs).arguments
        if "stream" in target.signature.parameters:
            if not named.get("stream", False):
                kwargs["stream"] = False
            elif callback is None:
                raise ConfigError("stream=True needs a callback, which reads the body")
            else:
                callback = _closing_body(callback)
        return self._scheduler.submit(
            target, named.get("bucket"), named.get("key"), args, kwargs, callback, errback
        )


@lru_cache(maxsize=1024)
def _find_operation(client: type, operation: str) -> Operation:
    """The public method of that name."""
    method = None if operation.startswith("_") else getattr(client, operation, None)
    if not inspect.isroutine(method):
        names = [
            name
            for name in dir(client)
            if not name.startswith("_") and inspect.isroutine(getattr(client, name))
        ]
        close = _get_close_matches(operation, names, 1, 0.3)
        hint = f": did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"the client has no operation {operation!r}{hint}")
    if inspect.isgeneratorfunction(method):
        raise ConfigError(
            f"{operation} returns an iterator, whose requests would be made outside of the call"
        )
    return Operation(operation, inspect.signature(method))


def _get_close_matches(
    name: str, names: Iterable[str], count: int, cutoff: float = 0.6
) -> list[str]:
    # Loaded only for a mistake.
    from difflib import get_close_matches

    return get_close_matches(name, list(names), count, cutoff)


def _closing_body(callback: Callback[Any]) -> Callback[Any]:
    """A callback that closes the body of the result when `callback` has returned."""

    def call_and_close(result: Any) -> None:
        try:
            callback(result)
        finally:
            result.body.close()

    return call_and_close


#: Lines for the section "Args:" of a verb's docstring.
_CALLBACK_ARGUMENTS = (
    "    callback: Called with the result when the call has succeeded.",
    "    errback: Called with the exception when the call has failed, which then counts as handled.",
)
#: Line for the section "Returns:", before those of the method.
_RETURNS_HANDLE = (
    "    Handle: The call. `get()` waits for it, and raises its exception or returns its result{}"
)


def adopt_signatures(connection: type) -> None:
    """Give the verbs the signatures and docstrings of Connection's methods, for `help` and editors."""
    for verb in VERBS:
        method = getattr(Verbs, verb)
        original = getattr(connection, verb)
        own = inspect.signature(method)
        parameters = []
        for parameter in inspect.signature(original).parameters.values():
            if parameter.name not in own.parameters or parameter.name in VERBS[verb].options:
                parameter = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            parameters.append(parameter)
        parameters += [own.parameters[name] for name in ("callback", "errback")]
        method.__signature__ = own.replace(parameters=parameters)
        if method.__doc__ and original.__doc__:
            method.__doc__ = f"{method.__doc__}\n\n{_of_call(original.__doc__)}"


def _of_call(docstring: str) -> str:
    """A method's docstring with the arguments and the result that its verb has."""
    # Sections begin with a header line, which has the indentation, and end with an empty line.
    before, _, rest = docstring.partition("Args:\n")
    indent = before[before.rindex("\n") + 1 :]
    added = "".join(f"\n{indent}{line}" for line in _CALLBACK_ARGUMENTS)
    arguments, _, rest = rest.partition("\n\n")
    returns = f"{indent}Returns:\n{indent}{_RETURNS_HANDLE}"
    if rest.startswith(f"{indent}Returns:\n"):
        rest = f"{returns.format(':')}\n{rest.partition(chr(10))[2]}"
    else:
        rest = f"{returns.format(', None.')}\n\n{rest}"
    return f"{indent}{before.strip()}\n\n{indent}Args:\n{arguments}{added}\n\n{rest}"
