"""`ClusterBatch`: the interface of Batch, with calls that the workers of a Dask cluster perform."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TextIO

from s3po.batch import Batch, Handle
from s3po.batch.display import open_display
from s3po.batch.handle import Callback, Errback
from s3po.batch.scheduler import BatchConnection
from s3po.cluster.scheduler import ClusterScheduler
from s3po.cluster.worker import Function, dump, map_prefix
from s3po.errors import ConfigError
from s3po.log import SecretBytes
from s3po.stats import BatchStats

#: Keys that one task of `delete_many` deletes.
_KEYS_PER_CALL = 1000


class ClusterBatch(Batch):
    """Many calls at once on a Dask cluster: `conn.batch(50, cluster=client)`.

    ```python
    with conn.batch(50, cluster="tcp://scheduler:8786") as batch:
        for info in conn.list("bucket", "old/"):
            batch.move("bucket", f"new/{info.key[4:]}", source_key=info.key)
    ```

    Verbs, handles, callbacks, `stats`, `progress`, `results` and the BatchError are those of `Batch`. A
    worker performs as many tasks at once as it has threads. Callbacks run in the thread of the batch,
    which waits in the verbs while the cluster is busy.

    Each worker process makes one Connection with the settings of this one: keys that were given to it are
    sent along, otherwise each worker finds its own. Data are sent with their calls (bytes and str, not
    files); `upload_file`, `download_file` and paths name files on the worker's machine.

    Dask repeats a task whose worker dies. A repeated call may find the result of its first run: `move`
    and conditional writes succeed if the object is theirs, and raise OutcomeUnknown if that cannot be
    determined. Running calls raise OutcomeUnknown when the scheduler is lost.

    Args:
        connection: Connection whose settings the workers get. It must pickle, and no mock may be on.
        cluster: `dask.distributed.Client`, or the address of a scheduler ("tcp://host:8786").
        poolsize: Number of requests in flight at most, of each task.
        raise_errors: True (the default) raises a BatchError at the end of the block where calls failed and
            their failure was not handled; False leaves them to `failures`.
        collect: True keeps the results of all calls for `results()`; else handles alone keep them.
        progress: Callable that gets `stats` whenever a call has finished; True shows a bar where stderr is
            a terminal; a text file gets the bar in any case.

    Raises:
        ConfigError: An argument is wrong, the extra `s3po[dask]` is missing, or no scheduler answers.
    """

    __slots__ = ("_client", "_cluster", "_owns_client", "_settings")

    def __init__(
        self,
        connection: BatchConnection,
        cluster: Any,
        poolsize: int = 50,
        *,
        raise_errors: bool = True,
        collect: bool = False,
        progress: Callable[[BatchStats], object] | TextIO | bool | None = None,
    ) -> None:
        super().__init__(
            connection, poolsize, raise_errors=raise_errors, collect=collect, progress=progress
        )
        if getattr(connection, "_mocks", None):
            raise ConfigError(
                "a mock is known to this process alone: workers reach one by the endpoint_url of "
                "`python -m s3po.mock` or of MockS3().serve()"
            )
        if not isinstance(cluster, str) and not hasattr(cluster, "submit"):
            raise ConfigError(
                "cluster must be a dask.distributed.Client or an address, "
                f"not {type(cluster).__name__}"
            )
        if getattr(cluster, "asynchronous", False):
            raise ConfigError("cluster must be a Client that is not asynchronous")
        try:
            settings = pickle.dumps(connection)
            if b"__main__" in settings:
                settings = dump(connection)
            self._settings: bytes = SecretBytes(settings)
        except Exception as error:
            raise ConfigError(
                f"the settings of this connection cannot be sent to workers: {error}"
            ) from None
        self._cluster = cluster
        self._client: Any = None
        self._owns_client = False

    def __enter__(self) -> Self:
        if self._entered:
            raise ConfigError("the batch is already active: make another with conn.batch()")
        client = self._cluster
        if isinstance(client, str):
            client = _connect(client)
            self._owns_client = True
        self._client = client
        self._scheduler = ClusterScheduler(
            self._connection,
            self.poolsize,
            client=client,
            settings=self._settings,
            collect=self._collect,
            display=open_display(self._progress),
        )
        self._scheduler.open()
        self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            return super().__exit__(kind, error, traceback)
        finally:
            client, self._client = self._client, None
            if self._owns_client and client is not None:
                self._owns_client = False
                client.close()

    def _stop(self) -> None:
        self._scheduler.cancel()

    def delete_many(
        self,
        bucket: str,
        keys: Iterable[Any],
        *,
        callback: Callback[int] | None = None,
        errback: Errback | None = None,
        **options: Any,
    ) -> Handle[int]:
        """Call `Connection.delete_many` on the cluster, 1,000 keys a call, with one handle for all.

        Args:
            bucket: Name of the bucket, or the ARN of an access point.
            keys: Items as `Connection.delete_many` takes them; all are read before this returns.
            callback: Called with the number of items when all have been deleted.
            errback: Called with the exception when the call has failed, which then counts as handled.
            **options: Keyword arguments of `Connection.delete_many`.

        Returns:
            Handle: The call. `get()` waits for it, and raises its exception or returns the number of items.
        """
        scheduler = self._scheduler
        assert isinstance(scheduler, ClusterScheduler)
        return scheduler.submit_parts(
            "delete_many", bucket, _pieces(keys, _KEYS_PER_CALL), options, callback, errback
        )

    def map(
        self,
        function: Callable[..., Any],
        keys: Iterable[Any],
        *,
        callback: Callback[Any] | None = None,
        errback: Errback | None = None,
    ) -> list[Handle[Any]]:
        """Call `function(connection, key)` on a worker for each of `keys`, with the worker's Connection.

        Args:
            function: Function that pickles, and whose results and exceptions do; also one of the program
                itself, or a lambda. It runs in a greenlet beside `poolsize` others, so that it should wait in
                s3po or gevent.
            keys: Second arguments of the function; anything that pickles.
            callback: Called with the result of each call that has succeeded.
            errback: Called with the exception of each call that has failed.

        Returns:
            list: Handles in the order of `keys`.

        Raises:
            ConfigError: `function` is not callable.
        """
        if not callable(function):
            raise ConfigError(f"function must be callable, not {type(function).__name__}")
        target = Function("map", function)
        return [
            self._scheduler.submit(target, None, key, (key,), {}, callback, errback) for key in keys
        ]

    def map_prefix(
        self,
        function: Callable[..., Any],
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str = "/",
        callback: Callback[int] | None = None,
        errback: Errback | None = None,
    ) -> list[Handle[int]]:
        """Call `function(connection, info)` on a worker for each object below a prefix; the workers list them.

        Each folder directly below the prefix is one call, which lists it and calls the function; the objects
        beside the folders are one more. Failures of the function are a BatchError of their call.

        Args:
            function: Function that pickles; it gets a Connection and an ObjectInfo.
            bucket: Name of the bucket, or the ARN of an access point.
            prefix: Prefix of the keys; all objects unless given.
            delimiter: Character, or text, that ends a folder's name.
            callback: Called with the number of objects of each call that has succeeded.
            errback: Called with the exception of each call that has failed.

        Returns:
            list: Handles of the calls; their results are numbers of objects.

        Raises:
            ConfigError: `function` is not callable.
            S3Error: The store refused the listing of the folders.
        """
        if not callable(function):
            raise ConfigError(f"function must be callable, not {type(function).__name__}")
        connection: Any = self._connection
        target = Function("map", _MapPrefix(function, self.poolsize))
        places: list[tuple[str, str | None]] = [(prefix, delimiter)]
        places += [
            (each, None) for each in connection.list_prefixes(bucket, prefix, delimiter=delimiter)
        ]
        return [
            self._scheduler.submit(
                target, bucket, name, ((bucket, name, only),), {}, callback, errback
            )
            for name, only in places
        ]


class _MapPrefix:
    """A function for `map` that lists a prefix."""

    def __init__(self, function: Callable[..., Any], poolsize: int) -> None:
        self.function = function
        self.poolsize = poolsize

    def __call__(self, connection: Any, place: tuple[str, str, str | None]) -> int:
        bucket, prefix, delimiter = place
        return map_prefix(connection, self.function, bucket, prefix, delimiter, self.poolsize)


def _pieces(keys: Iterable[Any], size: int) -> Iterable[list[Any]]:
    if isinstance(keys, (str, bytes, os.PathLike)):
        raise ConfigError("keys must be an iterable of keys, not one of them")
    piece: list[Any] = []
    for key in keys:
        piece.append(key)
        if len(piece) == size:
            yield piece
            piece = []
    if piece:
        yield piece


def _connect(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            "a batch on a cluster needs dask.distributed: pip install s3po[dask]"
        ) from None
    try:
        return Client(address, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"no Dask scheduler responds at {address}: {error}") from error
