"""How a job is answered while it goes on and when it has ended, by its modes."""

from taskfish.plugins.machine.answers import Body, no_such, shaped
from taskfish.plugins.machine.jobs import Job
from taskfish.plugins.machine.machine import Machine
from taskfish.plugins.machine.modes import Modes
from taskfish.redfish.task import Answer, TaskState


def location(modes: Modes, relative: str, monitor: str, task: str, origin: str) -> str:
    """Return the Location of a 202 as the mode has it, empty for none."""
    return {
        "relative": relative,
        "absolute": origin + relative,
        "foreign": modes.foreign_origin + relative,
        "monitor": monitor,
        "task": task,
        "none": "",
        "none_with_body": "",
    }[modes.location]


def accepted(modes: Modes, where: str, small: Body, task: Body) -> Answer:
    """Return a 202 with the body `small`, or the whole Task in `none_with_body`."""
    headers = {}
    if where:
        headers["Location"] = where
    if modes.retry_after is not None:
        headers["Retry-After"] = modes.retry_after
    body: Body | None = None if modes.empty_body else small
    if modes.location in ("none", "none_with_body"):
        body = task if modes.location == "none_with_body" else None
    return Answer(status=202, headers=headers, body=body)


def with_allow(answer: Answer, allow: str) -> Answer:
    """Return an answer of a Task or monitor that says what can be done with it."""
    return answer.model_copy(update={"headers": {**answer.headers, "Allow": allow}})


def final_answer(machine: Machine, job: Job, empty_body: bool) -> Answer | None:
    """Return what a monitor gives at the end, None before; a refusal once it is gone.

    `empty_body` is what the protocol does where the modes do not say.
    """
    if job.monitor_gone or machine.timeline.jobs.get(job.id) is not job:
        raise no_such(job.id)
    if job.ended is None:
        return None
    if machine.modes.one_shot_monitor:
        job.monitor_gone = True
    return shaped(machine.final_answer(job), machine.modes.empty_body, empty_body)


async def remove(machine: Machine, job: Job, only_monitor: bool) -> bool:
    """Drop an ended job, or abort one under way; True if it has ended by now."""
    if job.ended is not None and only_monitor:
        job.monitor_gone = True
        return True
    if job.ended is not None:
        machine.timeline.jobs.pop(job.id, None)
        job.removed = True
        return True
    machine.abort(job)
    await machine.gate.answer_abort()
    return job.state is TaskState.CANCELLED
