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
    from workflows.steps import Steps

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
    """Return the steps of a plan that `reset_until_on` runs, or leaves out."""
    look = Step(name=LOOK, request=get(system), seconds=A_LOOK_AT_MOST)
    reset = Step(name=RESET, request=_reset(system, wanted.reset_type))
    on = Step(name=ON, request=get(system, "/PowerState", "On"), seconds=UNTIL_ON)
    if wanted.reset_type != "GracefulRestart":
        return look, reset, on
    in_time = {"seconds": wanted.grace_period, "goes_on": True}
    is_reset = Condition(
        pointer=LAST_RESET, value=f"${{{LOOK}#/Body{LAST_RESET}}}", test="is_not"
    )
    restarted = Step(name=RESTARTED, request=get_until(system, is_reset))
    return (
        look,
        reset.model_copy(update=in_time),
        restarted.model_copy(update=in_time),
        Step(name=FORCED_RESET, request=_reset(system, FORCED[0])),
        on,
    )


async def reset_until_on(steps: Steps) -> None:
    """Reset the system, and wait until it is on again.

    A graceful restart that is refused or does not come about within its time is
    followed by a forced one; not so if somebody has cancelled it. A system that is off
    is switched on.
    """
    before = await steps.run(steps[LOOK])
    shown = before.answer.body if before and before.answer else None
    reset = steps[RESET]
    if _value(shown, "PowerState") == "Off":
        switched_on = {"request": _reset(steps[LOOK].request.uri, "On")}
        await steps.run(reset.model_copy(update=switched_on | {"goes_on": False}))
        steps.leave_out(RESTARTED, FORCED_RESET)
    elif not reset.goes_on:
        await steps.run(reset)
    elif await _is_gracefully_reset(steps, shown):
        steps.leave_out(FORCED_RESET)
    else:
        forced = _reset(steps[LOOK].request.uri, _forced_type(shown))
        update = {"request": forced}
        await steps.run(steps[FORCED_RESET].model_copy(update=update))
    await steps.run(_on_again(steps[ON], shown))


def leave_out_reset(steps: Steps) -> None:
    """Drop the steps that `reset_until_on` would run."""
    steps.leave_out(LOOK, RESET, RESTARTED, FORCED_RESET, ON)


async def _is_gracefully_reset(steps: Steps, shown: JsonValue) -> bool:
    """Restart the system gracefully; say whether that has come about.

    A source may answer at once though the operating system takes its time, or hangs:
    then the time of the last reset tells, where the system shows one.
    """
    is_done = await _is_done(steps, RESET)
    if not is_done or _value(shown, "LastResetTime") is None:
        steps.leave_out(RESTARTED)
        return is_done
    return await _is_done(steps, RESTARTED)


async def _is_done(steps: Steps, name: str) -> bool:
    """Run a step; say whether it was done. One that somebody has cancelled ends all."""
    end = await steps.run(steps[name])
    if end is not None and end.state in (TaskState.CANCELLED, TaskState.KILLED):
        steps.fail()
    return end is not None and end.is_done


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
