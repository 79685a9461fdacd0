"""Website configurations: checked and stored; nothing is served as a website.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html
"""

from __future__ import annotations

from s3po.mock.answers import S3Failure
from s3po.mock.document import Node
from s3po.mock.schema import Schema, check, some_text, text

_SCHEMA: Schema = {
    "RedirectAllRequestsTo?": {"HostName": some_text, "Protocol?": text},
    "IndexDocument?": {"Suffix": text},
    "ErrorDocument?": {"Key": some_text},
    "RoutingRules?": {
        "RoutingRule+": {
            "Condition?": {"HttpErrorCodeReturnedEquals?": text, "KeyPrefixEquals?": text},
            "Redirect": {
                "HostName?": text,
                "HttpRedirectCode?": text,
                "Protocol?": text,
                "ReplaceKeyPrefixWith?": text,
                "ReplaceKeyWith?": text,
            },
        }
    },
}
MAX_RULES = 50


def _argument(message: str, name: str, value: str) -> S3Failure:
    return S3Failure("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)


def _check_protocol(node: Node) -> None:
    if (node.get("Protocol") or "http") not in ("http", "https"):
        raise S3Failure(
            "InvalidRequest",
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be "
            "selected automatically.",
        )


def check_website(root: Node) -> None:
    check(root, _SCHEMA)
    redirect = root.find("RedirectAllRequestsTo")
    if redirect is not None:
        if len(root.children) > 1:
            raise _argument(
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
                "RedirectAllRequestsTo",
                "not null",
            )
        _check_protocol(redirect)
        return
    index = root.find("IndexDocument")
    if index is None:
        raise _argument(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            "IndexDocument",
            "null",
        )
    suffix = index.need("Suffix")
    if not suffix or "/" in suffix:
        raise _argument("The IndexDocument Suffix is not well formed", "IndexDocument", suffix)
    listed = root.find("RoutingRules")
    rules = list(listed.all("RoutingRule")) if listed is not None else []
    if len(rules) > MAX_RULES:
        raise S3Failure(
            "InvalidRequest",
            f"{len(rules)} routing rules provided, the number of routing rules in a website "
            f"configuration is limited to {MAX_RULES}.",
        )
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: Node) -> None:
    condition, redirect = rule.find("Condition"), rule.find("Redirect")
    if redirect is None or not redirect.children:
        raise S3Failure("MalformedXML")
    if redirect.find("ReplaceKeyPrefixWith") is not None and redirect.find("ReplaceKeyWith"):
        raise S3Failure(
            "InvalidRequest", "You can only define ReplaceKeyPrefix or ReplaceKey but not both."
        )
    if condition is not None and not condition.children:
        raise S3Failure(
            "InvalidRequest",
            "Condition cannot be empty. To redirect all requests without a condition, the condition "
            "element shouldn't be present.",
        )
    _check_protocol(redirect)
    code = redirect.get("HttpRedirectCode")
    if code is not None and not (len(code) == 3 and code[0] == "3" and code[1:].isdigit()):
        raise S3Failure(
            "InvalidRequest",
            f"The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except 300.",
        )
    error = condition.get("HttpErrorCodeReturnedEquals") if condition is not None else None
    if error is not None and not (len(error) == 3 and error[0] in "45" and error[1:].isdigit()):
        raise S3Failure(
            "InvalidRequest",
            f"The provided HTTP error code ({error}) is not valid. Valid codes are 4XX or 5XX.",
        )
