"""What a source repeats of a request's secrets."""

from typing import Any

import pytest
from pydantic import JsonValue

from taskfish.redfish.echoes import Echoes
from taskfish.redfish.messages import Message
from taskfish.redfish.secrecy import MASK, is_masked, masked, secrets_in
from taskfish.redfish.task import Answer, TaskReport, TaskState

BODY: JsonValue = {
    "UserName": "root",
    "Password": 'hu"sh-hush',
    "Oem": {"Pin": 4711, "Keys": ["first-key", {"Value": "second-key"}]},
    "ImageURI": "https://user:pass%21word@host/fw.bin?sig=abc123",
}


def error_with(text: str, *args: str) -> dict[str, Any]:
    info = {"MessageId": "Base.1.19.PropertyValueError", "Message": text}
    return {"error": {"@Message.ExtendedInfo": [{**info, "MessageArgs": list(args)}]}}


@pytest.mark.parametrize(
    "echo",
    [
        'hu"sh-hush',
        'hu\\"sh-hush',
        "4711",
        "first-key",
        "second-key",
        "pass%21word",
        "pass!word",
        "abc123",
    ],
)
def test_every_form_of_a_secret_is_taken_out_of_a_refusal(echo: str) -> None:
    answer = Answer(status=400, body=error_with(f"Bad value {echo}.", echo, "Password"))
    quiet = Echoes(BODY).answer(answer)
    assert echo not in quiet.model_dump_json()
    info = quiet.body["error"]["@Message.ExtendedInfo"][0]  # type: ignore[index,call-overload]
    assert info["Message"] == f"Bad value {MASK}."  # type: ignore[index,call-overload]
    assert info["MessageArgs"] == [MASK, "Password"]  # type: ignore[index,call-overload]


def test_text_of_a_source_is_no_exception() -> None:
    answer = Answer(status=500, body="no route for first-key")
    assert Echoes(BODY).answer(answer).body == f"no route for {MASK}"


def test_number_that_is_a_secret_is_masked() -> None:
    answer = Answer(status=400, body={"Given": 4711, "Other": 4712, "Ok": True})
    assert Echoes(BODY).answer(answer).body == {
        "Given": MASK,
        "Other": 4712,
        "Ok": True,
    }


def test_messages_of_a_task_do_not_repeat_a_secret() -> None:
    message = Message(
        message_id="Base.1.19.GeneralError",
        message="first-key is bad",
        message_args=("first-key",),
        severity="Critical",
        resolution="Do not use first-key.",
    )
    report = TaskReport(
        state=TaskState.EXCEPTION,
        messages=(message,),
        answer=Answer(status=400, body=error_with("second-key")),
    )
    quiet = Echoes(BODY).report(report)
    assert "-key" not in quiet.model_dump_json()
    assert quiet.messages[0].message == f"{MASK} is bad"


def test_what_was_made_is_left_to_its_owner() -> None:
    made = {
        "Id": "1",
        "Token": "first-key",
        "@Message.ExtendedInfo": [{"Message": "x"}],
    }
    answer = Answer(status=201, body=made)
    assert Echoes(BODY).answer(answer).body == made
    said = {"@Message.ExtendedInfo": [{"Message": "first-key was taken"}]}
    quiet = Echoes(BODY).answer(Answer(status=200, body=said))
    assert "first-key" not in quiet.model_dump_json()


def test_secret_like_a_message_id_breaks_no_message() -> None:
    answer = Answer(status=400, body=error_with("Base is no password", "Base"))
    quiet = Echoes({"Password": "Base"}).answer(answer)
    info = quiet.body["error"]["@Message.ExtendedInfo"][0]  # type: ignore[index,call-overload]
    assert info["MessageId"] == "Base.1.19.PropertyValueError"  # type: ignore[index,call-overload]
    assert info["Message"] == f"{MASK} is no password"  # type: ignore[index,call-overload]


def test_short_secret_is_masked_where_it_stands_alone() -> None:
    answer = Answer(status=400, body=error_with("a bad value", "a", "ab"))
    info = Echoes({"Password": "a"}).answer(answer).body
    assert MASK in str(info)
    assert "a bad value" in str(info)


@pytest.mark.parametrize("body", [None, {}, {"ResetType": "On"}, {"Password": ""}])
def test_request_without_secrets_changes_no_answer(body: JsonValue) -> None:
    answer = Answer(status=400, body=error_with("On is bad", "On"))
    assert Echoes(body).answer(answer) is answer


@pytest.mark.parametrize(
    "body",
    [
        {"Password": "x"},
        {"Deep": [{"AdminPw": 12}]},
        {"ImageURI": "nfs:usr:SECRET@h/x"},
        {"ImageURI": "h/x?sig=a"},
        ["https://u:p@h"],
    ],
)
def test_what_is_masked_is_known_as_a_secret(body: JsonValue) -> None:
    assert secrets_in(body)
    assert is_masked(masked(body))
    assert not is_masked(body)


def test_body_without_secrets_is_not_masked() -> None:
    body: JsonValue = {"Name": "data", "List": [1, None, True, "x@y"]}
    assert secrets_in(body) == frozenset()
    assert not is_masked(masked(body))
