"""ECDSA on P-256 with SHA-256, as far as a proof of possession needs it.

https://csrc.nist.gov/pubs/fips/186-5/final, https://www.rfc-editor.org/rfc/rfc6979

Python has none, and a library for one signature in a quarter of an hour would be the largest
dependency of all. It takes some milliseconds, and its time depends on the key: it signs requests to
AWS Sign-In on the user's own machine, and is for nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterator
from hashlib import sha256

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_OID = bytes.fromhex("06082a8648ce3d030107")

_Point = tuple[int, int, int]


class PrivateKey:
    """A private key, which is not in its repr."""

    __slots__ = ("_secret", "public")

    def __init__(self, secret: int) -> None:
        if not 0 < secret < _N:
            raise ValueError("out of range")
        self._secret = secret
        #: The coordinates of the public key.
        self.public = _affine(_multiply(secret, (*_G, 1)))

    @classmethod
    def from_pem(cls, text: str) -> PrivateKey:
        """A key in PEM, of SEC 1 (`EC PRIVATE KEY`) or PKCS #8. Raises ValueError."""
        lines = [line.strip() for line in text.splitlines() if not line.startswith("-----")]
        try:
            data = base64.b64decode("".join(lines), validate=True)
        except binascii.Error as error:
            raise ValueError("not base64") from error
        return cls(_secret_of(data))

    def sign(self, message: bytes) -> bytes:
        """The signature as two numbers of 32 bytes, as JSON Web Signatures have it."""
        digest = sha256(message).digest()
        e = int.from_bytes(digest) % _N
        for k in _nonces(self._secret, digest):
            r = _affine(_multiply(k, (*_G, 1)))[0] % _N
            s = pow(k, -1, _N) * (e + r * self._secret) % _N
            if r and s:
                return r.to_bytes(32) + s.to_bytes(32)
        raise AssertionError("there is always a next one")

    def __repr__(self) -> str:
        return "<PrivateKey P-256>"


def _nonces(secret: int, digest: bytes) -> Iterator[int]:
    """RFC 6979, section 3.2."""
    x = secret.to_bytes(32) + (int.from_bytes(digest) % _N).to_bytes(32)
    v, k = b"\x01" * 32, b"\x00" * 32

    def mac(key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, "sha256")

    for mark in (b"\x00", b"\x01"):
        k = mac(k, v + mark + x)
        v = mac(k, v)
    while True:
        v = mac(k, v)
        candidate = int.from_bytes(v)
        if 0 < candidate < _N:
            yield candidate
        k = mac(k, v + b"\x00")
        v = mac(k, v)


def _double(point: _Point) -> _Point:
    x, y, z = point
    if not y or not z:
        return 0, 1, 0
    a = 3 * (x - z * z) * (x + z * z) % _P
    b = 4 * x * y * y % _P
    x3 = (a * a - 2 * b) % _P
    return x3, (a * (b - x3) - 8 * y**4) % _P, 2 * y * z % _P


def _add(one: _Point, other: _Point) -> _Point:
    if not one[2]:
        return other
    if not other[2]:
        return one
    x1, y1, z1 = one
    x2, y2, z2 = other
    u1, u2 = x1 * z2 * z2 % _P, x2 * z1 * z1 % _P
    s1, s2 = y1 * z2**3 % _P, y2 * z1**3 % _P
    if u1 == u2:
        return _double(one) if s1 == s2 else (0, 1, 0)
    h, r = u2 - u1, s2 - s1
    h2 = h * h % _P
    h3 = h * h2 % _P
    x3 = (r * r - h3 - 2 * u1 * h2) % _P
    return x3, (r * (u1 * h2 - x3) - s1 * h3) % _P, h * z1 * z2 % _P


def _multiply(factor: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 0)
    # Always the same number of steps.
    for bit in range(255, -1, -1):
        result = _double(result)
        added = _add(result, point)
        if factor >> bit & 1:
            result = added
    return result


def _affine(point: _Point) -> tuple[int, int]:
    x, y, z = point
    inverse = pow(z, -1, _P)
    return x * inverse**2 % _P, y * inverse**3 % _P


def _read(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the DER element at the beginning, and what follows it. Raises ValueError."""
    if len(data) < 2 or data[0] != tag:
        raise ValueError("not the DER of a key")
    length, start = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= 2:
            raise ValueError("not the DER of a key")
        length, start = int.from_bytes(data[2 : 2 + count]), 2 + count
    if len(data) < start + length:
        raise ValueError("not the DER of a key")
    return data[start : start + length], data[start + length :]


def _secret_of(data: bytes) -> int:
    if _OID not in data:
        raise ValueError("not of P-256")
    content, _ = _read(data, 0x30)
    version, rest = _read(content, 0x02)
    if version == b"\x00":
        # PKCS #8: the algorithm, then SEC 1 within an octet string.
        _, rest = _read(rest, 0x30)
        inner, _ = _read(rest, 0x04)
        content, _ = _read(inner, 0x30)
        version, rest = _read(content, 0x02)
    if version != b"\x01":
        raise ValueError("not the DER of a key")
    secret, _ = _read(rest, 0x04)
    return int.from_bytes(secret)
