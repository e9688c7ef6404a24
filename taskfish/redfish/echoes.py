"""What a source repeats of a request's secrets, taken out of its words.

Everybody who may log in reads the messages of a task. What a change has brought forth
is left as it is: it is its owner's, who may need a key that the source has made.
"""

from pydantic import JsonValue

from taskfish.redfish.secrecy import MASK, secrets_in
from taskfish.redfish.task import Answer, TaskReport

LEAST_LENGTH = 4
"""A shorter secret occurs in any text: it is replaced only where it stands alone."""
_NAMES = frozenset(
    {
        "@odata.id",
        "@odata.type",
        "code",
        "MessageId",
        "MessageSeverity",
        "RelatedProperties",
        "Severity",
    }
)
"""Properties of a message that are no prose: a secret like `Base` would break them."""


class Echoes:
    """The secrets of one request's body, and answers without them."""

    def __init__(self, body: JsonValue) -> None:
        # The longest first: one may be a part of another.
        self._secrets = sorted(secrets_in(body), key=len, reverse=True)

    def answer(self, answer: Answer) -> Answer:
        """Return an answer whose words do not repeat a secret."""
        if not self._secrets:
            return answer
        if not answer.succeeded:
            body = self._quiet(answer.body)
        elif isinstance(answer.body, dict):
            body = {
                name: self._quiet(item) if name == "@Message.ExtendedInfo" else item
                for name, item in answer.body.items()
            }
        else:
            body = answer.body
        return answer.model_copy(update={"body": body})

    def report(self, report: TaskReport) -> TaskReport:
        """Return what a source says of its task without the secrets."""
        if not self._secrets:
            return report
        messages = tuple(
            message.model_copy(
                update={
                    "message": self._quiet_text(message.message),
                    "message_args": tuple(map(self._quiet_text, message.message_args)),
                    "resolution": message.resolution
                    and self._quiet_text(message.resolution),
                }
            )
            for message in report.messages
        )
        answer = report.answer and self.answer(report.answer)
        return report.model_copy(update={"messages": messages, "answer": answer})

    def _quiet(self, value: JsonValue) -> JsonValue:
        if isinstance(value, dict):
            return {
                name: item if name in _NAMES else self._quiet(item)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [self._quiet(item) for item in value]
        if isinstance(value, str):
            return self._quiet_text(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return MASK if is_number and str(value) in self._secrets else value

    def _quiet_text(self, text: str) -> str:
        for secret in self._secrets:
            if text == secret:
                return MASK
            if len(secret) >= LEAST_LENGTH:
                text = text.replace(secret, MASK)
        return text
