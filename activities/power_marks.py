"""What tells that a system was reset, by whomever: PowerState and LastResetTime."""

from pydantic import BaseModel, ConfigDict, JsonValue

from taskfish.plugins.connection import Connection


class PowerMark(BaseModel):
    """What a system shows at one moment; None is what it does not show."""

    model_config = ConfigDict(frozen=True)

    power_state: str | None = None
    last_reset: str | None = None

    def tells_reset(self, before: "PowerMark") -> bool:
        """Say whether the system was reset, or changed its power, since `before`."""
        known = self.power_state is not None and before.power_state is not None
        changed = known and self.power_state != before.power_state
        was_reset = self.last_reset is not None and self.last_reset != before.last_reset
        return changed or was_reset


async def power_mark(connection: Connection, system: str) -> PowerMark | None:
    """Read a system's mark, None if it cannot be read now."""
    answer = await connection.read(system)
    if not answer.succeeded or not isinstance(answer.body, dict):
        return None
    return PowerMark(
        power_state=_text(answer.body.get("PowerState")),
        last_reset=_text(answer.body.get("LastResetTime")),
    )


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None
