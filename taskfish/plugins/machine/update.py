"""The UpdateService: firmware of BIOS and BMC, and what an update does to it."""

import re
from typing import Final

from pydantic import JsonValue

from taskfish.plugins.machine.answers import Body, done, refused
from taskfish.plugins.machine.jobs import Action, Work
from taskfish.plugins.machine.modes import Modes
from taskfish.plugins.machine.resources import (
    HEALTHY,
    MANAGER,
    ROOT,
    SYSTEM,
    Tree,
    action,
    apply_time_of,
    apply_time_support,
    collection,
    link,
    links,
    require_known,
    require_listed,
    resource,
    text_of,
)
from taskfish.redfish.messages import base_message
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.task import Answer

SERVICE = f"{ROOT}/UpdateService"
INVENTORY = f"{SERVICE}/FirmwareInventory"
SIMPLE_UPDATE = "UpdateService.SimpleUpdate"
PARAMETERS = (
    "ImageURI",
    "TransferProtocol",
    "Targets",
    "Username",
    "Password",
    "ForceUpdate",
)
COMPONENTS: Final = {"BIOS": SYSTEM, "BMC": MANAGER}
RESETS: Final = {
    "BIOS": base_message(
        "ResetRequired", f"{SYSTEM}/Actions/ComputerSystem.Reset", "GracefulRestart"
    ),
    "BMC": base_message(
        "ResetRequired", f"{MANAGER}/Actions/Manager.Reset", "GracefulRestart"
    ),
}
"""What an update says that takes effect at a reset only."""
VERSION = re.compile(r"\d+(?:\.\d+)+")


class Firmware:
    """FirmwareInventory; an update of the BMC may make it `leave` and `come_back`."""

    def __init__(self, leave: Action, come_back: Action) -> None:
        self.versions = {"BIOS": "1.0.0", "BMC": "1.0.0"}
        self._pending: dict[str, str] = {}
        self._leave = leave
        self._come_back = come_back

    def restarted(self, component: str) -> None:
        """Let what was updated before take effect: BIOS or BMC has restarted."""
        pending = self._pending.pop(component, None)
        if pending is not None:
            self.versions[component] = pending

    def add_to(self, tree: Tree, modes: Modes) -> None:
        """Add the UpdateService and the inventory."""
        tree.add(SERVICE, lambda: self._body(modes.apply_times))
        tree.add_action(
            f"{SERVICE}/Actions/{SIMPLE_UPDATE}",
            lambda body: self._update(body, modes),
        )
        uris = [f"{INVENTORY}/{name}" for name in self.versions]
        tree.add(INVENTORY, lambda: collection(INVENTORY, "SoftwareInventory", uris))
        tree.add(uris[0], lambda: self._component("BIOS"))
        tree.add(uris[1], lambda: self._component("BMC"))

    def _body(self, apply_times: bool) -> Body:
        protocols: dict[str, JsonValue] = {
            "TransferProtocol@Redfish.AllowableValues": ["HTTP", "HTTPS"]
        }
        return resource(
            SERVICE,
            "UpdateService",
            "Update Service",
            ServiceEnabled=True,
            Status=HEALTHY,
            FirmwareInventory=link(INVENTORY),
            Actions=action(
                SERVICE, SIMPLE_UPDATE, **protocols, **apply_time_support(apply_times)
            ),
        )

    def _component(self, name: str) -> Body:
        return resource(
            f"{INVENTORY}/{name}",
            "SoftwareInventory",
            f"{name} firmware",
            Version=self.versions[name],
            SoftwareId=f"taskfish-{name.lower()}",
            Updateable=True,
            Status=HEALTHY,
            RelatedItem=links([COMPONENTS[name]]),
            **{"RelatedItem@odata.count": 1},
        )

    def _update(self, body: Body, modes: Modes) -> Work:
        require_known(body, PARAMETERS)
        image = text_of(body, "ImageURI", SIMPLE_UPDATE)
        protocol = body.get("TransferProtocol", "HTTP")
        require_listed(
            protocol, SCHEMA.enumerations["TransferProtocolType"], "TransferProtocol"
        )
        names = self._targets(body)
        apply_time = apply_time_of(body)

        waits = modes.update_needs_reset

        def finish() -> Answer:
            versions = self._pending if waits else self.versions
            for name in names:
                versions[name] = _new_version(self.versions[name], image)
            return done()

        away = modes.update_restarts and "BMC" in names
        return Work(
            SIMPLE_UPDATE,
            finish,
            steps=((0.5, self._leave), (0.8, self._come_back)) if away else (),
            undo=self._come_back if away else lambda: None,
            long=True,
            waits_for_reset=apply_time == "OnReset",
            apply_time=apply_time,
            says=tuple(RESETS[name] for name in dict.fromkeys(names)) if waits else (),
        )

    def _targets(self, body: Body) -> list[str]:
        targets = body.get("Targets", [f"{INVENTORY}/BIOS"])
        if not isinstance(targets, list) or not targets:
            raise refused(
                base_message(
                    "ActionParameterValueTypeError",
                    str(targets),
                    "Targets",
                    SIMPLE_UPDATE,
                )
            )
        names = {f"{INVENTORY}/{name}": name for name in self.versions}
        names |= {uri: name for name, uri in COMPONENTS.items()}
        for target in targets:
            if target not in names:
                message = base_message(
                    "ActionParameterValueNotInList",
                    str(target),
                    "Targets",
                    SIMPLE_UPDATE,
                )
                raise refused(message)
        return [names[str(target)] for target in targets]


def _new_version(old: str, image: str) -> str:
    """Return the version in the image's name, else the next one after `old`."""
    found = VERSION.findall(image.rpartition("/")[2])
    if found:
        return str(found[-1])
    major, _, rest = old.partition(".")
    return f"{int(major) + 1}.{rest}"
