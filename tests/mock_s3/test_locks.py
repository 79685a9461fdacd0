"""Object locks: what S3 refuses of their documents and headers, with which code and argument."""

from __future__ import annotations

from typing import Any

import pytest

FUTURE = "2090-01-01T00:00:00Z"


@pytest.fixture
def locked(send: Any) -> str:
    header = {"x-amz-bucket-object-lock-enabled": "true"}
    assert send("PUT", "/locked", b"", header).status == 200
    assert send("PUT", "/locked/key", b"body").status == 200
    return "/locked/key"


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status, answer.body.decode().partition("<Code>")[2].partition("<")[0]


@pytest.mark.parametrize("subresource", ["retention", "legal-hold"])
def test_a_lock_without_a_document_is_refused(send, locked, subresource):
    answer = send("PUT", f"{locked}?{subresource}", b"")
    assert code_of(answer) == (400, "MissingRequestBodyError")


@pytest.mark.parametrize(
    ("subresource", "body"),
    [
        ("retention", "<Retention><Mode>GOVERNANCE</Mode></Retention>"),
        ("retention", f"<Retention><RetainUntilDate>{FUTURE}</RetainUntilDate></Retention>"),
        (
            "retention",
            f"<Retention><Mode>BAD</Mode><RetainUntilDate>{FUTURE}</RetainUntilDate></Retention>",
        ),
        (
            "retention",
            "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>soon</RetainUntilDate></Retention>",
        ),
        ("retention", "<Retention><Novelty/></Retention>"),
        ("legal-hold", "<LegalHold/>"),
        ("legal-hold", "<LegalHold><Status>MAYBE</Status></LegalHold>"),
    ],
)
def test_lock_documents_without_their_elements_are_malformed(send, locked, subresource, body):
    answer = send("PUT", f"{locked}?{subresource}", body.encode())
    assert code_of(answer) == (400, "MalformedXML")


def rule(inner: str) -> str:
    return (
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
        f"<Rule>{inner}</Rule></ObjectLockConfiguration>"
    )


@pytest.mark.parametrize(
    "body",
    [
        "<ObjectLockConfiguration/>",
        "<ObjectLockConfiguration><ObjectLockEnabled>On</ObjectLockEnabled></ObjectLockConfiguration>",
        rule(""),
        rule("<DefaultRetention/>"),
        rule("<DefaultRetention><Mode>GOVERNANCE</Mode></DefaultRetention>"),
        rule("<DefaultRetention><Mode>BAD</Mode><Days>1</Days></DefaultRetention>"),
        rule("<DefaultRetention><Mode>GOVERNANCE</Mode><Days>one</Days></DefaultRetention>"),
        rule(
            "<DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"
            "</DefaultRetention>"
        ),
    ],
)
@pytest.mark.usefixtures("locked")
def test_lock_configurations_without_their_elements_are_malformed(send, body):
    assert code_of(send("PUT", "/locked?object-lock", body.encode())) == (400, "MalformedXML")


@pytest.mark.parametrize(
    ("target", "body"),
    [
        (
            "/locked?object-lock",
            rule(
                "<DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days>"
                "<DefaultEventHold><Days>1</Days></DefaultEventHold></DefaultRetention>"
            ),
        ),
        ("/locked/key?retention", "<Retention><EventHold>ON</EventHold></Retention>"),
    ],
)
@pytest.mark.usefixtures("locked")
def test_event_holds_say_that_they_are_not_implemented(send, target, body):
    answer = send("PUT", target, body.encode())
    assert code_of(answer) == (501, "NotImplemented")
    assert b"EventHold is not implemented" in answer.body


@pytest.mark.parametrize(
    ("headers", "message", "argument"),
    [
        (
            {"x-amz-object-lock-retain-until-date": FUTURE},
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
            "x-amz-object-lock-mode",
        ),
        (
            {"x-amz-object-lock-mode": "GOVERNANCE"},
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
            "x-amz-object-lock-retain-until-date",
        ),
        (
            {
                "x-amz-object-lock-mode": "BAD-VALUE",
                "x-amz-object-lock-retain-until-date": FUTURE,
            },
            "Unknown wormMode directive.",
            "x-amz-object-lock-mode",
        ),
        (
            {
                "x-amz-object-lock-mode": "GOVERNANCE",
                "x-amz-object-lock-retain-until-date": "2020-01-01",
            },
            "The retain until date must be in the future!",
            "x-amz-object-lock-retain-until-date",
        ),
        (
            {"x-amz-object-lock-legal-hold": "MAYBE"},
            "Legal Hold must be either of",
            "x-amz-object-lock-legal-hold",
        ),
    ],
)
@pytest.mark.usefixtures("locked")
def test_wrong_lock_headers_are_named(send, headers, message, argument):
    for method, target in (("PUT", "/locked/new"), ("POST", "/locked/new?uploads")):
        answer = send(method, target, b"", headers)
        assert code_of(answer) == (400, "InvalidArgument")
        text = answer.body.decode()
        assert f"<Message>{message}" in text
        assert f"<ArgumentName>{argument}</ArgumentName>" in text
