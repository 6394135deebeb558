"""What the files around the code say agrees with the code: versions, Python versions, commands."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WORKFLOW = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")


def test_the_citation_and_the_changelog_have_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:] == sorted(
        headings[1:], key=lambda text: list(map(int, text.split("."))), reverse=True
    )
    assert PROJECT["version"] in headings


def test_the_workflow_tests_every_python_that_is_promised() -> None:
    prefix = "Programming Language :: Python :: "
    promised = [text.removeprefix(prefix) for text in PROJECT["classifiers"] if text.startswith(prefix)]
    matrix = yaml.safe_load(WORKFLOW)["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == promised
    assert matrix["os"] == ["ubuntu-latest", "macos-latest"]


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = set(re.findall(r"\bmake ([a-z]+)$", WORKFLOW, re.MULTILINE))
    for page in pages:
        named |= set(re.findall(r"(?:`|^)make ([a-z]+)\b", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"lint", "test", "demo", "docs"} <= named
    assert named <= targets


def test_commit_hooks_run_what_make_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    tools = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks}
    assert set(re.findall(r"^\t\$\(BIN\)/(ruff|mypy|lint-imports)\b", MAKEFILE, re.MULTILINE)) <= tools


def test_the_architecture_page_has_the_layers_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [
        sorted(name.strip().removeprefix("slakh_hier.") for name in layer.split("|"))
        for layer in reversed(contracts[0]["layers"])
    ]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("| package | question it answers |")[1].split("\n\n")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    shown = [re.findall(r"`([\w.]+)`", cell.split(" (folder")[0]) for cell in cells]
    assert [sorted(name.removeprefix("slakh_hier.") for name in names) for names in shown] == layers


def test_the_badges_are_true() -> None:
    spec = importlib.util.spec_from_file_location("badges", ROOT / "docs" / "scripts" / "badges.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for file, text in module.badges().items():
        assert (ROOT / "docs" / "images" / file).read_text(encoding="utf-8") == text, "run: make screenshots"
        assert f"docs/images/{file}" in (ROOT / "README.md").read_text(encoding="utf-8")
