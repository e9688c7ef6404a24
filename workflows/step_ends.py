"""How one step ended, as its operation sees it."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    TerminatedError,
)

with workflow.unsafe.imports_passed_through():
    from pydantic import JsonValue

    from taskfish.redfish.foreign_messages import messages_of
    from taskfish.redfish.messages import Message
    from taskfish.redfish.task import Answer, TaskState
    from workflows.step_calls import StepHandle


@dataclass(frozen=True)
class StepEnd:
    """How a step ended. `answer` is its final answer, None where it left none; `why`
    is for people, empty if all is well.
    """

    state: TaskState
    answer: Answer | None = None
    why: str = ""

    @property
    def is_done(self) -> bool:
        """Whether its change was made."""
        return self.state is TaskState.COMPLETED

    @property
    def created(self) -> str | None:
        """The URI of what it has made, if it has made something."""
        answer = self.answer
        is_new = self.is_done and answer is not None and answer.status == 201
        return (answer.header("Location") or None) if is_new and answer else None

    @property
    def messages(self) -> tuple[Message, ...]:
        """What its source has said of it, but for how far it was."""
        return messages_of(self.answer.body) if self.answer else ()

    @property
    def document(self) -> JsonValue:
        """What expressions point into."""
        if self.answer is None:
            return {}
        return {
            "StatusCode": self.answer.status,
            "Location": self.answer.header("Location"),
            "Body": self.answer.body,
        }

    def says(self, message_key: str) -> bool:
        """Say whether its source has sent a message of this name: `ResetRequired`."""
        ending = f".{message_key}"
        return any(each.message_id.endswith(ending) for each in self.messages)


def end_of(handle: StepHandle) -> StepEnd:
    """Return how a step's workflow ended."""
    try:
        return StepEnd(TaskState.COMPLETED, handle.result())
    except ChildWorkflowError as error:
        cause = error.cause
    if isinstance(cause, CancelledError):
        return StepEnd(TaskState.CANCELLED, why="it was cancelled")
    if isinstance(cause, TerminatedError):
        return StepEnd(TaskState.KILLED, why="it was killed")
    if isinstance(cause, ApplicationError) and cause.details:
        answer = Answer.model_validate(cause.details[0])
        said = messages_of(answer.body)
        return StepEnd(
            TaskState.EXCEPTION, answer, said[0].message if said else cause.message
        )
    words = cause.message if isinstance(cause, FailureError) else str(cause)
    return StepEnd(TaskState.EXCEPTION, why=words)
