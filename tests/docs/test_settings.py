"""Every setting, metric and variable is documented, and nothing is documented that is not there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from broadaxe.config import SETTINGS, Setting, Settings
from broadaxe.metrics import Tallies
from broadaxe.rest.gauges import queue_gauges, slot_gauges
from broadaxe.rest.metrics import Metrics

ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]*)` \|(.*)\|$", re.MULTILINE)
#: Variables that are no settings of the engine: the demo's own port, the pattern of the env file, the tests' browser,
#: the password for `tenant create`.
OTHER_VARIABLES = {
    "BROADAXE_CHAT_PORT",
    "BROADAXE_DATABASE_URL_NAME",
    "BROADAXE_ENGINE_DATABASE_URL",
    "BROADAXE_CHROMIUM",
    "BROADAXE_ACCOUNT_PASSWORD",
    "BROADAXE_OWNER_PASSWORD",
    "BROADAXE_FROM_TOKEN",
    "BROADAXE_MCP_TOKEN",
    "BROADAXE_PROFILE",
    "BROADAXE_TOKEN",
    "BROADAXE_URL",
}


def rows(text: str) -> dict[str, list[str]]:
    """Table rows that begin with a variable: its other cells by its name."""
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in ROW.findall(text)}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.field)
def test_every_setting_has_a_row_with_its_flag_and_default(docs: dict[str, Any], setting: Setting) -> None:
    documented = rows(docs["configuration"].text)
    assert setting.variable in documented, f"docs/configuration.md lacks a row for {setting.variable}"
    flag, default, meaning = documented[setting.variable]
    flags = {"require_login": "--login", "extra_databases": "--extra-database"}
    assert flags.get(setting.field, setting.flag if setting.has_flag else "none") in flag
    value = getattr(Settings(), setting.field)
    if isinstance(value, bool):
        assert f"`{str(value).lower()}`" in default
    elif value not in (None, ()):
        assert default == f"`{value}`"
    assert meaning


def test_no_page_names_a_variable_that_does_not_exist(pages: list[Any]) -> None:
    known = {setting.variable for setting in SETTINGS} | OTHER_VARIABLES
    for page in pages:
        unknown = set(re.findall(r"BROADAXE_[A-Z_]*[A-Z]", page.text)) - known
        assert not unknown, f"{page.name} names {unknown}"


def test_the_chats_variables_are_exactly_those_it_reads(docs: dict[str, Any], root: Path) -> None:
    source = (root / "examples/rag_chat/src/rag_chat/settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"((?:RAG_CHAT|OPENAI|OLLAMA)_[A-Z_]+)"', source))
    assert len(read) > 10
    assert set(rows(docs["rag-chat"].text)) == read


def test_every_metric_of_ours_is_documented_under_its_exposed_name(docs: dict[str, Any]) -> None:
    exposed = set(re.findall(r"^# TYPE (hatchet_\w+) ", Metrics(Tallies()).render().decode(), re.MULTILINE))
    # The client library exposes the time a counter was made beside the counter itself.
    exposed = {name for name in exposed if not name.endswith("_created")}
    of_tenant = {gauge.name for gauge in [*slot_gauges([]), *queue_gauges([], [])]}
    of_tenant |= set(
        re.findall(r"^# TYPE hatchet_tenant_(\w+) ", Metrics(Tallies()).render_tenant("t", []).decode(), re.MULTILINE)
    )
    # Those of the process are documented once.
    shared = {name.removeprefix("hatchet_").removesuffix("_total") for name in exposed}
    expected = exposed | {f"hatchet_tenant_{name}" for name in of_tenant - shared}
    documented = re.findall(r"^\| `(hatchet_\w+)` \|", docs["observability"].text, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) == expected


def test_no_page_names_a_metric_that_does_not_exist(docs: dict[str, Any], pages: list[Any]) -> None:
    documented = set(re.findall(r"^\| `(hatchet_\w+)` \|", docs["observability"].text, re.MULTILINE))
    for page in pages:
        named = {span for span in page.spans if re.fullmatch(r"hatchet_(?!sdk|_)\w+", span)}
        # In prose a metric of a tenant may stand for all of them.
        assert named <= documented | {"hatchet_tenant_created_tasks"}, page.name
