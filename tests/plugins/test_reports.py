"""What answers say of a task: accepted or not, where, how far, how it ended."""

from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from taskfish.plugins import reports
from taskfish.redfish.foreign_messages import MAX_MESSAGES, messages_of
from taskfish.redfish.task import Answer, TaskState

TASK_URI = "/redfish/v1/TaskService/Tasks/7"


@pytest.mark.parametrize(
    ("status", "location", "body", "accepted"),
    [
        (202, None, None, True),
        (202, None, "OK", True),
        (200, "/taskmon/t1", None, True),
        (201, TASK_URI, {}, True),
        (200, None, {"@odata.type": "#Task.v1_4_3.Task"}, True),
        (200, None, {"TaskState": "New"}, True),
        (200, None, {"@odata.id": TASK_URI}, True),
        (200, None, {"@odata.type": "#TaskFoo.TaskFoo"}, False),
        (200, None, None, False),
        (201, "/redfish/v1/Systems/1/Storage/1/Volumes/2", {}, False),
        (204, TASK_URI, None, False),
        (400, TASK_URI, None, False),
    ],
)
def test_accepted_is_a_202_or_names_a_task(
    status: int, location: str | None, body: JsonValue, accepted: bool
) -> None:
    headers = {"Location": location} if location else {}
    answer = Answer(status=status, headers=headers, body=body)
    assert reports.is_accepted(answer) is accepted


def test_200_that_names_a_task_is_not_its_end() -> None:
    answer = Answer(status=200, headers={"Location": "/taskmon/t1", "Retry-After": "1"})
    report = reports.accepted_report(answer)
    assert (report.state, report.retry_after) == (TaskState.RUNNING, 1)
    assert report.answer is None


@pytest.mark.parametrize(
    ("location", "body", "monitor", "task"),
    [
        (f"{TASK_URI}/Monitor", None, f"{TASK_URI}/Monitor", None),
        ("/taskmon/7", None, "/taskmon/7", None),
        (TASK_URI, None, None, TASK_URI),
        (f"{TASK_URI}/SubTasks/1", None, None, f"{TASK_URI}/SubTasks/1"),
        (TASK_URI, {"TaskMonitor": "/taskmon/7"}, "/taskmon/7", TASK_URI),
        ("/taskmon/7", {"@odata.id": TASK_URI}, "/taskmon/7", TASK_URI),
        (None, {"@odata.id": TASK_URI, "TaskMonitor": "/m"}, "/m", TASK_URI),
        (None, {"@odata.id": "/redfish/v1/Systems/1"}, None, None),
        (None, {"@odata.id": 7, "TaskMonitor": ["x"]}, None, None),
        (None, "accepted", None, None),
    ],
)
def test_task_is_found_in_location_and_body(
    location: str | None, body: JsonValue, monitor: str | None, task: str | None
) -> None:
    headers = {"Location": location} if location else {}
    found = reports.plugin_task(Answer(status=202, headers=headers, body=body))
    assert (found.monitor, found.task) == (monitor, task)


@pytest.mark.parametrize(
    ("body", "state", "percent"),
    [
        ({"TaskState": "Running", "PercentComplete": 40}, "Running", 40),
        ({"TaskState": "running", "PercentComplete": 140}, "Running", 100),
        ({"TaskState": "Canceling", "PercentComplete": -3}, "Cancelling", 0),
        ({"TaskState": "Suspended", "PercentComplete": 12.7}, "Suspended", 12),
        ({"TaskState": "Queued", "PercentComplete": "40"}, "Running", None),
        ({"TaskState": None, "PercentComplete": True}, "Running", None),
        ({"@odata.type": "#Task.v1_4_3.Task"}, "Running", None),
        (None, "Running", None),
        ("in progress", "Running", None),
    ],
)
def test_open_task_is_read_leniently(
    body: JsonValue, state: str, percent: int | None
) -> None:
    headers = {"Retry-After": "3"}
    report = reports.report_of(Answer(status=202, headers=headers, body=body))
    assert (report.state, report.percent) == (state, percent)
    assert (report.answer, report.retry_after) == (None, 3)


@pytest.mark.parametrize(
    ("allow", "abortable"),
    [
        ("GET, HEAD, DELETE", True),
        ("get,delete", True),
        ("DELETE", True),
        ("GET, HEAD", False),
        ("GET, UNDELETE", False),
        ("", False),
        (None, None),
    ],
)
@pytest.mark.parametrize("body", [None, {"TaskState": "Running"}])
def test_allow_says_whether_a_task_can_be_aborted(
    allow: str | None, abortable: bool | None, body: JsonValue
) -> None:
    headers = {} if allow is None else {"Allow": allow}
    answer = Answer(status=202, headers=headers, body=body)
    assert reports.report_of(answer).abortable is abortable
    assert reports.accepted_report(answer).abortable is None


@pytest.mark.parametrize("body", [None, {"TaskState": "Completed"}, {"Id": "1"}])
def test_ended_task_cannot_be_aborted_or_paused(body: JsonValue) -> None:
    answer = Answer(status=200, headers={"Allow": "GET, DELETE"}, body=body)
    report = reports.report_of(answer)
    assert (report.abortable, report.pausable) == (None, False)


@pytest.mark.parametrize(
    ("task", "http", "state", "status"),
    [
        ({"TaskState": "Completed"}, 200, "Completed", 200),
        ({"TaskState": "Completed"}, 202, "Completed", 200),
        ({"TaskState": "Exception"}, 200, "Exception", 500),
        ({"TaskState": "Exception"}, 409, "Exception", 409),
        ({"TaskState": "Cancelled"}, 200, "Cancelled", 500),
        ({"TaskState": "Killed"}, 200, "Killed", 500),
        ({"TaskState": "Running"}, 400, "Exception", 400),
        ({"Id": "1"}, 200, "Completed", 200),
        (None, 204, "Completed", 204),
        ("refused", 400, "Exception", 400),
    ],
)
def test_ended_task_stands_for_a_final_answer(
    task: JsonValue, http: int, state: str, status: int
) -> None:
    report = reports.report_of(Answer(status=http, body=task))
    assert report.answer is not None
    assert (report.state, report.answer.status) == (state, status)


def test_of_very_many_created_resources_the_first_are_kept() -> None:
    uris = [f"/v/{number}" for number in range(5000)]
    links: JsonValue = {"CreatedResources": [{"@odata.id": uri} for uri in uris]}
    body: JsonValue = {"TaskState": "Completed", "Links": links}
    report = reports.report_of(Answer(status=200, body=body))
    assert report.created == tuple(uris[: reports.MAX_CREATED])
    assert "5000 resources" in report.messages[0].message
    assert report.state is TaskState.COMPLETED


def test_created_resource_makes_201_with_location() -> None:
    links: JsonValue = {"CreatedResources": [{"@odata.id": "/v/1"}, "bad", {"x": 1}]}
    body: JsonValue = {"TaskState": "Completed", "Links": links}
    report = reports.report_of(Answer(status=200, body=body))
    assert report.created == ("/v/1",)
    assert report.answer is not None
    assert (report.answer.status, report.answer.header("Location")) == (201, "/v/1")


def test_failed_task_keeps_its_messages_worst_first() -> None:
    messages: JsonValue = [
        {"MessageId": "Base.1.8.Success", "MessageSeverity": "OK"},
        {"MessageId": "Update.1.0.Slow", "Severity": "Warning"},
        {"MessageId": "Update.1.0.Bad", "MessageSeverity": "critical"},
    ]
    body: JsonValue = {"TaskState": "Exception", "Messages": messages}
    report = reports.report_of(Answer(status=200, body=body))
    assert [message.severity for message in report.messages] == [
        "OK",
        "Warning",
        "Critical",
    ]
    assert report.answer is not None
    sent = messages_of(report.answer.body)
    assert [message.message_id for message in sent] == [
        "Update.1.0.Bad",
        "Update.1.0.Slow",
    ]


@pytest.mark.parametrize(
    ("state", "key"),
    [("Exception", "OperationFailed"), ("Completed", "TaskCompletedWarning")],
)
def test_silent_task_gets_a_message_of_its_verdict(state: str, key: str) -> None:
    body: JsonValue = {"Id": "7", "TaskState": state, "TaskStatus": "Critical"}
    last = reports.report_of(Answer(status=200, body=body)).messages[-1]
    assert last.message_id.endswith(key)
    assert last.severity == "Warning"


@pytest.mark.parametrize(
    ("shown", "key", "state"),
    [
        ("Completed", "TaskAborted", "Exception"),
        ("Interrupted", "TaskAborted", "Exception"),
        ("Running", "TaskAborted", "Running"),
        ("Cancelled", "TaskAborted", "Cancelled"),
        ("Finished", "TaskAborted", "Exception"),
        ("Finished", "TaskCompletedOK", "Completed"),
        ("Finished", "TaskCancelled", "Cancelled"),
        ("Finished", "TaskStarted", "Running"),
        (None, "TaskCompletedWarning", "Completed"),
        ("Exception", "TaskCompletedOK", "Exception"),
    ],
)
def test_last_task_event_tells_the_end_where_the_state_does_not(
    shown: str | None, key: str, state: str
) -> None:
    words: JsonValue = [{"MessageId": f"TaskEvent.1.0.3.{key}"}]
    body: JsonValue = {"TaskState": shown, "Messages": words}
    assert reports.report_of(Answer(status=200, body=body)).state == state


def test_aborted_task_that_was_resumed_goes_on() -> None:
    keys = ("TaskAborted", "TaskResumed")
    words: JsonValue = [{"MessageId": f"TaskEvent.1.0.3.{key}"} for key in keys]
    report = reports.report_of(Answer(status=202, body={"Messages": words}))
    assert report.state == TaskState.RUNNING


def test_warning_at_the_end_is_one_whatever_severity_it_has() -> None:
    words: JsonValue = [
        {"MessageId": "TaskEvent.1.0.3.TaskCompletedWarning", "Severity": "OK"}
    ]
    body: JsonValue = {"TaskState": "Completed", "Messages": words}
    report = reports.report_of(Answer(status=200, body=body))
    assert report.messages[-1].severity == "Warning"


@pytest.mark.parametrize(
    ("foreign", "words", "severity"),
    [
        ({"Message": "Hot", "Severity": "Warning"}, "Hot", "Warning"),
        ("Just text", "Just text", "OK"),
        ({"MessageId": "TaskEvent.1.0.3.TaskStarted", "MessageArgs": [7]}, None, "OK"),
        ({"MessageId": "TaskEvent.1.0.3.TaskAborted"}, None, "Critical"),
        ({"MessageId": "TaskEvent.1.0.3.TaskPaused"}, None, "Warning"),
        ({"MessageId": "TaskEvent.1.0.3.New"}, "TaskEvent.1.0.3.New", "OK"),
        (
            {"MessageId": "TaskEvent.1.0.3.TaskAborted", "Severity": "Warning"},
            None,
            "Warning",
        ),
        ({"MessageId": "Vendor.1.0.X", "MessageSeverity": 3}, "Vendor.1.0.X", "OK"),
        ({"Message": None, "MessageArgs": "x"}, None, "OK"),
    ],
)
def test_messages_are_read_leniently(
    foreign: JsonValue, words: str | None, severity: str
) -> None:
    (message,) = messages_of({"Messages": [foreign, None, 3]})
    assert message.severity == severity
    assert message.message
    assert words is None or message.message == words


def test_only_the_newest_messages_are_kept() -> None:
    many: JsonValue = [{"Message": str(number)} for number in range(500)]
    kept = messages_of({"Messages": many})
    assert (len(kept), kept[-1].message) == (MAX_MESSAGES, "499")


@pytest.mark.parametrize(
    ("text", "started"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("TIME_NOW", None),
        (None, None),
    ],
)
def test_start_time_has_a_zone(text: str | None, started: datetime | None) -> None:
    body: JsonValue = {"TaskState": "Running", "StartTime": text}
    assert reports.report_of(Answer(status=200, body=body)).started == started


def test_states_are_read_in_both_spellings() -> None:
    body: JsonValue = {"TaskState": "canceled"}
    assert reports.report_of(Answer(status=200, body=body)).state == TaskState.CANCELLED
