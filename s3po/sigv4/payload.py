"""What stands for a request's body in its signature.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from s3po.messages import Body, BytesLike

#: In place of a hash: the signature says nothing of the body.
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

#: Bytes between two chances for other greenlets: half a millisecond's work, or two and a half for
#: a processor that has no instructions for SHA-256.
_CHUNK = 1024 * 1024


def payload_hash(body: BytesLike | Body) -> str:
    """The SHA-256 of `body` in hex. A `Body` is read to its end and rewound, ready to be sent."""
    if not isinstance(body, (bytes, bytearray, memoryview)):
        digest = _hash_chunks(iter(lambda: body.read(_CHUNK), b""))
        body.rewind()
        return digest
    with memoryview(body) as view:
        if view.nbytes <= _CHUNK:
            return sha256(view).hexdigest()
        with view.cast("B") as flat:
            return _hash_chunks(
                flat[start : start + _CHUNK] for start in range(0, len(flat), _CHUNK)
            )


def _hash_chunks(chunks: Iterator[bytes | memoryview]) -> str:
    # Here, for to sign what has no large body must not load it.
    import gevent

    hasher = sha256()
    for index, chunk in enumerate(chunks):
        if index:
            gevent.sleep(0)
        hasher.update(chunk)
    return hasher.hexdigest()
