"""Which resets of a system can be aborted, said in its representation."""

from pydantic import JsonValue

from taskfish.redfish.links import ROOT
from taskfish.redfish.task import Answer

SYSTEMS = f"{ROOT}/Systems"
ODATA_TYPE = "#Taskfish.v1_0_0.ComputerSystem"
_RESET = "#ComputerSystem.Reset"
_RESET_TYPES = "ResetType@Redfish.AllowableValues"


def with_abortable_actions(answer: Answer, resets: tuple[str, ...]) -> Answer:
    """Add `Oem.Taskfish.AbortableActions` to a system that can be reset.

    It has those of `resets`, what the adapter can abort, that the system itself lists
    as its ResetTypes; all of them if it lists none. A source that is a Taskfish
    gateway too, and says what it can abort, has the last word.
    """
    body = answer.body
    reset = _object(_object(body, "Actions"), _RESET)
    if not isinstance(body, dict) or not reset:
        return answer
    oem = _object(body, "Oem")
    ours = _object(oem, "Taskfish")
    offered = [reset.get(_RESET_TYPES), ours.get("AbortableActions")]
    lists = [values for values in offered if isinstance(values, list)]
    kept: list[JsonValue] = [
        kind for kind in resets if all(kind in values for values in lists)
    ]
    said = {**ours, "@odata.type": ODATA_TYPE, "AbortableActions": kept}
    shown = {**body, "Oem": {**oem, "Taskfish": said}}
    return answer.model_copy(update={"body": shown})


def _object(holder: JsonValue, name: str) -> dict[str, JsonValue]:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}
