"""XML: what is refused, what is carried through, and that writing and reading agree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3po import xml
from s3po.errors import ConfigError, MalformedResponse

legal_text = st.text(st.characters(exclude_categories=["Cs"])).filter(xml.can_carry)
any_text = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=150, derandomize=True)
@given(legal_text)
def test_what_is_written_is_read_back(text: str) -> None:
    root = xml.parse(xml.document("Delete", xml.element("Key", text)), "Delete")
    assert root.findtext("Key") == text


@settings(max_examples=150, derandomize=True)
@given(any_text)
def test_characters_that_xml_cannot_carry_are_read_all_the_same(text: str) -> None:
    # As stores write them: references for what is special, the rest as it is.
    written = "".join(
        f"&#x{ord(letter):x};" if ord(letter) < 0x20 or letter in "<&>" else letter
        for letter in text
    )
    root = xml.parse(f"<R><Key>{written}</Key><UploadId>u</UploadId></R>".encode(), "R")
    assert root.findtext("Key") == text
    assert root.findtext("UploadId") == "u"


@pytest.mark.parametrize("letter", ["\x00", "\x01", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_raw_characters_that_xml_cannot_carry_are_read(letter: str) -> None:
    content = f"<R><Key>a{letter}b \U000f0000</Key></R>".encode()
    assert xml.parse(content, "R").findtext("Key") == f"a{letter}b \U000f0000"


def test_private_use_characters_are_not_taken_for_stand_ins() -> None:
    content = "<R><Key>&#1;\U000f0000&#xF0001;&#x2;</Key></R>".encode()
    assert xml.parse(content, "R").findtext("Key") == "\x01\U000f0000\U000f0001\x02"


@pytest.mark.parametrize("letter", ["\x00", "\x01", "\x0b", "\x1f", "\ufffe", "\uffff", "\ud800"])
def test_writing_what_xml_cannot_carry_is_refused(letter: str) -> None:
    assert not xml.can_carry(f"a{letter}")
    with pytest.raises(ConfigError, match=rf"U\+{ord(letter):04X}"):
        xml.escape(f"a{letter}")


def test_line_ends_and_tabs_are_written_as_references() -> None:
    assert xml.escape("a\r\n\tb<>&\"'") == "a&#13;&#10;&#9;b&lt;&gt;&amp;&quot;'"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "an empty response in place of <A>"),
        (b"", "an empty response"),
        (b" \r\n ", "an empty response"),
        (b"<html><body>Bad Gateway</body></html>", "<html> in place of <A>"),
        (b"<!doctype html><html><br></html>", "no XML in place of <A>"),
        (b"<A><B></A>", "no XML"),
        (b"<A>", "no XML"),
        (b"<A/><A/>", "no XML"),
        (b"\xff\xfe\x00garbage", "no XML"),
        (b"<A>\xff</A>", "no XML"),
        (b"{}", "no XML"),
        (b"<A>&unknown;</A>", "no XML"),
        (b"<A>&#x1;<B></A>", "no XML"),
        (b"<A>" * 100 + b"</A>" * 100, "nested too deeply"),
        (b"<A>&#x110000;</A>", "no XML"),
        (b"<A>&#xD800;</A>", None),
    ],
)
def test_what_is_not_the_document_that_was_due(content: bytes | None, said: str | None) -> None:
    if said is None:
        # A lone surrogate, kept apart from all other text: it can be seen but not sent.
        assert xml.parse(content, "A").text == "\ud800"
        return
    with pytest.raises(MalformedResponse, match=said):
        xml.parse(content, "A")


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE A [<!ENTITY x "y">]><A>&x;</A>',
        b"<!DOCTYPE A><A/>",
        b'<!DOCTYPE A SYSTEM "http://127.0.0.1:1/x"><A/>',
        b'<?xml version="1.0"?><!DOCTYPE A [<!ENTITY a "&#1;"><!ENTITY b "&a;&a;">]><A>&b;&#1;</A>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE A [<!ENTITY x "y">]><A>&x;</A>'.encode(
            "utf-16"
        ),
    ],
)
def test_a_doctype_is_refused(content: bytes) -> None:
    with pytest.raises(MalformedResponse, match="DOCTYPE"):
        xml.parse(content, "A")


def test_namespaces_prefixes_and_white_space_do_not_matter() -> None:
    for content in (
        b'<A xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><B><C>1</C></B></A>',
        b'<?xml version="1.0" encoding="UTF-8"?>\n<A>\n  <B>\n    <C>1</C>\n  </B>\n</A>\n',
        b'\n\n  <?xml version="1.0"?><s:A xmlns:s="urn:x"><s:B><s:C>1</s:C></s:B></s:A>',
        b"<A><!-- a comment --><B><C><![CDATA[1]]></C></B></A>",
    ):
        root = xml.parse(content, "A")
        assert root.findtext("B/C") == "1"
        assert root.find("B/D") is None
        assert root.findtext("B/D", "none") == "none"


def test_what_must_be_there_is_named_when_it_is_not() -> None:
    root = xml.parse(b"<A><B/></A>", "A")
    with pytest.raises(MalformedResponse, match="<A> has no <B>"):
        root.required("B")


@settings(max_examples=200, derandomize=True)
@given(st.binary(max_size=60) | st.text("<>/&;ab!-[]x1#\x01", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        xml.parse(content)
    except MalformedResponse:
        pass
