"""What replies mean: bodies, links, Retry-After, refusals."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from taskfish.errors import (
    AbortRefusedError,
    CredentialsRefusedError,
    PluginTaskGoneError,
    PrivilegeMissingError,
    SourceBusyError,
    SourceUnreachableError,
    TaskfishError,
    UnreadableAnswerError,
)
from taskfish.plugins import answers
from taskfish.plugins.origin import Origin
from taskfish.plugins.redfish.mapping import answer_of
from taskfish.plugins.transport import Reply
from taskfish.redfish.task import Answer

BMC = Origin.of("http://bmc:8080")


def reply(
    content: bytes, content_type: str = "application/json", **headers: str
) -> Reply:
    known = {name.replace("_", "-").lower(): text for name, text in headers.items()}
    return Reply(
        uri="/redfish/v1/Systems",
        status=200,
        headers={"content-type": content_type, **known},
        content=content,
    )


def body_of(content: bytes, content_type: str = "application/json") -> JsonValue:
    return answer_of(reply(content, content_type), BMC).body


def error(*keys: str) -> JsonValue:
    messages: list[JsonValue] = [{"MessageId": f"Base.1.8.{key}"} for key in keys]
    return {"error": {"code": "", "@Message.ExtendedInfo": messages}}


@pytest.mark.parametrize(
    ("content", "content_type", "body"),
    [
        (b"", "application/json", None),
        (b" \r\n", "text/plain", None),
        (b'{"Id": "1"}', "application/json", {"Id": "1"}),
        (b'\xef\xbb\xbf{"Id": "1"}', "application/json;charset=utf-8", {"Id": "1"}),
        (b'{"Id": "1"}', "text/plain", {"Id": "1"}),
        (b"12", "text/plain", "12"),
        (b"12", "application/json", 12),
        (b"<edmx:Edmx/>", "application/xml", "<edmx:Edmx/>"),
        (b'{"Id": ', "application/json", '{"Id": '),
        (b'{"Id": NaN}', "application/json", '{"Id": NaN}'),
        (b'{"Id": 1e999}', "application/json", '{"Id": 1e999}'),
        (b'{"Id": 1.5}', "application/json", {"Id": 1.5}),
        (b"caf\xe9", "text/plain", "caf\ufffd"),
        (b'"\\ud83d\\ude00 \\ud83d"', "application/json", "\U0001f600 \ufffd"),
    ],
)
def test_body_is_json_text_or_nothing(
    content: bytes, content_type: str, body: JsonValue
) -> None:
    assert body_of(content, content_type) == body


@pytest.mark.parametrize("depth", [answers.MAX_DEPTH + 1, 100_000])
def test_deeply_nested_body_stays_text(depth: int) -> None:
    assert body_of(b"[" * depth + b"]" * depth) == "[" * depth + "]" * depth


@given(st.binary())
def test_any_bytes_make_an_answer(content: bytes) -> None:
    answer_of(reply(content), BMC).model_dump_json()


def test_only_five_headers_are_kept() -> None:
    given = reply(b"", X_Auth_Token="s3cret", ETag='"1"', Allow="GET", Server="x")
    kept = answer_of(given, BMC).headers
    assert kept.keys() == {"Content-Type", "ETag", "Allow"}


@pytest.mark.parametrize(
    ("location", "seen"),
    [
        ("/redfish/v1/Systems/2", "/redfish/v1/Systems/2"),
        ("Systems/2", "/redfish/v1/Systems/2"),
        ("http://bmc:8080/redfish/v1/Systems/2?a=b", "/redfish/v1/Systems/2?a=b"),
        ("HTTP://admin:s3cret@BMC:8080/x", "/x"),
        ("https://bmc:8080/x", "https://bmc:8080/x"),
        ("//elsewhere/x", "http://elsewhere/x"),
        ("http://admin:s3cret@elsewhere/x", "http://elsewhere/x"),
        ("http://bmc:port/x", "http://bmc:port/x"),
        ("http://[bad/x", "http://[bad/x"),
    ],
)
def test_location_is_a_path_unless_foreign(location: str, seen: str) -> None:
    assert answer_of(reply(b"", Location=location), BMC).header("location") == seen


def test_own_absolute_links_in_a_body_are_paths() -> None:
    content = b'{"@odata.id": "http://bmc:8080/x#/1", "Name": "http://bmc:8080/x"}'
    assert body_of(content) == {"@odata.id": "/x#/1", "Name": "http://bmc:8080/x"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5),
        (" 0 ", 0),
        ("2.5", 2.5),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("9" * 400, None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 99 Jan 9999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_or_ignored(value: str, seconds: float | None) -> None:
    answer = Answer(status=503, headers={"Retry-After": value})
    assert answers.retry_after(answer) == seconds


def test_retry_after_may_be_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    seconds = answers.retry_after(Answer(status=503, headers={"Retry-After": date}))
    assert seconds is not None
    assert 55 < seconds <= 60


@pytest.mark.parametrize(
    ("status", "body", "raised"),
    [
        (401, error("PropertyUnknown"), CredentialsRefusedError),
        (403, None, PrivilegeMissingError),
        (403, "Forbidden", PrivilegeMissingError),
        (403, error("GeneralError"), PrivilegeMissingError),
        (403, error("InsufficientPrivilege"), PrivilegeMissingError),
        (403, error("PropertyNotWritable"), None),
        (400, None, None),
    ],
)
def test_only_401_refuses_the_credentials(
    status: int, body: JsonValue, raised: type[TaskfishError] | None
) -> None:
    answer = Answer(status=status, body=body)
    if raised is None:
        answers.refuse_credentials(answer, "rack7")
    else:
        with pytest.raises(raised):
            answers.refuse_credentials(answer, "rack7")


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (429, SourceBusyError),
        (503, SourceBusyError),
        (502, SourceUnreachableError),
        (504, SourceUnreachableError),
        (500, SourceUnreachableError),
        (501, SourceUnreachableError),
        (400, None),
    ],
)
def test_bare_fault_passes(status: int, raised: type[TaskfishError] | None) -> None:
    fault = answers.passing_fault(Answer(status=status), "rack7")
    assert (type(fault) if fault else None) is raised


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (404, PluginTaskGoneError),
        (410, PluginTaskGoneError),
        (400, AbortRefusedError),
        (405, AbortRefusedError),
        (409, AbortRefusedError),
        (501, AbortRefusedError),
        (307, AbortRefusedError),
        (401, CredentialsRefusedError),
        (503, SourceBusyError),
        (502, SourceUnreachableError),
    ],
)
def test_abort_is_refused_by_its_status(
    status: int, raised: type[TaskfishError]
) -> None:
    with pytest.raises(raised):
        answers.refuse_abort(Answer(status=status), "rack7")


@pytest.mark.parametrize("status", [301, 302, 304, 307, 600])
def test_change_is_never_redirected(status: int) -> None:
    with pytest.raises(UnreadableAnswerError):
        answers.refuse_unsent(Answer(status=status), "rack7")
