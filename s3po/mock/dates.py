"""Dates as S3 reads and writes them: ISO 8601, HTTP's, and those of signatures."""

from __future__ import annotations

import calendar
import time


def iso_time(when: float) -> str:
    """`2009-10-12T17:50:30.000Z`: S3 keeps whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(when))


def parse_iso(text: str) -> float | None:
    """ISO 8601, date or time, as seconds since the epoch; None for anything else."""
    from datetime import UTC, datetime

    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()


_dates: dict[int, str] = {}


def http_date(when: float) -> str:
    """`Wed, 12 Oct 2009 17:50:00 GMT`."""
    second = int(when)
    text = _dates.get(second)
    if text is None:
        if len(_dates) > 1000:
            _dates.clear()
        text = _dates[second] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second))
    return text


_DATE_FORMATS = (
    "%a, %d %b %Y %H:%M:%S %Z",
    "%a, %d %b %Y %H:%M:%S +0000",
    "%a, %d %b %Y %H:%M:%S -0000",
    "%A, %d-%b-%y %H:%M:%S %Z",
    "%a %b %d %H:%M:%S %Y",
)


def parse_http_date(text: str) -> float | None:
    """`Wed, 12 Oct 2009 17:50:00 GMT` and HTTP's older forms as seconds since the epoch."""
    for form in _DATE_FORMATS:
        try:
            return float(calendar.timegm(time.strptime(text.strip(), form)))
        except (ValueError, OverflowError):
            continue
    return None


_known_dates: dict[str, float] = {}


def parse_amz_date(text: str) -> float | None:
    """`20130524T000000Z` as seconds since the epoch."""
    when = _known_dates.get(text)
    if when is None:
        try:
            when = float(calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))
        except ValueError:
            return None
        if len(_known_dates) > 100:
            _known_dates.clear()
        _known_dates[text] = when
    return when
