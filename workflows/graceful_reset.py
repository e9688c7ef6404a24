"""Reset a machine until it is on again: gracefully first, by force if need be."""

from typing import Literal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import Field, JsonValue

    from taskfish.redfish.conditions import Condition
    from taskfish.redfish.operations import RESET_ACTION
    from taskfish.redfish.steps import Step, StepRequest, get, get_until, post
    from taskfish.redfish.task import TaskState
    from workflows.composition import Parameters
    from workflows.steps import StepEnd, Steps

UNTIL_ON = 3600.0
"""How long the machine may take to come up, in seconds."""
A_LOOK_AT_MOST = 120.0
"""How long a machine may take to say how it is before its reset, in seconds."""
SETTLES = 30.0
"""Seconds for which On may be what it has shown before the reset: a BMC that answers
a reset at once may show what comes of it later, and a warm one not at all.
"""
LAST_RESET = "/LastResetTime"
FORCED = ("ForceRestart", "PowerCycle")
LOOK, RESET, RESTARTED, FORCED_RESET, ON = (
    "system-before",
    "reset",
    "system-restarted",
    "forced-reset",
    "system-on",
)
RESET_STEPS = (LOOK, RESET, ON)
"""The names of those that are planned."""


class ResetParameters(Parameters):
    """How a system is reset."""

    reset_type: Literal["GracefulRestart", "ForceRestart", "PowerCycle"] = Field(
        alias="ResetType",
        default="GracefulRestart",
        description="How the system is reset.",
    )
    grace_period: float = Field(
        alias="GracePeriodSeconds",
        default=300,
        ge=1,
        le=86400,
        description="How long a graceful restart may take before a forced one.",
    )


def reset_steps(system: str, wanted: ResetParameters) -> tuple[Step, ...]:
    """Return the steps of a plan that `reset_until_on` runs."""
    is_graceful = wanted.reset_type == "GracefulRestart"
    return (
        Step(name=LOOK, request=get(system), seconds=A_LOOK_AT_MOST),
        Step(
            name=RESET,
            request=_reset(system, wanted.reset_type),
            seconds=wanted.grace_period if is_graceful else None,
            goes_on=is_graceful,
        ),
        Step(name=ON, request=get(system, "/PowerState", "On"), seconds=UNTIL_ON),
    )


async def reset_until_on(steps: Steps) -> None:
    """Reset the system, and wait until it is on again.

    A graceful restart that is refused or does not come about within its time is
    followed by a forced one; not so if somebody has cancelled it. A system that is off
    is switched on.
    """
    before = await steps.run(steps[LOOK])
    shown = before.answer.body if before and before.answer else None
    system = steps[LOOK].request.uri
    reset = steps[RESET]
    if _value(shown, "PowerState") == "Off":
        switched_on = {"request": _reset(system, "On"), "goes_on": False}
        reset = reset.model_copy(update=switched_on)
    end = await steps.run(reset)
    if reset.goes_on and not await _has_restarted(steps, end, shown):
        forced = _reset(system, _forced_type(shown))
        await steps.run(Step(name=FORCED_RESET, request=forced))
    await steps.run(_on_again(steps[ON], shown))


async def _has_restarted(steps: Steps, end: StepEnd | None, shown: JsonValue) -> bool:
    """Say whether the graceful restart has come about.

    A source may answer at once though the operating system takes its time, or hangs:
    then the time of the last reset tells, where the system shows one.
    """
    if end is None or end.state is TaskState.EXCEPTION:
        return False
    if not end.is_done:
        steps.fail()
    if _value(shown, "LastResetTime") is None:
        return True
    restarted = Step(
        name=RESTARTED,
        request=get_until(steps[LOOK].request.uri, _is_reset_since(shown)),
        seconds=steps[RESET].seconds,
        goes_on=True,
    )
    seen = await steps.run(restarted)
    if seen and seen.state not in (TaskState.COMPLETED, TaskState.EXCEPTION):
        steps.fail()
    return seen is not None and seen.is_done


def _on_again(step: Step, shown: JsonValue) -> Step:
    """Return the step that waits until the system is on, and not still on."""
    until = Condition(
        pointer="/PowerState",
        value="On",
        proof=_is_reset_since(shown),
        settles=0.0 if _value(shown, "PowerState") == "Off" else SETTLES,
    )
    request = get_until(step.request.uri, until)
    return step.model_copy(update={"request": request})


def _is_reset_since(shown: JsonValue) -> Condition:
    """Return what tells that the system was reset after it has shown that."""
    value = _value(shown, "LastResetTime")
    return Condition(pointer=LAST_RESET, value=value, test="is_not")


def _forced_type(shown: JsonValue) -> str:
    """Return the forced reset that the system offers; ForceRestart if it does not say
    what it does.
    """
    action = Condition(
        pointer=f"/Actions/#{RESET_ACTION}/ResetType@Redfish.AllowableValues",
        value=None,
    )
    offered = action.shown(shown)
    if isinstance(offered, list):
        return next((each for each in FORCED if each in offered), FORCED[0])
    return FORCED[0]


def _value(shown: JsonValue, name: str) -> JsonValue:
    return shown.get(name) if isinstance(shown, dict) else None


def _reset(system: str, reset_type: str) -> StepRequest:
    return post(f"{system}/Actions/{RESET_ACTION}", {"ResetType": reset_type})
