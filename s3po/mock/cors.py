"""CORS: rules, preflights, and the headers of responses to browsers (https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html)."""

from __future__ import annotations

from typing import NamedTuple

from s3po.mock.answers import Answer, Headers, S3Failure
from s3po.mock.document import Node
from s3po.mock.request import Request
from s3po.mock.schema import Schema, check, count, some_text, text

_SCHEMA: Schema = {
    "CORSRule+": {
        "ID?": text,
        "AllowedHeader*": some_text,
        "AllowedMethod+": text,
        "AllowedOrigin+": some_text,
        "ExposeHeader*": some_text,
        "MaxAgeSeconds?": count,
    }
}
_METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")


class CorsRule(NamedTuple):
    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    expose: tuple[str, ...]
    max_age: str | None


def _texts(node: Node, tag: str) -> tuple[str, ...]:
    return tuple(each.text.strip() for each in node.all(tag))


def _check_wildcards(rule: CorsRule) -> None:
    for kind, texts in (("AllowedOrigin", rule.origins), ("AllowedHeader", rule.headers)):
        for each in texts:
            if each.count("*") > 1:
                raise S3Failure(
                    "InvalidRequest", f'{kind} "{each}" can not have more than one wildcard.'
                )
    for each in rule.expose:
        if "*" in each:
            raise S3Failure(
                "InvalidRequest",
                f'ExposeHeader "{each}" contains wildcard. We currently do not support wildcard for '
                "ExposeHeader.",
            )


def parse_cors(root: Node) -> list[CorsRule]:
    """The rules of a CORSConfiguration; S3's error where one is wrong."""
    check(root, _SCHEMA)
    rules = []
    for node in root.all("CORSRule"):
        rule = CorsRule(
            _texts(node, "AllowedOrigin"),
            _texts(node, "AllowedMethod"),
            _texts(node, "AllowedHeader"),
            _texts(node, "ExposeHeader"),
            node.get("MaxAgeSeconds"),
        )
        for method in rule.methods:
            if method not in _METHODS:
                raise S3Failure(
                    "InvalidRequest",
                    f"Found unsupported HTTP method in CORS config. Unsupported method is {method}",
                )
        _check_wildcards(rule)
        if len(node.get("ID") or "") > 255:
            raise S3Failure("InvalidArgument", "ID length should not exceed allowed limit of 255")
        rules.append(rule)
    if len(rules) > 100:
        raise S3Failure("MalformedXML")
    return rules


def _matches(pattern: str, text: str) -> bool:
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == text
    return len(text) >= len(head) + len(tail) and text.startswith(head) and text.endswith(tail)


def _find(rules: list[CorsRule], origin: str, method: str, headers: list[str]) -> CorsRule | None:
    for rule in rules:
        if method not in rule.methods or not any(_matches(each, origin) for each in rule.origins):
            continue
        if all(any(_matches(each.lower(), header) for each in rule.headers) for header in headers):
            return rule
    return None


def _headers(rule: CorsRule, origin: str) -> Headers:
    wild = "*" in rule.origins
    headers: Headers = [
        ("Access-Control-Allow-Origin", "*" if wild else origin),
        ("Access-Control-Allow-Methods", ", ".join(rule.methods)),
    ]
    if rule.expose:
        headers.append(("Access-Control-Expose-Headers", ", ".join(rule.expose)))
    if rule.max_age is not None:
        headers.append(("Access-Control-Max-Age", rule.max_age))
    if not wild:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    headers.append(
        ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
    )
    return headers


def answer_headers(request: Request) -> Headers:
    """Headers that the response to a request with an Origin has besides."""
    bucket = request.app.store.buckets.get(request.bucket_name or "")
    rules = bucket.rules.get("cors") if bucket is not None else None
    if not rules:
        return []
    origin = request.headers["origin"]
    method = request.headers.get("access-control-request-method", request.method)
    rule = _find(rules, origin, method, [])
    return _headers(rule, origin) if rule is not None else []


def preflight(request: Request) -> Answer:
    headers = request.headers
    origin = headers.get("origin")
    method = headers.get("access-control-request-method")
    if origin is None:
        raise S3Failure("BadRequest", "Insufficient information. Origin request header needed.")
    if method is None:
        raise S3Failure("BadRequest", "Invalid Access-Control-Request-Method: null")
    asked = [
        each.strip().lower()
        for each in headers.get("access-control-request-headers", "").split(",")
        if each.strip()
    ]
    bucket = request.app.store.buckets.get(request.bucket_name or "")
    rules = bucket.rules.get("cors") if bucket is not None else None
    if not rules:
        raise S3Failure(
            "AccessForbidden",
            "CORSResponse: CORS is not enabled for this bucket.",
            Method=method,
            ResourceType="OBJECT" if request.key is not None else "BUCKET",
        )
    rule = _find(rules, origin, method, asked)
    if rule is None:
        raise S3Failure(
            "AccessForbidden",
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution "
            "of Origin, request method / Access-Control-Request-Method or "
            "Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
            Method=method,
            ResourceType="OBJECT" if request.key is not None else "BUCKET",
        )
    answer = _headers(rule, origin)
    if asked:
        answer.append(("Access-Control-Allow-Headers", ", ".join(asked)))
    return Answer(200, answer)
