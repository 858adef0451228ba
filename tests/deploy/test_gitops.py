"""Delivery of policies by git: the real script, real repositories, real signatures."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import pytest
from click.testing import CliRunner

from controller.adapters.folder.folder import PolicyFolder
from controller.cli.main import imagectl
from tests.campaigns import deliveries
from tests.deploy.git import DELIVER, PERSON, Delivery, Repository

POLICY = """
label: sweep
enabled: true
image_policy:
  removal: [{image_name: "*", delete_after_minutes: 1440, agent_downloaded_only: true}]
"""
_ELEVEN_MINUTES = 660


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one policy for all nodes and one for a site."""
    return Repository.made(tmp_path / "repository", {"common/sweep.yaml": POLICY, "sites/lyon/more.yaml": POLICY})


@pytest.fixture
def delivery(tmp_path: Path, repository: Repository) -> Delivery:
    """A delivery into an empty folder."""
    folder = tmp_path / "delivered"
    folder.mkdir()
    return Delivery(folder, {"POLICIES_REPOSITORY": str(repository.folder)})


@pytest.fixture
def signer(tmp_path: Path) -> Path:
    """A private key; the public one is beside it."""
    return a_key(tmp_path / "signer")


def a_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def signers_file(key: Path) -> dict[str, str]:
    """The settings with which only this key may sign."""
    allowed = key.with_suffix(".allowed")
    allowed.write_text(f"test@example.org {key.with_suffix('.pub').read_text()}")
    return {"POLICIES_SIGNERS": str(allowed)}


# ── what is delivered ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_branch_is_delivered_under_the_name_of_its_commit(delivery: Delivery, repository: Repository) -> None:
    assert delivery.run().returncode == 0
    assert (delivery.commit, delivery.files) == (repository.head, {"common/sweep.yaml", "sites/lyon/more.yaml"})


def test_the_controller_shows_the_commit_as_revision(delivery: Delivery, repository: Repository) -> None:
    delivery.run()
    reading = PolicyFolder(delivery.current).read()
    assert (reading.revision, reading.problems, len(reading.documents)) == (repository.head, (), 2)


def test_a_folder_inside_what_was_delivered_shows_the_commit_too(delivery: Delivery, repository: Repository) -> None:
    delivery.run()
    assert PolicyFolder(delivery.current / "sites" / "lyon").read().revision == repository.head


def test_a_new_commit_takes_the_place_of_the_old(delivery: Delivery, repository: Repository) -> None:
    delivery.run()
    commit = repository.commit({"common/new.yaml": POLICY, "common/sweep.yaml": None})
    assert delivery.run().returncode == 0
    assert (delivery.commit, delivery.files) == (commit, {"common/new.yaml", "sites/lyon/more.yaml"})


def test_a_commit_that_is_delivered_already_is_left_alone(delivery: Delivery) -> None:
    delivery.run()
    before = delivery.current.readlink()
    done = delivery.run()
    assert (done.returncode, done.stderr, delivery.current.readlink()) == (0, "", before)


def test_history_that_was_rewritten_is_followed(delivery: Delivery, repository: Repository) -> None:
    first = repository.head
    repository.commit({"common/mistake.yaml": POLICY})
    delivery.run()
    repository.git("reset", "--quiet", "--hard", first)
    delivery.run()
    assert delivery.commit == first


def test_only_the_wanted_folders_are_delivered(delivery: Delivery) -> None:
    delivery.run(POLICIES_PATHS="common sites/lyon/")
    assert delivery.files == {"common/sweep.yaml", "sites/lyon/more.yaml"}
    delivery.run(POLICIES_PATHS="common")
    assert delivery.files == {"common/sweep.yaml"}


@pytest.mark.parametrize("where", ["STOP", "sites/STOP"])
def test_a_stop_is_delivered_beside_the_wanted_folders(delivery: Delivery, repository: Repository, where: str) -> None:
    delivery.run(POLICIES_PATHS="common sites")
    repository.commit({where: ""})
    assert delivery.run(POLICIES_PATHS="common sites").returncode == 0
    assert delivery.files == {"common/sweep.yaml", "sites/lyon/more.yaml", where}
    assert PolicyFolder(delivery.current).read().is_stopped
    repository.commit({where: None})
    delivery.run(POLICIES_PATHS="common sites")
    assert delivery.files == {"common/sweep.yaml", "sites/lyon/more.yaml"}


def test_a_path_that_no_commit_had_is_an_error_and_the_old_tree_is_kept(delivery: Delivery) -> None:
    delivery.run(POLICIES_PATHS="common")
    done = delivery.run(POLICIES_PATHS="comon")
    assert (done.returncode, delivery.files) == (1, {"common/sweep.yaml"})
    assert "has no path comon, and no delivered commit had it (check POLICIES_PATHS)" in done.stderr


def test_only_the_files_of_the_wanted_folders_are_fetched(delivery: Delivery, repository: Repository) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    repository.commit({"large/a.bin": "x" * 10_000})
    delivery.run(POLICIES_REPOSITORY=f"file://{repository.folder}", POLICIES_PATHS="common")
    blob = repository.git("rev-parse", "HEAD:large/a.bin")
    assert delivery.files == {"common/sweep.yaml"}
    assert not list((delivery.folder / "repository.git" / "objects").glob(f"{blob[:2]}/{blob[2:]}"))
    delivery.run(POLICIES_REPOSITORY=f"file://{repository.folder}")
    assert "large/a.bin" in delivery.files


def test_a_submodule_is_named_and_not_delivered(delivery: Delivery, repository: Repository) -> None:
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{repository.head},sites/other")
    repository.git(*PERSON, "commit", "--quiet", "-m", "submodule")
    done = delivery.run(POLICIES_PATHS="sites")
    assert (done.returncode, delivery.files) == (0, {"sites/lyon/more.yaml"})
    assert "the git submodule sites/other is not delivered" in done.stderr
    assert "submodule" not in delivery.run(POLICIES_PATHS="sites").stderr


def test_attributes_do_not_change_the_bytes(delivery: Delivery, repository: Repository) -> None:
    attributes = "*.yaml text eol=crlf ident\n"
    repository.commit({".gitattributes": attributes, "a.yaml": "label: $Id$\n"})
    delivery.run()
    assert (delivery.current / "a.yaml").read_bytes() == b"label: $Id$\n"


def test_a_repository_is_never_an_option(delivery: Delivery, tmp_path: Path) -> None:
    done = delivery.run(POLICIES_REPOSITORY=f"--upload-pack=touch {tmp_path}/made;")
    assert done.returncode == 1
    assert not (tmp_path / "made").exists()


# ── a clone that a killed fetch has left ──────────────────────────────────────────────────────────────────────────────


def _empty_objects(clone: Path) -> None:
    for file in (clone / "objects").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [
        lambda clone: (clone / "shallow.lock").touch(),
        lambda clone: (clone / "refs" / "heads" / "fetched.lock").touch(),
        lambda clone: (clone / "HEAD").write_text(""),
        lambda clone: (clone / "config").write_text("[core"),
        _empty_objects,
    ],
    ids=["shallow.lock", "a lock of the branch", "an empty HEAD", "a broken config", "empty objects"],
)
def test_a_clone_that_a_killed_fetch_left_is_created_again(
    delivery: Delivery, repository: Repository, damage: Callable[[Path], object]
) -> None:
    delivery.run()
    commit = repository.commit({"common/sweep.yaml": None})
    damage(delivery.folder / "repository.git")
    done = delivery.run()
    assert (done.returncode, delivery.commit) == (0, commit), done.stderr
    assert delivery.run().stderr == ""


def test_a_delivery_that_is_killed_at_any_moment_is_mended_by_the_next_run(tmp_path: Path) -> None:
    assert deliveries.run(3, seed=7, folder=tmp_path) == (3, [])


def test_every_success_is_dated(delivery: Delivery) -> None:
    delivery.run()
    dated = delivery.folder / "delivered"
    os.utime(dated, (0, 0))
    delivery.run()
    assert dated.stat().st_mtime > 0
    os.utime(dated, (0, 0))
    delivery.run(POLICIES_BRANCH="missing")
    assert dated.stat().st_mtime == 0


def test_a_folder_that_has_lost_its_last_policy_is_delivered_empty(delivery: Delivery, repository: Repository) -> None:
    delivery.run(POLICIES_PATHS="sites/lyon")
    repository.commit({"sites/lyon/more.yaml": None})
    assert delivery.run(POLICIES_PATHS="sites/lyon").returncode == 0
    assert delivery.files == set()


def test_other_settings_deliver_the_same_commit_again(delivery: Delivery) -> None:
    delivery.run()
    delivery.run(POLICIES_PATHS="sites/lyon")
    assert delivery.files == {"sites/lyon/more.yaml"}


def test_unusual_file_names_are_delivered_unchanged(delivery: Delivery, repository: Repository) -> None:
    repository.commit({"common/a b\n'c'.yaml": POLICY, "-n.yaml": POLICY})
    delivery.run()
    assert {"common/a b\n'c'.yaml", "-n.yaml"} < delivery.files


# ── whole or not at all ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reader_never_sees_a_part_of_a_tree(delivery: Delivery, repository: Repository) -> None:
    names = [f"common/{number}.yaml" for number in range(20)]
    repository.commit(dict.fromkeys(names, "0"))
    delivery.run()
    seen: list[set[str]] = []
    stop = threading.Event()
    reader = threading.Thread(target=lambda: seen.extend(_readings(delivery.current, names, stop)))
    reader.start()
    for version in range(1, 8):
        repository.commit(dict.fromkeys(names, str(version)))
        assert delivery.run().returncode == 0
    stop.set()
    reader.join()
    assert {len(contents) for contents in seen} == {1}
    assert len(set().union(*seen)) > 1


def _readings(link: Path, names: list[str], stop: threading.Event) -> list[set[str]]:
    """For each reading, the content of the files, read one by one below the link's target at the start."""
    readings = []
    while not stop.is_set():
        tree = link.resolve()
        readings.append({(tree / name).read_text() for name in names})
    return readings


def test_a_process_that_reads_the_old_tree_can_finish(delivery: Delivery, repository: Repository) -> None:
    delivery.run()
    old = delivery.current.resolve()
    repository.commit({"common/new.yaml": POLICY})
    delivery.run()
    delivery.run()
    assert (old / "common" / "sweep.yaml").read_text() == POLICY


def test_an_old_tree_is_removed_ten_minutes_after_it_was_replaced(delivery: Delivery, repository: Repository) -> None:
    delivery.run()
    (old,) = delivery.trees
    age(delivery.folder / old)
    repository.commit({"common/new.yaml": POLICY})
    delivery.run()
    assert old in delivery.trees  # It was made long ago, but replaced only now.
    age(delivery.folder / old)
    delivery.run()
    assert delivery.trees == {delivery.current.readlink().parts[0]}


def test_the_remains_of_a_killed_delivery_are_removed(delivery: Delivery) -> None:
    delivery.run()
    (delivery.folder / "tree.half").mkdir()
    age(delivery.folder / "tree.half")
    delivery.run()
    assert "tree.half" not in delivery.trees


def age(path: Path) -> None:
    then = path.stat().st_mtime - _ELEVEN_MINUTES
    os.utime(path, (then, then))


def test_a_second_delivery_leaves_the_first_one_alone(delivery: Delivery) -> None:
    with (delivery.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = delivery.run()
    assert (done.returncode, done.stderr) == (0, "deliver.sh: another delivery is at work\n")
    assert not delivery.current.exists()


# ── failures keep what there is ───────────────────────────────────────────────────────────────────────────────────────


def test_a_repository_that_cannot_be_reached_leaves_the_last_tree(delivery: Delivery, repository: Repository) -> None:
    delivery.run()
    done = delivery.run(POLICIES_REPOSITORY="https://user:secret@127.0.0.1:1/policies")
    assert (done.returncode, delivery.commit) == (1, repository.head)
    assert "branch main of https://127.0.0.1:1/policies cannot be fetched and unpacked;" in done.stderr
    assert "the last delivery remains in force" in done.stderr
    assert "secret" not in done.stderr


def test_a_branch_that_is_gone_leaves_the_last_tree(delivery: Delivery, repository: Repository) -> None:
    delivery.run()
    commit = repository.head
    repository.git("branch", "--move", "main", "other")
    assert (delivery.run().returncode, delivery.commit) == (1, commit)


def test_a_tree_that_does_not_pass_the_check_is_not_delivered(delivery: Delivery, repository: Repository) -> None:
    delivery.run()
    commit = repository.head
    repository.commit({"common/sweep.yaml": "enabled: perhaps"})
    done = delivery.run(POLICIES_CHECK="! grep -r perhaps")
    assert (done.returncode, delivery.commit) == (1, commit)
    assert "does not pass the check" in done.stderr
    assert delivery.trees == {delivery.current.readlink().parts[0]}


def test_the_delay_grows_after_each_failure(delivery: Delivery) -> None:
    waits = []
    for _ in range(7):
        delivery.run(POLICIES_BRANCH="nowhere")
        failures, boot, try_at, settings = (delivery.folder / "trouble").read_text().split()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        waits.append(round((int(try_at) - uptime) / 60))
        (delivery.folder / "trouble").write_text(f"{failures} {boot} 0 {settings}")  # the delay has ended
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_a_delivery_too_soon_after_a_failure_does_nothing(delivery: Delivery) -> None:
    delivery.run(POLICIES_BRANCH="nowhere")
    done = delivery.run(POLICIES_BRANCH="nowhere")
    assert (done.returncode, delivery.current.exists()) == (75, False)
    assert done.stderr.startswith("deliver.sh: failed 1 times; the next try is in ")


def test_other_settings_are_tried_at_once(delivery: Delivery) -> None:
    delivery.run(POLICIES_BRANCH="nowhere")
    assert delivery.run().returncode == 0
    assert not (delivery.folder / "trouble").exists()


def test_a_delay_ends_with_a_reboot(delivery: Delivery) -> None:
    delivery.run(POLICIES_BRANCH="nowhere")
    trouble = delivery.folder / "trouble"
    failures, _, _, settings = trouble.read_text().split()
    trouble.write_text(f"{failures} another-boot 999999999 {settings}")
    assert delivery.run(POLICIES_BRANCH="nowhere").returncode == 1


@pytest.mark.parametrize("damaged", ["", "x", "3 boot $(touch evil)\n", "99999999999999999999 a 1\n"])
def test_a_damaged_record_of_failures_counts_as_none(delivery: Delivery, damaged: str) -> None:
    (delivery.folder / "trouble").write_text(damaged)
    assert (delivery.run().returncode, (delivery.folder / "evil").exists()) == (0, False)


def test_without_a_repository_it_says_how_it_is_used(tmp_path: Path) -> None:
    done = Delivery(tmp_path, {}).run()
    assert done.returncode == 2
    assert "POLICIES_REPOSITORY   URL or path of the repository" in done.stderr


# ── signatures ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_commit_signed_by_a_key_that_may_sign_is_delivered(
    delivery: Delivery, repository: Repository, signer: Path
) -> None:
    commit = repository.commit({"common/new.yaml": POLICY}, ssh_key=signer)
    done = delivery.run(**signers_file(signer))
    assert (done.returncode, delivery.commit) == (0, commit), done.stderr


def test_a_commit_without_a_signature_is_refused(delivery: Delivery, signer: Path) -> None:
    done = delivery.run(**signers_file(signer))
    assert (done.returncode, delivery.current.exists()) == (1, False)
    assert "has no signature of a key that may sign" in done.stderr


def test_a_commit_signed_by_another_key_is_refused(
    delivery: Delivery, repository: Repository, signer: Path, tmp_path: Path
) -> None:
    delivery.run()
    commit = repository.head
    repository.commit({"common/new.yaml": POLICY}, ssh_key=a_key(tmp_path / "stranger"))
    assert (delivery.run(**signers_file(signer)).returncode, delivery.commit) == (1, commit)


@pytest.fixture
def keyring() -> Iterator[Path]:
    """A GnuPG home with one key; its path is short, because it contains a socket."""
    with TemporaryDirectory() as folder:
        make = ["gpg", "--homedir", folder, "--batch", "--quiet", "--passphrase", "", "--quick-generate-key"]
        subprocess.run([*make, "test@example.org", "ed25519", "sign"], check=True, capture_output=True)
        yield Path(folder)
        subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=True)


def test_openpgp_signatures_count_by_the_keyring(
    delivery: Delivery, repository: Repository, keyring: Path, tmp_path: Path
) -> None:
    commit = repository.commit({"common/new.yaml": POLICY}, gpg_home=keyring)
    empty = tmp_path / "gnupg"
    empty.mkdir(mode=0o700)
    assert (delivery.run(POLICIES_GNUPGHOME=str(empty)).returncode, delivery.current.exists()) == (1, False)
    assert (delivery.run(POLICIES_GNUPGHOME=str(keyring)).returncode, delivery.commit) == (0, commit)


# ── the page that explains it ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_policy_of_the_worked_roll_out_passes_the_strict_check(tmp_path: Path) -> None:
    page = (DELIVER.parent / "README.md").read_text()
    (block,) = re.findall(r"^    label: agent images, two days\n(?:    .*\n)+", page, re.MULTILINE)
    (tmp_path / "next.yaml").write_text(dedent(block))
    done = CliRunner().invoke(imagectl, ["nmp", "validate", "--strict", str(tmp_path)])
    assert done.exit_code == 0, done.output


def test_every_setting_of_the_script_is_in_the_sample_configuration() -> None:
    sample = (DELIVER.parent / "gitops.conf").read_text()
    settings = set(re.findall(r"POLICIES_[A-Z]+", DELIVER.read_text()))
    assert len(settings) == 6
    assert {name for name in settings if f"{name}=" not in sample} == set()
