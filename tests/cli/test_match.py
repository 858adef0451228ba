"""`imagectl nmp match` on the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from controller.cli.main import imagectl
from controller.errors import InvalidSettings
from tests.fake_agent import FakeAgent
from tests.policy.drafts import RULE, a_draft, posted_forms

CLEANING = [{"name": "purpose", "value": "cleaning"}]
NODES: dict[str, dict[str, object]] = {
    "lyon": {"org": "myorg", "id": "lyon", "policy": {"properties": [{"name": "site", "value": "lyon"}]}},
    "paris": {"org": "myorg", "id": "paris", "policy": {"properties": [{"name": "site", "value": "paris"}]}},
    "gateway": {"org": "myorg", "id": "gateway", "pattern": "gateway"},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the command: five documents in policies/, three nodes in nodes/."""
    monkeypatch.chdir(tmp_path)
    a_document("all")
    a_document("lyon", constraints=["site == lyon"])
    a_document("paris", constraints=['site == "paris"'])
    a_document("gateways", patterns=["gateway"])
    a_document("small", constraints=["openhorizon.cpu > 0"])
    for name, node in NODES.items():
        a_file(f"nodes/{name}.json", node)
    return tmp_path


def a_document(name: str, /, **changes: object) -> None:
    a_file(f"policies/{name}.json", a_draft(properties=CLEANING, **changes))


def a_file(path: str, content: Mapping[str, object] | str) -> None:
    file = Path(path)
    file.parent.mkdir(exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    os.utime(file, (0, 0))


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(imagectl, ["nmp", "match", *arguments])


def values(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "-o", "json").stdout)
    return found


def test_a_node_whose_name_has_hidden_characters_shows_them() -> None:
    a_file("nodes/odd.json", json.dumps({"org": "myorg", "id": "gw\u202e\u001b[2J", "policy": {}}))
    done = run("--node", "nodes/odd.json")
    assert done.stderr.replace("\n", "").isprintable()


# ── one node ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_document_applies_or_not_and_why() -> None:
    done = run("--node", "nodes/lyon.json")
    assert done.exit_code == 0
    satisfied = "the constraints on both sides are satisfied, and neither side has patterns"
    assert done.stdout == (
        "DOCUMENT   APPLIES   WHY\n"
        f"all        yes       {satisfied}\n"
        'gateways   no        the document is for nodes with the pattern "gateway", and the node has none\n'
        f"lyon       yes       {satisfied}\n"
        'paris      no        constraint \'site == "paris"\' is not satisfied: the node has site = "lyon"\n'
        f"small      yes       {satisfied}\n"
    )
    assert done.stderr == "3 of 5 documents apply to myorg/lyon (as nodes/lyon.json says)\n"


def test_without_a_node_it_is_this_host_without_pattern_and_policy() -> None:
    done = run()
    assert done.stderr == "2 of 5 documents apply to this node (no node file and no agent is configured)\n"


def test_the_node_may_be_that_of_an_agent() -> None:
    with FakeAgent() as agent:
        agent.pattern = "gateway"
        done = run("--agent-url", agent.url, "policies/gateways.json")
        assert (done.exit_code, done.stderr.split(" (")[0]) == (0, "1 of 1 document applies to myorg/gw-1")


def test_the_node_may_be_named_in_the_environment_as_for_the_controller() -> None:
    assert "myorg/paris" in run(IMAGECTL_NODE="nodes/paris.json").stderr


def test_files_and_folders_of_documents_can_be_named() -> None:
    a_file("new.yaml", "label: new\nenabled: true\nimage_policy: {removal: []}\n")
    names = [row["name"] for row in values("new.yaml", "policies", "new.yaml")["documents"]]
    assert names == ["all", "gateways", "lyon", "paris", "small", "new"]


def test_json_and_yaml_say_the_same_for_programs() -> None:
    said = values("--node", "nodes/gateway.json", "policies/gateways.json")
    assert said["node"]["pattern"] == "myorg/gateway"
    assert said["node"]["is_known"]
    (row,) = said["documents"]
    assert (row["name"], row["file"], row["line"], row["applies"]) == (
        "policies/gateways",
        "policies/gateways.json",
        1,
        True,
    )
    assert said["problems"] == []
    as_yaml = run("--node", "nodes/gateway.json", "policies/gateways.json", "-o", "yaml").stdout
    assert yaml.safe_load(as_yaml) == said


def test_what_is_not_in_force_on_any_node_says_so() -> None:
    a_document("off", enabled=False)
    a_document("other", image_policy=...)
    whys = {row["name"]: row["why"] for row in values()["documents"]}
    assert whys["off"] == "enabled is false"
    assert whys["other"] == "ignored (no image policy)"


# ── what is wrong ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_document_with_an_error_is_reported_and_the_others_are_matched() -> None:
    a_document("bad", enabled="yes")
    done = run()
    assert done.exit_code == 1
    assert "bad        no        1 error\n" in done.stdout
    assert "policies/bad.json:1:36: error: enabled: must be true or false" in done.stderr
    assert "all        yes" in done.stdout


def test_no_document_applies_to_a_node_that_is_unknown() -> None:
    a_file("node.yaml", "polcy: {}\n")
    done = run("--node", "node.yaml")
    assert done.exit_code == 1
    assert "the node is unknown: node.yaml:1:1: error: polcy: unknown field in a node" in done.stderr
    assert not any(row["applies"] for row in values("--node", "node.yaml")["documents"])


def test_a_missing_node_file_is_an_unknown_node() -> None:
    assert run("--node", "missing.yaml").exit_code == 1


def test_a_folder_without_documents_is_wrong() -> None:
    Path("empty").mkdir()
    done = run("empty")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "empty holds no policy documents" in done.stderr


@pytest.mark.timeout(10)
def test_a_named_path_that_is_not_a_file_is_an_error() -> None:
    os.mkfifo("fifo.yaml")
    for arguments in (("--nodes", "fifo.yaml"), ("fifo.yaml",), ("--node", "fifo.yaml"), ("/dev/null",)):
        done = run(*arguments)
        assert (done.exit_code, "not a file, and cannot be read" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nodes", "nodes", "--node", "nodes/lyon.json"),
        ("--nodes", "nodes", "--agent-url", "http://localhost:8510"),
        ("--nodes", "missing"),
        ("missing.yaml",),
        ("-o", "name"),
    ],
)
def test_wrong_usage_is_refused(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


# ── a fleet ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_for_a_fleet_each_document_shows_the_number_of_nodes_and_their_names() -> None:
    done = run("--nodes", "nodes")
    assert done.exit_code == 0
    assert done.stdout == (
        "DOCUMENT   APPLIES TO     NODES\n"
        "all        2 of 3 nodes   myorg/lyon, myorg/paris\n"
        "gateways   1 of 3 nodes   myorg/gateway\n"
        "lyon       1 of 3 nodes   myorg/lyon\n"
        "paris      1 of 3 nodes   myorg/paris\n"
        "small      0 of 3 nodes   -\n"
    )
    assert done.stderr == "5 documents, 3 nodes in nodes\n"


def test_wide_shows_the_reasons_with_their_numbers_of_nodes() -> None:
    a_file("nodes/lyon-2.json", {**NODES["lyon"], "id": "lyon-2"})
    lines = run("--nodes", "nodes", "policies/lyon.json", "-o", "wide").stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["APPLIES", "yes", "no", "no"]
    assert lines[1].split("   ")[-1] == "the constraints on both sides are satisfied, and neither side has patterns"
    assert "   2       myorg/lyon, myorg/lyon-2   " in lines[1]


def test_nodes_beyond_one_line_are_counted() -> None:
    a_file("fleet.jsonl", "\n".join(json.dumps({"id": f"n{number}", "policy": {}}) for number in range(1234)))
    done = run("--nodes", "fleet.jsonl", "policies/all.json")
    assert "1,234 of 1,234 nodes   n0, n1, n10 and 1,231 more" in done.stdout
    (row,) = values("--nodes", "fleet.jsonl", "policies/all.json")["documents"]
    assert (row["applies_to"], row["of"], len(row["nodes"])) == (1234, 1234, 1234)


def test_reasons_beyond_one_page_are_counted() -> None:
    nodes = [{"id": f"n{n}", "policy": {"properties": [{"name": "site", "value": f"s{n}"}]}} for n in range(30)]
    a_file("fleet.jsonl", "\n".join(map(json.dumps, nodes)))
    lines = run("--nodes", "fleet.jsonl", "policies/paris.json", "-o", "wide").stdout.splitlines()
    assert len(lines) == 1 + 10 + 1
    assert lines[-1].endswith("   20      -         20 further reasons")


def test_a_node_of_a_fleet_has_only_the_builtin_properties_that_its_file_gives() -> None:
    assert values("--nodes", "nodes", "policies/small.json")["documents"][0]["applies_to"] == 0
    cpu = {"name": "openhorizon.cpu", "value": 4}
    a_file("nodes/counted.json", {"id": "counted", "policy": {"properties": [cpu]}})
    assert values("--nodes", "nodes", "policies/small.json")["documents"][0]["nodes"] == ["counted"]


def test_a_bad_node_is_reported_and_the_others_are_matched() -> None:
    a_file("nodes/bad.yaml", "id: [\n")
    done = run("--nodes", "nodes")
    assert done.exit_code == 1
    assert "nodes/bad.yaml:2:1: error: " in done.stderr
    assert "all        2 of 3 nodes" in done.stdout


# ── images ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def a_plan(node: Mapping[str, object], *references: str) -> str:
    rows = [{"reference": name, "verdict": "NO_RULE", "agent_downloaded": "yes"} for name in references]
    return json.dumps({"references": rows, "node": node})


def test_with_a_plan_the_images_that_a_document_could_remove_are_shown() -> None:
    a_file("plan.json", a_plan({"why": ""}, "old:1", "old:2", "new:1"))
    arguments = ("--node", "nodes/lyon.json", "--plan", "plan.json", "policies/all.json", "policies/paris.json")
    assert [row["could_remove"] for row in values(*arguments)["documents"]] == [["old:1", "old:2"], []]
    assert "COULD REMOVE" in run(*arguments).stdout
    assert "old:1, old:2" in run(*arguments).stdout


def a_posted_document(image_policy: str, **changes: object) -> dict[str, Any]:
    """With the image policy as text in a property."""
    held = {"name": "image_policy", "type": "string", "value": image_policy}
    return a_draft(image_policy=..., properties=[*CLEANING, held], **changes)


@pytest.mark.parametrize("number", range(3), ids=["exported", "saved answer", "list of hzn"])
def test_a_posted_form_is_matched_with_the_images_of_its_property(number: int) -> None:
    a_file("plan.json", a_plan({"why": ""}, "old:1", "new:1"))
    for file, constraints in (("lyon.json", ["site == lyon"]), ("paris.json", ["site == paris"])):
        document = a_posted_document(json.dumps({"removal": [RULE]}), constraints=constraints)
        a_file(file, posted_forms(document)[number].decode())
    rows = [
        values("--node", "nodes/lyon.json", "--plan", "plan.json", file)["documents"][0]
        for file in ("lyon.json", "paris.json")
    ]
    assert [(row["applies"], row["could_remove"]) for row in rows] == [(True, ["old:1"]), (False, [])]


@pytest.mark.parametrize("data", posted_forms(a_posted_document("null")))
def test_a_posted_form_whose_property_cannot_be_read_is_an_error_of_match(data: bytes) -> None:
    a_file("posted.json", data.decode())
    done = run("--node", "nodes/lyon.json", "posted.json")
    assert done.exit_code == 1
    assert "properties: the property image_policy is null" in done.stderr


def test_a_plan_of_another_node_is_refused() -> None:
    a_file("plan.json", a_plan({"org": "myorg", "id": "paris"}, "old:1"))
    done = run("--node", "nodes/lyon.json", "--plan", "plan.json")
    assert isinstance(done.exception, InvalidSettings)
    assert str(done.exception) == "plan.json has no plan of myorg/lyon"


def test_with_the_plans_of_a_fleet_the_images_are_shown_by_node() -> None:
    plans = [a_plan({"org": "myorg", "id": "lyon"}, "old:1"), a_plan({"org": "myorg", "id": "paris"}, "old:1", "old:2")]
    a_file("plans.json", "\n".join(plans))
    arguments = ("--nodes", "nodes", "--plan", "plans.json", "policies/all.json")
    (row,) = values(*arguments)["documents"]
    assert row["could_remove"] == {"myorg/lyon": ["old:1"], "myorg/paris": ["old:1", "old:2"]}
    assert run(*arguments).stdout.splitlines()[1].endswith("   old:1, old:2 on 2 nodes")


def test_a_plan_of_a_node_that_is_not_in_the_fleet_is_reported() -> None:
    a_file("plans.json", a_plan({"org": "myorg", "id": "rome"}, "old:1"))
    done = run("--nodes", "nodes", "--plan", "plans.json")
    assert done.exit_code == 1
    assert "plans.json has a plan of myorg/rome, which is not one of the nodes" in done.stderr
