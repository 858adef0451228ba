"""The engine adapter: each answer becomes one of our values or errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses
from responses import matchers
from urllib3.exceptions import ProtocolError

from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.engine import DockerEngine
from controller.errors import (
    EngineUnavailable,
    EngineUnreachable,
    ImageGone,
    RemovalFailed,
    RemovalRefused,
)
from controller.image.layers import chain_ids
from controller.image.reference import ImageId
from controller.plan.memory.observation import Store
from tests.builders import an_engine

API = "http+docker://localhost/v1.41"
ID = ImageId("sha256:" + "1" * 64)
US = "c" * 64
LAYER = "sha256:" + "a" * 64
ROW: dict[str, Any] = {"Id": ID, "RepoTags": ["app:1"], "RepoDigests": None, "Size": 5, "ParentId": "", "Labels": None}


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as http:
        yield http


@pytest.fixture
def engine() -> DockerEngine:
    return DockerEngine(Connection(Address("unix:///engine.sock"), api_version="1.41"))


Http = responses.RequestsMock


# ── observing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_hidden_parents_are_listed_too(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/images/json", json=[ROW], match=[matchers.query_param_matcher({"all": 1})])
    assert [image.id for image in engine.images().values()] == [ID]


def test_an_unchanged_image_is_the_same_object_as_last_time(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/images/json", json=[ROW])
    http.get(f"{API}/images/json", json=[ROW])
    assert engine.images()[ID] is engine.images()[ID]


def test_an_image_that_has_changed_is_another_object(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/images/json", json=[ROW])
    http.get(f"{API}/images/json", json=[{**ROW, "RepoTags": ["app:1", "app:2"]}])
    before, after = engine.images()[ID], engine.images()[ID]
    assert len(before.tags) == 1
    assert len(after.tags) == 2


@pytest.mark.parametrize(("url", "machine"), [("unix:///engine.sock", "m"), ("tcp://10.0.0.1:2376", "")])
def test_only_an_engine_behind_a_socket_is_on_this_machine(
    url: str, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = DockerEngine(Connection(Address(url)), machine="m")
    monkeypatch.setattr(engine, "_valid", lambda *_: an_engine())
    assert engine.identify().machine == machine


def test_a_failed_list_does_not_make_images_new(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/images/json", json=[ROW])
    before = engine.images()[ID]
    http.replace("GET", f"{API}/images/json", status=500, json={"message": "layer does not exist"})
    with pytest.raises(EngineUnavailable, match="500: layer does not exist"):
        engine.images()
    http.replace("GET", f"{API}/images/json", json=[ROW])
    assert engine.images()[ID] is before


@pytest.mark.parametrize("none", [{}, {"RepoTags": None}, {"RepoTags": []}, {"RepoTags": ["<none>:<none>"]}])
def test_every_form_of_an_image_without_a_name_is_understood(
    engine: DockerEngine, http: Http, none: dict[str, Any]
) -> None:
    without_names = {name: value for name, value in ROW.items() if not name.startswith("Repo")}
    http.get(f"{API}/images/json", json=[{**without_names, "RepoDigests": ["<none>@<none>"], **none}])
    assert engine.images()[ID].removable_references == ()


def test_a_name_by_digest_among_the_tags_is_not_a_tag(engine: DockerEngine, http: Http) -> None:
    name = "app@sha256:" + "d" * 64
    http.get(f"{API}/images/json", json=[{**ROW, "RepoTags": [name], "RepoDigests": [name]}])
    image = engine.images()[ID]
    assert (image.tags, [digest.text for digest in image.removable_references]) == ((), [name])


def test_an_image_of_a_manifest_list_has_one_name_on_podman(engine: DockerEngine, http: Http) -> None:
    """A delete by its other digest removes that name, and so the image."""
    of_list, own = ("app@sha256:" + digit * 64 for digit in "de")
    http.get(f"{API}/images/json", json=[{**ROW, "RepoTags": [of_list], "RepoDigests": [own, of_list]}])
    image = engine.images()[ID]
    assert [digest.text for digest in image.removable_references] == [of_list]
    assert {digest.text for digest in image.digests} == {of_list, own}


def test_containers_of_every_state_are_listed(engine: DockerEngine, http: Http) -> None:
    row = {"Id": "c" * 64, "Names": ["/one"], "Image": "app:1", "ImageID": ID, "State": "created", "Labels": {}}
    http.get(
        f"{API}/containers/json",
        json=[row],
        match=[matchers.query_param_matcher({"all": 1}, strict_match=False)],
    )
    (container,) = engine.containers()
    assert (container.name, container.image, container.state) == ("one", ID, "created")


def test_our_own_image_name_is_known_after_the_name_has_moved(http: Http) -> None:
    engine = DockerEngine(Connection(Address("unix:///engine.sock"), api_version="1.41"), own_container=US)
    http.get(f"{API}/containers/json", json=[{"Id": US, "Image": ID, "ImageID": ID, "State": "running"}])
    inspection = http.get(f"{API}/containers/{US}/json", json={"Config": {"Image": "site.local/imagectl:1"}})
    assert [engine.containers()[0].created_from for _ in range(2)] == ["site.local/imagectl:1"] * 2
    assert inspection.call_count == 1


def test_the_engine_is_identified_by_info_and_version(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/info", json={"ID": "X", "Driver": "overlay2", "DockerRootDir": "/data", "DriverStatus": []})
    http.get(f"{API}/version", json={"Version": "20.10.24"})
    known = engine.identify()
    assert (known.store, known.product, known.version) == (Store.GRAPH_DRIVER, "Docker", "20.10.24")


def test_the_layers_of_an_image_come_from_its_inspection_and_history(engine: DockerEngine, http: Http) -> None:
    diffs = ["sha256:" + "a" * 64, "sha256:" + "b" * 64]
    http.get(f"{API}/images/{ID}/json", json={"RootFS": {"Layers": diffs}})
    http.get(f"{API}/images/{ID}/history", json=[{"Size": 7}, {"Size": 5}])
    layers = engine.layers(ID)
    assert tuple(layer.chain for layer in layers) == chain_ids(diffs)
    assert [layer.size_bytes for layer in layers] == [5, 7]


def test_an_image_removed_before_its_inspection_is_gone(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/images/{ID}/json", status=404, json={"message": f"No such image: {ID}"})
    with pytest.raises(ImageGone, match="No such image"):
        engine.layers(ID)


def test_a_swarm_manager_lists_the_images_of_its_services(engine: DockerEngine, http: Http) -> None:
    container = {"Spec": {"TaskTemplate": {"ContainerSpec": {"Image": "app:1@sha256:0"}}}}
    plugin: dict[str, Any] = {"Spec": {"TaskTemplate": {"PluginSpec": {}}}}
    http.get(f"{API}/services", json=[container, plugin])
    assert engine.service_images() == {"app:1@sha256:0"}


@pytest.mark.parametrize("usage", [{"LayersSize": 12}, {"ImageUsage": {"TotalSize": 12}}])
def test_the_total_of_the_store_is_read_from_old_and_new_answers(
    engine: DockerEngine, http: Http, usage: dict[str, Any]
) -> None:
    http.get(f"{API}/system/df", json=usage, match=[matchers.query_param_matcher({"type": "image"})])
    assert engine.store_bytes() == 12


@pytest.mark.parametrize(
    ("usage", "bytes_"),
    [
        ({"Containers": [{"SizeRw": 5}, {"SizeRw": 7}, {}]}, 12),
        ({"Containers": None}, 0),
        ({"ContainerUsage": {"TotalSize": 12}}, 12),
    ],
)
def test_the_size_of_writable_layers_is_read_from_old_and_new_answers(
    engine: DockerEngine, http: Http, usage: dict[str, Any], bytes_: int
) -> None:
    http.get(f"{API}/system/df", json=usage, match=[matchers.query_param_matcher({"type": "container"})])
    assert engine.written_bytes() == bytes_


def test_an_invalid_total_does_not_interrupt_removals(engine: DockerEngine, http: Http) -> None:
    """Podman 4.3 always counts 0 bytes. With a new connection no removal would ever be requested there."""
    http.get(f"{API}/images/json", json=[ROW])
    engine.images()
    before = engine.generation
    http.get(f"{API}/system/df", json={"LayersSize": 0, "Images": [{"Size": 12}]})
    with pytest.raises(EngineUnavailable):
        engine.store_bytes()
    engine.images()
    assert engine.generation == before


@pytest.mark.parametrize(
    ("name", "version", "prunes"),
    [
        ("Podman Engine", "4.3.1", True),
        ("Podman Engine", "4.5.1", True),
        ("Podman Engine", "", True),
        ("Podman Engine", "4.6.0", False),
        ("Podman Engine", "5.4.2", False),
        ("Engine", "20.10.24", False),
    ],
)
def test_podman_before_4_6_deletes_parents_with_their_child(
    engine: DockerEngine, http: Http, name: str, version: str, prunes: bool
) -> None:
    http.get(f"{API}/info", json={})
    http.get(f"{API}/version", json={"Version": version, "Components": [{"Name": name}]})
    assert engine.identify().prunes_parents is prunes


def a_podman(engine: DockerEngine, http: Http, version: str = "5.4.2") -> DockerEngine:
    http.get(f"{API}/info", json={})
    http.get(f"{API}/version", json={"Version": version, "Components": [{"Name": "Podman Engine"}]})
    engine.identify()
    return engine


def test_on_podman_members_of_manifest_lists_and_images_of_a_read_only_store_are_held(
    engine: DockerEngine, http: Http
) -> None:
    own, manifest_list, read_only = f"{API.rpartition('/')[0]}/v4.0.0/libpod", "5" * 64, "6" * 64
    digest = f"sha256:{'d' * 64}"

    def only(wanted: str) -> Any:
        return matchers.query_param_matcher({"all": "true", "filters": json.dumps({wanted: ["true"]})})

    http.get(f"{own}/images/json", json=[{"Id": manifest_list, "RepoTags": ["list:1"]}], match=[only("manifest")])
    http.get(f"{own}/images/json", json=[{"Id": read_only}], match=[only("readonly")])
    http.get(f"{own}/manifests/{manifest_list}/json", json={"manifests": [{"digest": digest}]})
    member = {**ROW, "RepoDigests": [f"app@{digest}"]}
    base = {**ROW, "Id": f"sha256:{read_only}", "RepoTags": ["base:1"], "RepoDigests": []}
    other = {**ROW, "Id": f"sha256:{'7' * 64}", "RepoTags": ["other:1"], "RepoDigests": []}
    http.get(f"{API}/images/json", json=[member, base, other])

    images = a_podman(engine, http).images()
    assert [image.held for image in images.values()] == [
        "part of the manifest list list:1",
        "in a read-only image store",
        "",
    ]


def test_without_podmans_own_api_the_pass_fails(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API.rpartition('/')[0]}/v4.0.0/libpod/images/json", status=403, json={"message": "Forbidden"})
    with pytest.raises(EngineUnavailable, match="Forbidden"):
        a_podman(engine, http).images()


# ── incomplete answers ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body", ["", "[", "garbage", "null", '{"message": "what?"}', "[1]", '["app:1"]', '[{"RepoTags": []}]', "[null]"]
)
def test_an_invalid_answer_is_an_error(engine: DockerEngine, http: Http, body: str) -> None:
    http.get(f"{API}/images/json", body=body)
    with pytest.raises(EngineUnavailable):
        engine.images()


@pytest.mark.parametrize("status", [400, 404, 409, 500, 503])
def test_an_error_answer_is_not_a_list(engine: DockerEngine, http: Http, status: int) -> None:
    http.get(f"{API}/containers/json", status=status, json={"message": "in words"})
    with pytest.raises(EngineUnavailable, match=rf"list_containers with {status}: in words"):
        engine.containers()


def test_a_truncated_list_is_an_error(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/images/json", body=requests.exceptions.ChunkedEncodingError("Connection broken: IncompleteRead"))
    with pytest.raises(EngineUnavailable, match="invalid response"):
        engine.images()


def test_an_invalid_answer_is_no_reconnect(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/images/json", json=[ROW])
    engine.images()
    before = engine.generation
    http.replace("GET", f"{API}/images/json", body="garbage")
    with pytest.raises(EngineUnavailable):
        engine.images()
    http.replace("GET", f"{API}/images/json", json=[ROW])
    engine.images()
    assert engine.generation == before


# ── removing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TARGET = f"{API}/images/app:1"


def test_a_removal_is_never_forced_and_prunes_nothing(engine: DockerEngine, http: Http) -> None:
    rows = [{"Untagged": "app:1"}, {"Deleted": ID}, {"Deleted": LAYER}]
    http.delete(TARGET, json=rows, match=[matchers.query_param_matcher({"force": False, "noprune": True})])
    assert engine.remove("app:1") == (ID, LAYER)


def test_an_untag_deletes_nothing(engine: DockerEngine, http: Http) -> None:
    http.delete(TARGET, json=[{"Untagged": "app:1"}])
    assert engine.remove("app:1") == ()


@pytest.mark.parametrize(
    ("status", "words", "error"),
    [
        (404, "No such image: app:1", ImageGone),
        (404, "failed to find image app:1: app:1: image not known", ImageGone),
        (404, "unrecognized image ID sha256:1", ImageGone),
        (500, "unrecognized image ID sha256:1", ImageGone),
        (409, "conflict: unable to remove repository reference (must force) - container 1 is using it", RemovalRefused),
        (409, "conflict: unable to delete 1 (cannot be forced) - image has dependent child images", RemovalRefused),
        (409, "image app:1 is in use: image used by 1: image is in use by a container", RemovalRefused),
        (500, 'unable to delete image "1" by ID with more than one tag: please force removal', RemovalRefused),
        (500, "no space left on device", RemovalFailed),
        (503, "not ready", RemovalFailed),
        (400, "invalid reference format", RemovalFailed),
    ],
)
def test_error_answers_become_different_errors(
    engine: DockerEngine, http: Http, status: int, words: str, error: type[Exception]
) -> None:
    http.delete(TARGET, status=status, json={"message": words})
    with pytest.raises(error) as raised:
        engine.remove("app:1")
    assert words in str(raised.value)


PODMAN_TARGET = f"{API.rpartition('/')[0]}/v4.0.0/libpod/images/remove"


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        (ID, ID.removeprefix("sha256:")),
        ("app:1", "docker.io/library/app:1"),
        ("localhost/app:1", "localhost/app:1"),
        (f"reg.local:5000/app@{LAYER}", f"reg.local:5000/app@{LAYER}"),
    ],
)
def test_podman_4_gets_a_request_that_spares_parents(engine: DockerEngine, http: Http, target: str, sent: str) -> None:
    """Its Docker-compatible API ignores `noprune`."""
    query = matchers.query_param_matcher({"images": sent, "force": "false", "noprune": "true"})
    answer = {"Deleted": [ID.removeprefix("sha256:")], "Untagged": ["app:1"], "ExitCode": 0, "Errors": None}
    http.delete(PODMAN_TARGET, json=answer, match=[query])
    assert a_podman(engine, http, "4.3.1").remove(target) == (ID,)


@pytest.mark.parametrize("target", ["", " ", "sha256:", "app:1&all=true", "app:1#", "*"])
def test_podman_4_gets_no_request_that_may_mean_all_images(engine: DockerEngine, http: Http, target: str) -> None:
    """Without a target that request removes every image."""
    with pytest.raises(RemovalFailed, match="no request was sent"):
        a_podman(engine, http, "4.3.1").remove(target)


@pytest.mark.parametrize(
    ("code", "words", "error"),
    [
        (1, "app:1: image not known", ImageGone),
        (2, "image used by 1: image is in use by a container: consider listing external containers", RemovalRefused),
        (125, 'unable to delete image "1" by ID with more than one tag ([1 2]): please force removal', RemovalRefused),
        (125, "no space left on device", RemovalFailed),
    ],
)
def test_refusals_of_podman_4_become_different_errors(
    engine: DockerEngine, http: Http, code: int, words: str, error: type[Exception]
) -> None:
    """Their status is 200."""
    http.delete(PODMAN_TARGET, json={"ExitCode": code, "Errors": [words]})
    with pytest.raises(error) as raised:
        a_podman(engine, http, "4.3.1").remove("app:1")
    assert words in str(raised.value)


@pytest.mark.parametrize("answer", [{}, [], {"ExitCode": 1}, {"ExitCode": 0, "Errors": None, "Deleted": [5]}])
def test_an_invalid_answer_of_podman_4_is_no_result(engine: DockerEngine, http: Http, answer: object) -> None:
    http.delete(PODMAN_TARGET, json=answer)
    with pytest.raises(EngineUnavailable, match="invalid response"):
        a_podman(engine, http, "4.3.1").remove("app:1")


@pytest.mark.parametrize("version", ["4.2.1", "3.4.4", ""])
def test_podman_that_cannot_spare_parents_gets_no_request(engine: DockerEngine, http: Http, version: str) -> None:
    with pytest.raises(RemovalRefused, match=r"no request was sent: Podman .* update Podman to 4\.3"):
        a_podman(engine, http, version).remove("app:1")


def test_a_delete_without_an_answer_in_time_is_not_sent_again(engine: DockerEngine, http: Http) -> None:
    asked = http.delete(TARGET, body=requests.ReadTimeout("Read timed out."))
    with pytest.raises(EngineUnavailable, match="did not answer within 600 s"):
        engine.remove("app:1")
    assert asked.call_count == 1


def test_a_delete_whose_connection_broke_is_not_sent_again(engine: DockerEngine, http: Http) -> None:
    """The image that the name means, and the engine that answers, may be others by then."""
    asked = http.delete(TARGET, body=_broken())
    with pytest.raises(EngineUnavailable) as raised:
        engine.remove("app:1")
    assert not isinstance(raised.value, EngineUnreachable)
    assert asked.call_count == 1


def test_a_missing_engine_got_no_request(engine: DockerEngine, http: Http) -> None:
    http.delete(TARGET, body=requests.ConnectionError("Connection aborted.", FileNotFoundError()))
    with pytest.raises(EngineUnreachable, match="is it running"):
        engine.remove("app:1")


@pytest.mark.parametrize(
    "body",
    ["garbage", '{"Untagged": "app:1"}', '["app:1"]', "[[]]", '[{"Deleted": 5}]', "[" * 100_000],
)
def test_an_invalid_answer_to_a_delete_is_an_unknown_result(engine: DockerEngine, http: Http, body: str) -> None:
    http.delete(TARGET, body=body)
    with pytest.raises(EngineUnavailable):
        engine.remove("app:1")


def _broken() -> requests.ConnectionError:
    return requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset by peer")))


def test_the_image_of_a_name_is_inspected(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/images/app:1/json", json={"Id": ID})
    assert engine.image_named("app:1") == ID


def test_a_name_without_an_image_is_gone(engine: DockerEngine, http: Http) -> None:
    http.get(f"{API}/images/app:1/json", status=404, json={"message": "No such image: app:1"})
    with pytest.raises(ImageGone):
        engine.image_named("app:1")
