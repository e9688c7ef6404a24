"""The ComputerSystem with its boot settings, its BIOS and its network interface."""

from collections.abc import Callable
from typing import Final

from pydantic import JsonValue

from taskfish.plugins.machine.answers import Body, done, refused
from taskfish.plugins.machine.jobs import Work
from taskfish.plugins.machine.power import RESET, RESET_TYPES, Power
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
    object_of,
    require_known,
    require_listed,
    resource,
    timestamp,
)
from taskfish.redfish.messages import base_message
from taskfish.redfish.schema import SCHEMA
from taskfish.redfish.task import Answer

BIOS = f"{SYSTEM}/Bios"
SETTINGS = f"{BIOS}/Settings"
INTERFACES = f"{SYSTEM}/EthernetInterfaces"
DEFAULT_ORDER: Final[tuple[str, ...]] = ("Boot0000", "Boot0001", "Boot0002")
OVERRIDES: Final[dict[str, tuple[str, ...]]] = {
    "BootSourceOverrideEnabled": ("Disabled", "Once", "Continuous"),
    "BootSourceOverrideMode": ("Legacy", "UEFI"),
    "BootSourceOverrideTarget": ("None", "Pxe", "Hdd", "Cd", "Usb", "BiosSetup"),
}
DEFAULT_ATTRIBUTES: Final[dict[str, JsonValue]] = {
    "BootMode": "Uefi",
    "NumLock": "On",
    "ProcHyperthreading": "Enabled",
    "ProcTurboMode": "Enabled",
    "SriovGlobalEnable": "Disabled",
    "AdminPhone": "",
}


class System:
    """Systems/1; what a boot applies is `apply_at_boot`."""

    def __init__(self, name: str, uuid: str, power: Power) -> None:
        self.name = name
        self.uuid = uuid
        self.power = power
        self.asset_tag = ""
        self.boot_order = list(DEFAULT_ORDER)
        self.overrides = {
            "BootSourceOverrideEnabled": "Disabled",
            "BootSourceOverrideMode": "UEFI",
            "BootSourceOverrideTarget": "None",
        }
        self.attributes = dict(DEFAULT_ATTRIBUTES)
        self.pending: dict[str, JsonValue] = {}

    def apply_at_boot(self) -> None:
        """Take over pending BIOS attributes and use up a boot override of Once."""
        self.attributes |= self.pending
        self.pending = {}
        if self.overrides["BootSourceOverrideEnabled"] == "Once":
            self.overrides["BootSourceOverrideEnabled"] = "Disabled"
            self.overrides["BootSourceOverrideTarget"] = "None"

    def add_to(self, tree: Tree, version: Callable[[], str], exclusive: bool) -> None:
        """Add the System and what is below it, but for its Storage."""
        systems = f"{ROOT}/Systems"
        tree.add(systems, lambda: collection(systems, "ComputerSystem", [SYSTEM]))
        tree.add(SYSTEM, lambda: self._body(version()), PATCH=self._patch)
        actions = f"{SYSTEM}/Actions"
        tree.add_action(
            f"{actions}/{RESET}", lambda body: self.power.reset(body, exclusive)
        )
        tree.add_action(
            f"{actions}/ComputerSystem.SetDefaultBootOrder", self._default_boot_order
        )
        tree.add(BIOS, self._bios)
        tree.add_action(f"{BIOS}/Actions/Bios.ResetBios", self._reset_bios)
        tree.add(SETTINGS, self._settings, PATCH=self._patch_settings)
        interface = f"{INTERFACES}/1"
        tree.add(
            INTERFACES,
            lambda: collection(INTERFACES, "EthernetInterface", [interface]),
        )
        tree.add(interface, lambda: self._interface(interface))

    def _body(self, version: str) -> Body:
        last_reset = self.power.last_reset
        allowed: Body = {"ResetType@Redfish.AllowableValues": [*RESET_TYPES]}
        return resource(
            SYSTEM,
            "ComputerSystem",
            self.name,
            UUID=self.uuid,
            SystemType="Physical",
            Manufacturer="Taskfish",
            Model="Emulated machine",
            SerialNumber=self.uuid[:8].upper(),
            SKU="TF-1",
            PartNumber="TF-1",
            AssetTag=self.asset_tag,
            HostName=self.name,
            BiosVersion=version,
            PowerState=self.power.state,
            LastResetTime=timestamp(last_reset) if last_reset else None,
            LocationIndicatorActive=False,
            Status=HEALTHY,
            ProcessorSummary={"Count": 2, "Model": "Emulated"},
            MemorySummary={"TotalSystemMemoryGiB": 64},
            Boot=self._boot(),
            Bios=link(BIOS),
            Storage=link(f"{SYSTEM}/Storage"),
            EthernetInterfaces=link(INTERFACES),
            Links={"Chassis": links([CHASSIS]), "ManagedBy": links([MANAGER])},
            Actions=action(SYSTEM, RESET, **allowed)
            | action(SYSTEM, "ComputerSystem.SetDefaultBootOrder"),
        )

    def _boot(self) -> Body:
        boot: Body = {"BootOrder": [*self.boot_order], **self.overrides}
        for name in ("BootSourceOverrideMode", "BootSourceOverrideTarget"):
            boot[f"{name}@Redfish.AllowableValues"] = [*OVERRIDES[name]]
        return boot

    def _patch(self, body: Body) -> Work:
        require_known(body, ("Boot", "AssetTag"))
        boot = object_of(body, "Boot")
        require_known(boot, ("BootOrder", *OVERRIDES))
        for name, value in boot.items():
            if name in OVERRIDES:
                require_listed(value, OVERRIDES[name], f"Boot/{name}")
        if "BootOrder" in boot:
            self._require_boot_order(boot["BootOrder"])
        tag = body.get("AssetTag", self.asset_tag)
        if not isinstance(tag, str):
            raise refused(base_message("PropertyValueTypeError", str(tag), "AssetTag"))
        return Work(
            "ComputerSystem.Update", lambda: self._take(boot, tag), shows=SYSTEM
        )

    def _require_boot_order(self, order: JsonValue) -> None:
        if not isinstance(order, list):
            raise refused(
                base_message("PropertyValueTypeError", str(order), "Boot/BootOrder")
            )
        for entry in order:
            require_listed(entry, DEFAULT_ORDER, "Boot/BootOrder")

    def _take(self, boot: Body, tag: str) -> Answer:
        self.asset_tag = tag
        for name in OVERRIDES:
            self.overrides[name] = str(boot.get(name, self.overrides[name]))
        order = boot.get("BootOrder")
        if isinstance(order, list):
            self.boot_order = [str(entry) for entry in order]
        return done()

    def _default_boot_order(self, body: Body) -> Work:
        def finish() -> Answer:
            self.boot_order = list(DEFAULT_ORDER)
            return done()

        return Work("ComputerSystem.SetDefaultBootOrder", finish)

    def _bios(self) -> Body:
        settings: Body = {
            "@Redfish.Settings": {
                "@odata.type": SCHEMA.odata_type("Settings"),
                "SettingsObject": link(SETTINGS),
                "SupportedApplyTimes": ["OnReset"],
            }
        }
        return resource(
            BIOS,
            "Bios",
            "BIOS",
            Attributes=dict(self.attributes),
            Actions=action(BIOS, "Bios.ResetBios"),
            **settings,
        )

    def _settings(self) -> Body:
        attributes = self.attributes | self.pending
        return resource(
            SETTINGS, "Bios", "Pending BIOS settings", Attributes=attributes
        )

    def _patch_settings(self, body: Body) -> Work:
        require_known(body, ("Attributes",))
        attributes = object_of(body, "Attributes")
        for name in attributes:
            if name not in DEFAULT_ATTRIBUTES:
                raise refused(base_message("PropertyUnknown", f"Attributes/{name}"))

        def finish() -> Answer:
            self.pending |= attributes
            return done()

        return Work("Bios.Update", finish, shows=SETTINGS)

    def _reset_bios(self, body: Body) -> Work:
        def finish() -> Answer:
            self.pending = dict(DEFAULT_ATTRIBUTES)
            return done()

        return Work("Bios.ResetBios", finish)

    def _interface(self, uri: str) -> Body:
        digits = self.uuid.replace("-", "")
        pairs = [digits[start : start + 2] for start in range(0, 10, 2)]
        return resource(
            uri,
            "EthernetInterface",
            "Interface 1",
            MACAddress=":".join(["02", *pairs]),
            SpeedMbps=10000,
            LinkStatus="LinkUp",
            InterfaceEnabled=True,
            Status=HEALTHY,
        )
