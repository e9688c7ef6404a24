"""How large an answer may be that is kept (contracts.md 3 and 8)."""

import json

from taskfish.redfish.messages import base_message, error_body, success_body
from taskfish.redfish.task import Answer

MAX_BODY = 1 << 20
"""A final answer's body in bytes: Temporal's payloads end at two MiB."""
MAX_JOURNAL_BODY = 256 << 10


def cut(answer: Answer, limit: int = MAX_BODY) -> Answer:
    """Return the answer, its body replaced by a message if it is too long."""
    size = len(json.dumps(answer.body, ensure_ascii=False).encode())
    if size <= limit:
        return answer
    words = f"The source's answer had {size} bytes; only {limit} are kept."
    if answer.succeeded:
        body = success_body(base_message("Success", text=words))
    else:
        body = error_body(base_message("GeneralError", text=words))
    return answer.model_copy(update={"body": body})
