from taskfish.redfish.messages import Message, base_message, success_body, task_message
from taskfish.redfish.task import Answer, Health, Outcome, TaskState
from taskfish.redfish.verdicts import EXTENDED_INFO, step_answer

RESET = base_message("ResetRequired", "/redfish/v1/Systems/1", "GracefulRestart")
ENDED = task_message("TaskCompletedWarning", "one")


def outcome(answer: Answer, *messages: Message) -> Outcome:
    return Outcome(
        state=TaskState.COMPLETED,
        status=Health.WARNING,
        answer=answer,
        messages=messages,
    )


def test_step_tells_what_its_task_has_told() -> None:
    told = outcome(Answer(status=204), RESET, ENDED)
    body = step_answer(told, keeps_body=False).body
    assert body == {EXTENDED_INFO: [RESET.to_json()]}


def test_step_has_its_body_only_if_that_is_kept() -> None:
    made = outcome(Answer(status=201, body={"Id": "1"}), ENDED)
    assert step_answer(made, keeps_body=True).body == {"Id": "1"}
    assert step_answer(made, keeps_body=False).body is None


def test_success_is_nothing_to_tell() -> None:
    good = outcome(Answer(status=200, body=success_body(base_message("Success"))))
    assert step_answer(good, keeps_body=False).body is None


def test_message_in_answer_and_task_is_told_once() -> None:
    twice = outcome(Answer(status=200, body=success_body(RESET)), RESET, ENDED)
    body = step_answer(twice, keeps_body=True).body
    assert isinstance(body, dict)
    assert body[EXTENDED_INFO] == [RESET.to_json()]
