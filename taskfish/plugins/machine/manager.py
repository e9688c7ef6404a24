"""The Manager (the BMC itself), its virtual media, and the Chassis."""

from collections.abc import Callable

from pydantic import JsonValue

from taskfish.plugins.machine.answers import Body, done, refused
from taskfish.plugins.machine.jobs import Action, Work
from taskfish.plugins.machine.power import Power
from taskfish.plugins.machine.resources import (
    CHASSIS,
    HEALTHY,
    MANAGER,
    ROOT,
    SYSTEM,
    Tree,
    action,
    collection,
    link,
    links,
    require_known,
    resource,
    text_of,
)
from taskfish.plugins.machine.storage import DRIVES
from taskfish.redfish.messages import base_message
from taskfish.redfish.task import Answer

MEDIA = f"{MANAGER}/VirtualMedia"
CD = f"{MEDIA}/CD1"
RESET = "Manager.Reset"
RESET_TYPES = ("ForceRestart", "GracefulRestart")
INSERT = "VirtualMedia.InsertMedia"
EJECT = "VirtualMedia.EjectMedia"


class VirtualMedia:
    """VirtualMedia/CD1: one image at most."""

    def __init__(self) -> None:
        self.image: str | None = None
        self.write_protected = True

    def add_to(self, tree: Tree) -> None:
        """Add the collection, its one member and its actions."""
        tree.add(MEDIA, lambda: collection(MEDIA, "VirtualMedia", [CD]))
        tree.add(CD, self._body)
        tree.add_action(f"{CD}/Actions/{INSERT}", self._insert)
        tree.add_action(f"{CD}/Actions/{EJECT}", self._eject)

    def _body(self) -> Body:
        inserted = self.image is not None
        return resource(
            CD,
            "VirtualMedia",
            "Virtual CD",
            MediaTypes=["CD", "DVD"],
            Image=self.image,
            ImageName=self.image.rpartition("/")[2] if self.image else None,
            Inserted=inserted,
            WriteProtected=self.write_protected,
            ConnectedVia="URI" if inserted else "NotConnected",
            TransferMethod="Stream",
            TransferProtocolType="HTTP",
            Actions=action(CD, INSERT) | action(CD, EJECT),
        )

    def _insert(self, body: Body) -> Work:
        known = ("Image", "Inserted", "WriteProtected", "UserName", "Password")
        require_known(body, (*known, "TransferMethod", "TransferProtocolType"))
        image = text_of(body, "Image", INSERT)
        if self.image is not None:
            raise refused(base_message("ResourceInUse"))

        def finish() -> Answer:
            self.image = image
            self.write_protected = body.get("WriteProtected", True) is not False
            return done()

        return Work(INSERT, finish)

    def _eject(self, body: Body) -> Work:
        def finish() -> Answer:
            self.image = None
            return done()

        return Work(EJECT, finish)


class Manager:
    """Managers/1; `leave` and `come_back` are what its own reset does."""

    def __init__(self, uuid: str, leave: Action, come_back: Action) -> None:
        self._uuid = uuid
        self._leave = leave
        self._come_back = come_back
        self.media = VirtualMedia()

    def add_to(self, tree: Tree, version: Callable[[], str]) -> None:
        """Add the Manager and its virtual media."""
        managers = f"{ROOT}/Managers"
        tree.add(managers, lambda: collection(managers, "Manager", [MANAGER]))
        tree.add(MANAGER, lambda: self._body(version()))
        tree.add_action(f"{MANAGER}/Actions/{RESET}", self._reset)
        self.media.add_to(tree)

    def _body(self, version: str) -> Body:
        allowed: dict[str, JsonValue] = {
            "ResetType@Redfish.AllowableValues": [*RESET_TYPES]
        }
        return resource(
            MANAGER,
            "Manager",
            "BMC",
            UUID=self._uuid,
            ManagerType="BMC",
            Manufacturer="Taskfish",
            Model="Emulated BMC",
            FirmwareVersion=version,
            PowerState="On",
            Status=HEALTHY,
            VirtualMedia=link(MEDIA),
            Links={
                "ManagerForServers": links([SYSTEM]),
                "ManagerForChassis": links([CHASSIS]),
                "ManagerInChassis": link(CHASSIS),
            },
            Actions=action(MANAGER, RESET, **allowed),
        )

    def _reset(self, body: Body) -> Work:
        kind = body.get("ResetType", "ForceRestart")
        if kind not in RESET_TYPES:
            raise refused(
                base_message(
                    "ActionParameterValueNotInList", str(kind), "ResetType", RESET
                )
            )

        def finish() -> Answer:
            self._come_back()
            return done()

        # The answer is out before the BMC goes: it never has a task of this.
        return Work(RESET, finish, steps=((0.2, self._leave),), lags=True, at_once=True)


def add_chassis(tree: Tree, uuid: str, power: Power) -> None:
    """Add the one Chassis."""

    def body() -> Body:
        return resource(
            CHASSIS,
            "Chassis",
            "Chassis",
            UUID=uuid,
            ChassisType="RackMount",
            Manufacturer="Taskfish",
            Model="Emulated chassis",
            SerialNumber=uuid[:8].upper(),
            PowerState=power.state,
            Status=HEALTHY,
            Links={
                "ComputerSystems": links([SYSTEM]),
                "ManagedBy": links([MANAGER]),
                "ManagersInChassis": links([MANAGER]),
                "Drives": links(DRIVES),
            },
        )

    uri = f"{ROOT}/Chassis"
    tree.add(uri, lambda: collection(uri, "Chassis", [CHASSIS]))
    tree.add(CHASSIS, body)
