"""The two files of temporal-dev/ that say how a Temporal server should be."""

import json
import re
import tomllib
from pathlib import Path

import taskfish
from taskfish.errors import ConfigurationError

CONFIGURATION = Path(taskfish.__file__).parent.parent / "temporal-dev"
DYNAMIC_VALUE = re.compile(r"^([\w.]+):\n +- value: (.+)\n", re.MULTILINE)


def search_attributes() -> dict[str, str]:
    """Return the type of each search attribute by its name."""
    text = (CONFIGURATION / "search-attributes.toml").read_text()
    attributes: dict[str, str] = tomllib.loads(text)
    return attributes


def dynamic_config(
    file: Path = CONFIGURATION / "dynamic-config.yaml",
) -> dict[str, object]:
    """Return the values of the server's file, which keeps to the shape it names."""
    text = re.sub(r"^ *#.*\n|^\n", "", file.read_text(), flags=re.MULTILINE)
    if unread := DYNAMIC_VALUE.sub("", text).strip():
        raise ConfigurationError(f"{file} has a shape we do not read: {unread!r}")
    return {key: json.loads(value) for key, value in DYNAMIC_VALUE.findall(text)}
