"""The Storage of a machine: drives, and volumes that come and go."""

from collections.abc import Callable
from itertools import count
from typing import Final

from pydantic import JsonValue

from taskfish.plugins.machine.answers import Body, done, refused
from taskfish.plugins.machine.jobs import Work
from taskfish.plugins.machine.resources import (
    HEALTHY,
    SYSTEM,
    Tree,
    apply_time_of,
    apply_time_support,
    collection,
    link,
    links,
    object_of,
    require_known,
    require_listed,
    resource,
)
from taskfish.redfish.messages import base_message
from taskfish.redfish.task import Answer

STORAGES = f"{SYSTEM}/Storage"
STORAGE = f"{STORAGES}/1"
VOLUMES = f"{STORAGE}/Volumes"
CONTROLLERS = f"{STORAGE}/Controllers"
DRIVES: Final = tuple(f"{STORAGE}/Drives/{number}" for number in range(4))
DRIVE_BYTES: Final = 960_000_000_000
FEWEST_DRIVES: Final = {"RAID0": 1, "RAID1": 2, "RAID5": 3, "RAID6": 4, "RAID10": 4}
VOLUME_PROPERTIES: Final = (
    "Name",
    "RAIDType",
    "VolumeType",
    "CapacityBytes",
    "DisplayName",
    "InitializeMethod",
    "Encrypted",
    "ReadCachePolicy",
    "WriteCachePolicy",
    "Links",
)


class Storage:
    """Storage/1 with four drives; the volumes stay over resets and restarts."""

    def __init__(self, serial: str) -> None:
        self._serial = serial
        self.volumes: dict[str, Body] = {}
        self._next_id = 1
        self._created = 0

    def add_to(self, tree: Tree, reuse_ids: bool, apply_times: bool) -> None:
        """Add the Storage, its drives and the volumes there are now."""
        tree.add(STORAGES, lambda: collection(STORAGES, "Storage", [STORAGE]))
        tree.add(STORAGE, self._body)
        controller = f"{CONTROLLERS}/1"
        tree.add(
            CONTROLLERS,
            lambda: collection(CONTROLLERS, "StorageController", [controller]),
        )
        tree.add(controller, lambda: self._controller(controller))
        for number, uri in enumerate(DRIVES):
            tree.add(uri, self._drive(number, uri))
        tree.add(
            VOLUMES,
            lambda: self._collection(apply_times),
            POST=lambda body: self._create(body, reuse_ids),
        )
        for volume_id in self.volumes:
            uri = f"{VOLUMES}/{volume_id}"
            tree.add(uri, self._volume(volume_id), DELETE=self._delete(volume_id))

    def _body(self) -> Body:
        return resource(
            STORAGE,
            "Storage",
            "RAID storage",
            Status=HEALTHY,
            Drives=links(DRIVES),
            Volumes=link(VOLUMES),
            Controllers=link(CONTROLLERS),
            **{"Drives@odata.count": len(DRIVES)},
        )

    def _controller(self, uri: str) -> Body:
        return resource(
            uri,
            "StorageController",
            "RAID controller",
            Manufacturer="Taskfish",
            Model="Emulated controller",
            SupportedRAIDTypes=list(FEWEST_DRIVES),
            Status=HEALTHY,
        )

    def _drive(self, number: int, uri: str) -> Callable[[], Body]:
        def body() -> Body:
            return resource(
                uri,
                "Drive",
                f"Drive {number}",
                Manufacturer="Taskfish",
                Model="Emulated drive",
                SerialNumber=f"{self._serial}-{number}",
                CapacityBytes=DRIVE_BYTES,
                MediaType="SSD",
                Protocol="SATA",
                BlockSizeBytes=512,
                Status=HEALTHY,
                Links={"Volumes": links(self._volumes_on(uri))},
            )

        return body

    def _volumes_on(self, drive: str) -> list[str]:
        return [
            f"{VOLUMES}/{volume_id}"
            for volume_id, volume in self.volumes.items()
            if link(drive) in _drives_of(volume)
        ]

    def _collection(self, apply_times: bool) -> Body:
        members = [f"{VOLUMES}/{volume_id}" for volume_id in self.volumes]
        support = apply_time_support(apply_times)
        return collection(VOLUMES, "Volume", members, **support)

    def _volume(self, volume_id: str) -> Callable[[], Body]:
        return lambda: dict(self.volumes[volume_id])

    def _create(self, body: Body, reuse_ids: bool) -> Work:
        require_known(body, VOLUME_PROPERTIES)
        raid_type = body.get("RAIDType", "RAID0")
        require_listed(raid_type, FEWEST_DRIVES, "RAIDType")
        name = body.get("Name", "")
        if not isinstance(name, str):
            raise refused(base_message("PropertyValueTypeError", str(name), "Name"))
        drives = self._chosen_drives(body, FEWEST_DRIVES[str(raid_type)])
        capacity = _capacity(body, str(raid_type), len(drives))
        apply_time = apply_time_of(body)

        def finish() -> Answer:
            volume_id = self._new_id(reuse_ids)
            uri = f"{VOLUMES}/{volume_id}"
            self.volumes[volume_id] = resource(
                uri,
                "Volume",
                name or f"Volume {volume_id}",
                RAIDType=raid_type,
                CapacityBytes=capacity,
                BlockSizeBytes=512,
                Status=HEALTHY,
                Identifiers=[self._identifier()],
                Links={"Drives": links(drives), "Drives@odata.count": len(drives)},
            )
            answer = self.volumes[volume_id]
            return Answer(status=201, headers={"Location": uri}, body=dict(answer))

        return Work(
            "Volume.Create",
            finish,
            long=True,
            waits_for_reset=apply_time == "OnReset",
            apply_time=apply_time,
        )

    def _chosen_drives(self, body: Body, fewest: int) -> list[str]:
        chosen = object_of(body, "Links").get("Drives", links(DRIVES))
        if not isinstance(chosen, list):
            raise refused(
                base_message("PropertyValueTypeError", str(chosen), "Links/Drives")
            )
        uris = []
        for entry in chosen:
            uri = entry.get("@odata.id") if isinstance(entry, dict) else entry
            require_listed(uri, DRIVES, "Links/Drives")
            uris.append(str(uri))
        if len(set(uris)) < fewest:
            raise refused(
                base_message("PropertyValueOutOfRange", str(len(uris)), "Links/Drives")
            )
        return uris

    def _new_id(self, reuse_ids: bool) -> str:
        if reuse_ids:
            taken = set(self.volumes)
            number = next(n for n in count(1) if str(n) not in taken)
        else:
            number = self._next_id
        self._next_id = max(self._next_id, number + 1)
        return str(number)

    def _identifier(self) -> Body:
        """Return a name that no other volume ever has, reused id or not."""
        self._created += 1
        name = f"6{self._serial:0>8}{self._created:023X}"
        return {"DurableNameFormat": "NAA", "DurableName": name}

    def _delete(self, volume_id: str) -> Callable[[Body], Work]:
        def work(body: Body) -> Work:
            apply_time = apply_time_of(body)

            def finish() -> Answer:
                self.volumes.pop(volume_id, None)
                return done()

            return Work(
                "Volume.Delete",
                finish,
                long=True,
                waits_for_reset=apply_time == "OnReset",
                apply_time=apply_time,
            )

        return work


def _drives_of(volume: Body) -> list[JsonValue]:
    drives = object_of(volume, "Links").get("Drives")
    return drives if isinstance(drives, list) else []


def _capacity(body: Body, raid_type: str, drives: int) -> int:
    lost = {"RAID1": drives - 1, "RAID5": 1, "RAID6": 2, "RAID10": drives // 2}
    most = (drives - lost.get(raid_type, 0)) * DRIVE_BYTES
    wanted = body.get("CapacityBytes")
    if wanted is None:
        return most
    if not isinstance(wanted, int) or isinstance(wanted, bool):
        raise refused(
            base_message("PropertyValueTypeError", str(wanted), "CapacityBytes")
        )
    if not 0 < wanted <= most:
        raise refused(
            base_message("PropertyValueOutOfRange", str(wanted), "CapacityBytes")
        )
    return wanted
