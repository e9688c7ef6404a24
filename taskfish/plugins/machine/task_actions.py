"""The actions of an emulated Task: it is suspended, and goes on."""

from typing import Final

from taskfish.plugins.machine.answers import Body, done, no_such, not_allowed
from taskfish.plugins.machine.jobs import Job, Timeline
from taskfish.redfish.task import Answer

ACTIONS: Final = "/Actions/Oem/"
_PAUSES: Final = {"Taskfish.Suspend": True, "Taskfish.Resume": False}


def offered_actions(job: Job, uri: str) -> Body:
    """Return the Actions of the Task at `uri`, nothing unless it can be paused."""
    if not job.pausable:
        return {}
    targets: Body = {
        f"#{name}": {"target": f"{uri}{ACTIONS}{name}"} for name in _PAUSES
    }
    return {"Actions": {"Oem": targets}}


def act(timeline: Timeline, job: Job, method: str, name: str) -> Answer:
    """Carry out the action `name` of a job; a refusal unless it is offered.

    It is no execution: it changes no resource.
    """
    timeline.advance()
    offered = job.pausable and name in _PAUSES and job in timeline.active
    if not offered:
        raise no_such(name)
    if method != "POST":
        raise not_allowed("POST")
    timeline.pause(job, _PAUSES[name])
    return done()
