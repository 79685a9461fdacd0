"""What stands for a request's body in its signature.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

from hashlib import sha256

from s3po.messages import Body, BytesLike

#: In place of a hash: the signature says nothing of the body.
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

#: Bytes between two chances for other greenlets: half a millisecond's work, or two and a half for
#: a processor that has no instructions for SHA-256.
_CHUNK = 1024 * 1024


def payload_hash(body: BytesLike | Body) -> str:
    """The SHA-256 of `body` in hex. A `Body` is left at its start, ready to be sent."""
    hasher = _Hasher()
    if isinstance(body, (bytes, bytearray, memoryview)):
        hasher.update(body)
        return hasher.hexdigest()
    # A body that counts its progress can be hashed without moving.
    digest = getattr(body, "digest", None)
    if digest is not None:
        digest(hasher.update)
        return hasher.hexdigest()
    while chunk := body.read(_CHUNK):
        hasher.update(chunk)
    body.rewind()
    return hasher.hexdigest()


class _Hasher:
    """SHA-256 that gives other greenlets their turn."""

    __slots__ = ("_hash", "hexdigest")

    def __init__(self) -> None:
        self._hash = sha256()
        self.hexdigest = self._hash.hexdigest

    def update(self, data: BytesLike) -> None:
        with memoryview(data) as view:
            if view.nbytes < _CHUNK:
                self._hash.update(view)
                return
            # Here, so that signing small things does not load it.
            import gevent

            with view.cast("B") as flat:
                for start in range(0, len(flat), _CHUNK):
                    self._hash.update(flat[start : start + _CHUNK])
                    gevent.sleep(0)
