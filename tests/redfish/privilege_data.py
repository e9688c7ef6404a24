"""Derive `taskfish/redfish/privileges.json` from DMTF's privilege registry.

The registry is test data beside the checkout and is not committed; what is committed
is who may do what, without its words. To write it anew:

    python -m tests.redfish.privilege_data REGISTRIES_FOLDER \
        > taskfish/redfish/privileges.json
"""

import json
import sys
from pathlib import Path
from typing import Any

Operations = dict[str, list[str]]
"""Methods, separated by blanks → the privileges of which one is enough."""


def derive(folder: Path) -> dict[str, object]:
    """Return the rows, the overrides of subordinates and those of properties."""
    (file,) = folder.glob("*PrivilegeRegistry.json")
    registry = json.loads(file.read_text())
    rows: dict[str, dict[str, Any]] = {}
    subordinates: list[dict[str, object]] = []
    properties: list[dict[str, object]] = []
    for mapping in registry["Mappings"]:
        entity = mapping["Entity"]
        operations = _operations(mapping["OperationMap"])
        row = rows.setdefault(
            json.dumps(operations), {"operations": operations, "entities": []}
        )
        row["entities"].append(entity)
        subordinates += [
            {
                "entity": entity,
                "below": override["Targets"],
                "operations": _operations(override["OperationMap"]),
            }
            for override in mapping.get("SubordinateOverrides", ())
        ]
        properties += [
            {
                "entity": entity,
                "properties": override["Targets"],
                "operations": _operations(override["OperationMap"]),
            }
            for override in mapping.get("PropertyOverrides", ())
        ]
        known = {"Entity", "OperationMap", "SubordinateOverrides", "PropertyOverrides"}
        assert set(mapping) <= known, f"{entity} has a new kind of override"
    return {
        "registry": registry["Id"],
        "rows": list(rows.values()),
        "subordinates": subordinates,
        "properties": properties,
    }


def _operations(operation_map: dict[str, list[dict[str, list[str]]]]) -> Operations:
    """Group the methods that need the same."""
    methods: dict[tuple[str, ...], list[str]] = {}
    for method, alternatives in sorted(operation_map.items()):
        assert all(len(each["Privilege"]) == 1 for each in alternatives)
        needed = tuple(each["Privilege"][0] for each in alternatives)
        methods.setdefault(needed, []).append(method)
    return {" ".join(names): list(needed) for needed, names in methods.items()}


if __name__ == "__main__":
    sections = (
        f"{json.dumps(name)}: " + json.dumps(facts).replace("}, {", "},\n{")
        for name, facts in derive(Path(sys.argv[1])).items()
    )
    sys.stdout.write("{" + ",\n".join(sections) + "}\n")
