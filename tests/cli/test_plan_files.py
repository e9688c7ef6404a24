"""Plans as files have them."""

import io
from datetime import date
from pathlib import Path

import pytest
import yaml

from taskfish.cli.plan_files import STANDARD_INPUT, PlanFileError, read_plan


def plan(folder: Path, text: str) -> Path:
    """Return a file with this text."""
    file = folder / "plan.yaml"
    file.write_text(text, "utf-8")
    return file


def value(folder: Path, text: str) -> object:
    """Return what a value of a plan is read as."""
    return read_plan(plan(folder, f"Steps: []\nValue: {text}\n"))["Value"]


def test_yaml_and_json_are_read(tmp_path: Path) -> None:
    wanted = {"Steps": [{"Name": "a", "Body": {"b": [1, None, "ä"]}}]}
    text = "Steps:\n- Name: a\n  Body: {b: [1, null, ä]}\n"
    assert read_plan(plan(tmp_path, text)) == wanted
    json = '{"Steps": [{"Name": "a", "Body": {"b": [1, null, "\\u00e4"]}}]}'
    assert read_plan(plan(tmp_path, json)) == wanted


def test_steps_alone_are_a_plan(tmp_path: Path) -> None:
    assert read_plan(plan(tmp_path, "- Name: a\n")) == {"Steps": [{"Name": "a"}]}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("On", "On"),
        ("Off", "Off"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-7", -7),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("010", "010"),
        ("0x10", "0x10"),
        ("12:30:00", "12:30:00"),
        ("2026-11-27", "2026-11-27"),
        (".inf", ".inf"),
        ("-", "-"),
        ("${look#/Body/Id}", "${look#/Body/Id}"),
        ('"On"', "On"),
    ],
)
def test_words_are_what_they_seem(tmp_path: Path, text: str, wanted: object) -> None:
    if text == "-":
        text = '"-"'
    assert value(tmp_path, text) == wanted
    assert type(value(tmp_path, text)) is type(wanted)


def test_plain_loader_would_read_otherwise() -> None:
    assert yaml.safe_load("On") is True
    assert yaml.safe_load("2026-11-27") == date(2026, 11, 27)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Steps: [", "line 2|flow"),
        ("Steps: 1\nSteps: 2", "'Steps' occurs twice"),
        ("1: 2", "1 occurs twice, or is no text"),
        ("Steps: !!python/object/apply:os.getcwd []", "python"),
        ("a: &a [*a]", "recursive|Circular"),
        ("just words", "no Steps"),
        ("", "no Steps"),
        ("12", "no Steps"),
        ("Steps: \t[]", "no plan|token"),
        ("Steps: \x00", "no plan"),
        ("Steps: !!binary aGk=", "no plan"),
    ],
)
def test_what_is_no_plan_says_why(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(PlanFileError, match=why):
        read_plan(plan(tmp_path, text))


def test_file_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    for file in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(PlanFileError, match="cannot be read"):
            read_plan(file)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"Steps: \xe4")
    with pytest.raises(PlanFileError, match="no plan"):
        read_plan(latin)


def test_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Steps: []"))
    assert read_plan(STANDARD_INPUT) == {"Steps": []}
