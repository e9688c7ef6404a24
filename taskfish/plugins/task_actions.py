"""What a source's Task offers to do with itself: the actions it shows."""

from typing import NamedTuple

from pydantic import JsonValue

_PAUSES = (".Suspend", ".Pause")
_RESUMES = (".Resume",)


class PauseActions(NamedTuple):
    """The targets of a pair of actions; URIs are the source's own."""

    pause: str
    resume: str


def pause_actions(body: JsonValue) -> PauseActions | None:
    """Return how a Task is suspended and resumed, None if it does not offer both.

    Redfish has no such actions, so they are known by their names: one that ends in
    `.Suspend` or `.Pause` and one in `.Resume`, in `Actions` or `Actions.Oem`.
    """
    actions = _object(body, "Actions")
    offered = {**_object(actions, "Oem"), **actions}
    pause, resume = _target(offered, _PAUSES), _target(offered, _RESUMES)
    return PauseActions(pause, resume) if pause and resume else None


def _object(holder: JsonValue, name: str) -> dict[str, JsonValue]:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def _target(offered: dict[str, JsonValue], endings: tuple[str, ...]) -> str | None:
    for name in offered:
        target = _object(offered, name).get("target")
        if name.endswith(endings) and isinstance(target, str) and target:
            return target
    return None
