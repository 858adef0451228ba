"""`imagectl nmp export --exchange`: valid documents only, in a form that the Exchange accepts and sync reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from controller.cli.main import imagectl
from controller.cli.nmp_export import STOCK_AGENTS
from controller.cli.sync import AUTH_VARIABLE
from controller.policy.document.parse import parse_documents
from tests.fake_exchange import CREDENTIALS, ORGANISATION, FakeExchange

SWEEP = """\
label: sweep
enabled: true
constraints: [site == paris]
image_policy:
  removal:
    - image_name: team/*/edge/*/app:1
      delete_after_minutes: 1440
      agent_downloaded_only: true
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP)
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(imagectl, ["nmp", "export", "--exchange", *map(str, arguments)], catch_exceptions=False)


def test_the_image_policy_becomes_json_text_in_a_property(sweep: Path) -> None:
    result = run(sweep)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    (image_policy,) = document.pop("properties")
    assert (image_policy["name"], image_policy["type"]) == ("image_policy", "string")
    rule = {"image_name": "team/*/edge/*/app:1", "delete_after_minutes": 1440, "agent_downloaded_only": True}
    assert json.loads(image_policy["value"]) == {"removal": [rule]}
    assert document == {
        "label": "sweep",
        "description": "",
        "constraints": ["site == paris"],
        "enabled": True,
        "start": "now",
        "startWindow": 0,
    }


def test_it_notes_stock_agents_and_prints_the_command_of_hzn(sweep: Path, tmp_path: Path) -> None:
    command = "post it with: hzn exchange nmp add sweep -f sweep.json"
    assert run(sweep).stderr == f"{STOCK_AGENTS}\n{command}\n"
    sweep.write_text(SWEEP.replace("constraints: [site == paris]", "constraints: []"))
    assert run(sweep).stderr.endswith(f"{command} --no-constraints\n")
    out = tmp_path / "a folder"
    out.mkdir()
    command = f"post it with: hzn exchange nmp add sweep -f '{out}/sweep.json' --no-constraints\n"
    assert run(sweep, "--into", out).stderr.endswith(command)


@pytest.mark.parametrize("command", ["validate", "export"])
def test_what_is_posted_can_be_checked_before(sweep: Path, tmp_path: Path, command: str) -> None:
    exported = tmp_path / "exported.json"
    exported.write_text(run(sweep).stdout)
    broken = tmp_path / "broken.json"
    broken.write_text(exported.read_text().replace("delete_after_minutes", "delete_after_minute"))
    options = ["--exchange"] if command == "export" else []
    results = [CliRunner().invoke(imagectl, ["nmp", command, *options, str(file)]) for file in (exported, broken)]
    assert [result.exit_code for result in results] == [0, 1]
    assert "unknown field" in results[1].output


def test_two_documents_that_would_have_one_name_at_the_exchange_are_refused(sweep: Path, tmp_path: Path) -> None:
    folder = tmp_path / "paris"
    folder.mkdir()
    answer = {"managementPolicy": {f"{org}/x": yaml.safe_load(SWEEP) for org in ("a", "b")}}
    (folder / "x.json").write_text(json.dumps(answer))
    result = run(folder / "x.json", "--into", folder)
    assert result.exit_code == 2
    assert "a/x and b/x would both be posted as x: rename one" in result.stderr


def test_the_text_has_no_comment_or_variable_for_hzn(sweep: Path) -> None:
    sweep.write_text(SWEEP.replace("label: sweep", "label: $HOME /* x */"))
    result = run(sweep)
    assert json.loads(result.stdout)["label"] == "$HOME /* x */"
    assert "$" not in result.stdout
    assert "/*" not in result.stdout


def test_an_exported_policy_is_read_by_sync(sweep: Path, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    with FakeExchange() as exchange:
        exchange.put("sweep", json.loads(run(sweep).stdout))
        options = ["--exchange-url", exchange.url, "--org", ORGANISATION, "--into", str(folder)]
        CliRunner().invoke(
            imagectl, ["sync", "exchange", *options], env={AUTH_VARIABLE: CREDENTIALS}, catch_exceptions=False
        )
    (went,) = parse_documents(sweep.read_bytes(), "sweep.yaml").policies
    (came,) = parse_documents((folder / "exchange/myorg/sweep.json").read_bytes(), "sweep.json").policies
    assert came.name == "myorg/sweep"
    assert went.removal
    assert came.removal
    assert [rule.selector for rule in came.removal] == [rule.selector for rule in went.removal]


def test_with_a_folder_each_document_becomes_a_file(sweep: Path, tmp_path: Path) -> None:
    sweep.write_text(f"{SWEEP}---\n{SWEEP}")
    out = tmp_path / "out"
    out.mkdir()
    result = run(sweep, "--into", out)
    assert sorted(file.name for file in out.iterdir()) == ["sweep-2.json", "sweep.json"]
    assert result.stdout.splitlines() == [str(out / "sweep.json"), str(out / "sweep-2.json")]


def test_several_documents_need_a_folder(sweep: Path) -> None:
    sweep.write_text(f"{SWEEP}---\n{SWEEP}")
    result = run(sweep)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith("Error: 2 documents: choose a folder with --into\n")


def test_with_one_bad_document_nothing_is_written(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(SWEEP.replace("app:1", "app"))
    out = tmp_path / "out"
    out.mkdir()
    result = run(sweep, tmp_path / "bad.yaml", "--into", out)
    assert result.exit_code == 1
    assert f"{tmp_path / 'bad.yaml'}:6:19: error: image_policy.removal[0].image_name: " in result.stderr
    assert result.stderr.endswith("nothing was written\n")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("text", ["label: x\nenabled: true\n", "label: x\nenabled: true\nupgrade: {manifest: m}\n"])
def test_a_document_without_an_image_policy_is_for_hzn_itself(sweep: Path, text: str) -> None:
    sweep.write_text(text)
    result = run(sweep)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "sweep has no image policy: pass it to hzn unchanged" in result.stderr


def test_an_empty_file_is_nothing_to_write(sweep: Path) -> None:
    sweep.write_text("")
    assert run(sweep).exit_code == 1


def test_a_duplicate_name_is_an_error(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "sweep.yml").write_text(SWEEP)
    result = run(sweep, tmp_path / "sweep.yml")
    assert result.exit_code == 1
    assert 'duplicate name "sweep", first in' in result.stderr


def test_without_the_flag_it_says_what_is_missing(sweep: Path) -> None:
    result = CliRunner().invoke(imagectl, ["nmp", "export", str(sweep)])
    assert result.exit_code == 2
    assert "--exchange" in result.stderr
