"""Our errors as answers: each with the message that it names."""

from collections.abc import Iterator

import pytest

from activities.errors import answer_to
from taskfish.errors import PermanentError, TaskfishError, TransientError


def kinds(of: type[TaskfishError]) -> Iterator[type[TaskfishError]]:
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("kind", [*kinds(TransientError), *kinds(PermanentError)])
def test_every_error_has_an_answer_that_repeats_its_reason(
    kind: type[TaskfishError],
) -> None:
    answer = answer_to(kind("the reason"), "/redfish/v1/Systems/rack7.1")
    assert answer.status >= 400
    assert kind.message_key in str(answer.body)
    assert "the reason" in str(answer.body)
