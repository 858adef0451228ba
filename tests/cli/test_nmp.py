from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from controller.adapters.folder import folder as policy_folder
from controller.cli.main import imagectl
from controller.cli.main import run as run_imagectl

DOCUMENTS = Path(__file__).parents[1] / "data" / "documents"
GOOD = """\
label: x
enabled: true
image_policy: {removal: [{image_name: "a:*", delete_after_minutes: 1, agent_downloaded_only: true}]}
"""
NAMED = """\
apiVersion: openhorizon.org/v1
kind: NodeManagementPolicy
metadata: {name: x}
spec: {label: x, enabled: true}
"""
WARNED = GOOD.replace("label", "lable")


def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(imagectl, ["nmp", *map(str, arguments)], input=stdin)


def a_file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_new_prints_a_document_in_which_only_the_choices_are_missing() -> None:
    printed = run("new", "gateways")
    checked = run("validate", "-", stdin=printed.output)
    assert (printed.exit_code, checked.exit_code) == (0, 1)
    assert 'label: "gateways"' in printed.output
    assert [line.split(": ")[2] for line in checked.stdout.splitlines()] == [
        "image_policy.removal[0].image_name",
        "image_policy.removal[0].delete_after_minutes",
        "image_policy.removal[0].agent_downloaded_only",
    ]


def test_schema_prints_the_manifest() -> None:
    manifest = Path(__file__).parents[2] / "manifests" / "nmp.schema.json"
    printed = run("schema").output
    assert printed == manifest.read_text(encoding="utf-8")
    jsonschema.Draft202012Validator.check_schema(json.loads(printed))


def test_good_documents_give_exit_code_0_and_a_summary() -> None:
    result = run("validate", DOCUMENTS / "good")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "6 files, 10 documents: 0 errors, 0 warnings\n"


def test_bad_documents_give_exit_code_1_and_every_problem_with_its_place() -> None:
    result = run("validate", DOCUMENTS / "bad")
    files = {line.split(":")[0] for line in result.stdout.splitlines()}
    assert result.exit_code == 1
    assert files == {str(path) for path in (DOCUMENTS / "bad").iterdir() if path.suffix != ".expected"}


def test_warnings_give_exit_code_0_without_strict(tmp_path: Path) -> None:
    path = a_file(tmp_path, "a.yaml", WARNED)
    assert run("validate", path).exit_code == 0
    assert run("validate", "--strict", path).exit_code == 1
    assert run("validate", "--strict", a_file(tmp_path, "b.yaml", GOOD)).exit_code == 0


@pytest.mark.parametrize(
    "arguments", [["validate"], ["validate", "gone.yaml"], ["validate", "-o", "xml", "-"], ["valid"]]
)
def test_wrong_usage_gives_exit_code_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_the_exit_codes_reach_the_shell(tmp_path: Path) -> None:
    good, warned = a_file(tmp_path, "good.yaml", GOOD), a_file(tmp_path, "warned.yaml", WARNED)
    assert run_imagectl(["nmp", "validate", str(good), str(warned)]) == 0
    assert run_imagectl(["nmp", "validate", "--strict", str(warned)]) == 1
    assert run_imagectl(["nmp", "validate", str(DOCUMENTS / "bad")]) == 1
    assert run_imagectl(["nmp", "validate", str(tmp_path / "gone.yaml")]) == 2


def test_standard_input_may_be_json_and_need_not_be_text() -> None:
    assert run("validate", "-", stdin='{"label": "x", "enabled": false, "upgrade": {"manifest": "m"}}').exit_code == 0
    result = run("validate", "-", stdin=b"\xff\xfe\x00")
    assert (result.exit_code, result.stdout) == (
        1,
        "stdin:1:1: error: encoded as UTF-16 or UTF-32 (save it as UTF-8)\n",
    )


def test_names_are_compared_within_a_folder_and_not_between_folders(tmp_path: Path) -> None:
    for name in ("one/a.yaml", "one/a.json", "two/a.yaml"):
        a_file(tmp_path, name, GOOD if name.endswith("yaml") else json.dumps({"label": "x", "enabled": False}))
    assert "duplicate name" in run("validate", tmp_path / "one").stdout
    assert run("validate", tmp_path / "two", tmp_path / "one" / "a.yaml").exit_code == 0


def test_files_that_are_named_are_compared_with_each_other_and_read_once(tmp_path: Path) -> None:
    one, other = a_file(tmp_path, "one/a.yaml", GOOD), a_file(tmp_path, "two/a.yaml", GOOD)
    assert run("validate", one, other, one).stderr == "2 files, 2 documents: 0 errors, 0 warnings\n"
    same = [a_file(tmp_path, f"{number}.yaml", NAMED) for number in range(2)]
    assert f", first in {same[0]}:1" in run("validate", *same).stdout


def test_a_folder_that_the_controller_would_not_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_folder, "_MOST_BYTES", 2**20)
    for name in ("a.yaml", "b.yaml"):
        a_file(tmp_path, name, f"#{'x' * (2**20 - 10)}")
    result = run("validate", tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path}:1:1: error: cannot be read: larger than 1 MiB (is it" in result.stdout


def test_a_folder_without_documents_is_a_warning(tmp_path: Path) -> None:
    result = run("validate", tmp_path)
    assert (result.exit_code, result.stdout.count("warning: no policy files")) == (0, 1)
    assert run("validate", "--strict", tmp_path).exit_code == 1


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    a_file(tmp_path, "good.yaml", GOOD)
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    result = run("validate", tmp_path)
    assert result.exit_code == 1
    assert result.stdout == f"{tmp_path}/gone.yaml:1:1: error: does not exist, or is a link without a target\n"


@pytest.mark.timeout(10)
def test_a_named_path_that_is_not_a_file_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for path in (tmp_path / "fifo.yaml", tmp_path / "zero.yaml", "/dev/null"):
        result = run("validate", path)
        assert (result.exit_code, result.stdout.startswith(f"{path}:1:1: error: is a ")) == (1, True)
        assert "nmp validate - reads standard input" in result.stdout
    assert run("validate", tmp_path).stdout.count("warning: is a") == 2


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_other_programs_get_one_json_document_on_standard_output(form: str) -> None:
    result = run("validate", "-o", form, DOCUMENTS / "bad", DOCUMENTS / "good")
    assert (result.exit_code, result.stderr) == (1, "")
    assert json.loads(result.stdout)


def test_github_gets_annotations() -> None:
    result = run("validate", "-o", "github", DOCUMENTS / "bad" / "worst.yaml")
    assert result.stdout.startswith("::warning file=")
    assert all(line.startswith(("::error file=", "::warning file=")) for line in result.stdout.splitlines())


def test_reading_documents_does_not_import_what_a_daemon_needs() -> None:
    code = "import sys; import controller.cli.nmp; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"docker", "prometheus_client", "requests", "watchdog", "sqlite3", "waitress"} & set(loaded)


def test_every_command_has_help() -> None:
    for command in ([], ["new"], ["schema"], ["validate"]):
        result = run(*command, "--help")
        assert (result.exit_code, "Usage:" in result.stdout) == (0, True)


class TestNewFile:
    def test_output_writes_to_a_file_instead_of_standard_output(self, tmp_path: Path) -> None:
        file = tmp_path / "gateways.yaml"
        assert run("new", "gateways", "-o", file).exit_code == 0
        assert file.read_text(encoding="utf-8") == run("new", "gateways").output

    def test_a_file_that_exists_is_not_changed(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = a_file(tmp_path, "gateways.yaml", "mine")
        assert run_imagectl(["nmp", "new", "-o", str(file)]) == 2
        assert (file.read_text(), "already exists" in capsys.readouterr().err) == ("mine", True)

    def test_a_folder_that_does_not_exist_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_imagectl(["nmp", "new", "-o", str(tmp_path / "no" / "x.yaml")]) == 2
        assert f"{tmp_path}/no/x.yaml: cannot be written" in capsys.readouterr().err
