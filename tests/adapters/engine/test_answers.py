"""Reading a JSON list row by row."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.engine.containers import container_from
from controller.adapters.engine.event_rows import event_from
from controller.adapters.engine.images import KEEP_LABEL, ImageList, image_from, images_from
from controller.adapters.engine.json_rows import mapping_of, rows_of
from controller.plan.memory.event import Event, EventKind

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def pieces(text: bytes, length: int) -> list[bytes]:
    return [text[at : at + length] for at in range(0, len(text), length)]


@given(
    st.lists(st.dictionaries(texts, values, max_size=3), max_size=5),
    st.sampled_from((None, 0, 2)),
    st.sampled_from(("", "\n", " \r\n\t")),
    st.integers(1, 50),
)
def test_rows_equal_the_parsed_list_in_pieces_of_any_length(
    rows: list[dict[str, object]], indent: int | None, blanks: str, length: int
) -> None:
    text = blanks + json.dumps(rows, indent=indent, ensure_ascii=False) + blanks
    assert list(rows_of(pieces(text.encode(), length))) == rows


@pytest.mark.parametrize(
    "text", ["", "null", "{}", '"[]"', "[", "[{}", "[{},", "[{}}", "[{} {}]", "[,]", "[{},]", "[]x", "[{}],", "[][]"]
)
def test_an_incomplete_or_invalid_list_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        list(rows_of([text.encode()]))


def test_bytes_that_are_not_utf_8_are_an_error() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        list(rows_of([b"[\xff]"]))


def test_a_list_of_too_many_elements_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.adapters.engine.json_rows.LONGEST_LIST", 3)
    assert len(list(rows_of([b"[{},{},{}]"]))) == 3
    with pytest.raises(ValueError, match="more than 3 elements"):
        list(rows_of([b"[{},{},{},{}]"]))


@pytest.mark.parametrize("text", ["", "{", '{"a"', '{"a":', '{"a": 1', '{"a": 1}}', "{} {}", "[]", "{} x"])
def test_an_incomplete_or_invalid_object_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        mapping_of(text.encode())


def test_a_number_that_python_refuses_to_convert_is_no_reason_to_refuse_the_answer() -> None:
    assert mapping_of(b'{"a": 1, "b": 1' + b"0" * 5_000 + b"}") == {"a": 1, "b": float("inf")}


some_images = st.dictionaries(
    st.sampled_from("abcd"),
    st.fixed_dictionaries(
        {},
        optional={
            "Size": st.sampled_from([0, 5, -1]),
            "Labels": st.sampled_from([None, {}, {KEEP_LABEL: ""}]),
            "Containers": st.integers(-1, 2),
        },
    ),
)


def listed(images: dict[str, dict[str, object]]) -> list[bytes]:
    return [json.dumps([{"Id": key * 64, "RepoTags": [f"{key}:1"], **row} for key, row in images.items()]).encode()]


@given(some_images, some_images)
def test_a_list_is_read_the_same_after_any_other_list(
    before: dict[str, dict[str, object]], after: dict[str, dict[str, object]]
) -> None:
    known = images_from(listed(before), ImageList())
    again = images_from(listed(after), known)
    assert again.images == images_from(listed(after), ImageList()).images
    assert images_from(listed(after), again).images is again.images


def test_a_row_with_the_hash_of_the_row_of_another_image_is_read() -> None:
    (text,) = listed({"a": {}})
    other = image_from({"Id": "b" * 64})
    known = ImageList({other.id: other}, {hash(text.decode()[1:-1]): other})
    assert [image.id for image in images_from([text], known).images.values()] == ["sha256:" + "a" * 64]


@given(st.dictionaries(st.sampled_from(["Id", "RepoTags", "RepoDigests", "ParentId", "Size", "Labels"]), values))
def test_any_row_is_an_image_or_an_error(row: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        image_from({"Id": "not an ID", **row})


# ── labels and containers ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", ["true", "True", "1", "yes", "", "because I say so"])
def test_every_value_of_the_keep_label_keeps(value: str) -> None:
    assert image_from({"Id": "1" * 64, "Size": 1, "Labels": {KEEP_LABEL: value}}).keep


@pytest.mark.parametrize("value", ["false", " False ", "0", "no", "OFF"])
def test_only_an_explicit_false_does_not_keep(value: str) -> None:
    assert not image_from({"Id": "1" * 64, "Size": 1, "Labels": {KEEP_LABEL: value}}).keep


def test_a_container_without_the_id_of_its_image_uses_what_its_name_means() -> None:
    container = container_from({"Id": "c" * 64, "ImageID": "", "Image": "app:1"})
    assert (container.image, container.mounted_images) == ("", ("app:1",))


@pytest.mark.parametrize(("name", "used"), [("", ()), ("app:1", ("app:1",))])
def test_podmans_empty_id_of_an_image_is_none(name: str, used: tuple[str, ...]) -> None:
    """A container of `podman run --rootfs` has neither an image nor a name of one."""
    container = container_from({"Id": "c" * 64, "ImageID": "sha256:", "Image": name})
    assert (container.image, container.mounted_images) == ("", used)


@pytest.mark.parametrize("image", ["sha256:" + "1" * 12, "sha256:" + "A" * 64, "app:1"])
def test_a_container_whose_image_is_no_id_fails_the_pass(image: str) -> None:
    with pytest.raises(ValueError, match="ImageID is not an ID"):
        container_from({"Id": "c" * 64, "ImageID": image, "Image": "app:1"})


@pytest.mark.parametrize(("action", "kind"), [("save", EventKind.SAVED), ("push", EventKind.PUSHED)])
def test_save_and_push_are_activity(action: str, kind: EventKind) -> None:
    event = event_from({"Type": "image", "Action": action, "Actor": {"ID": "app:1", "Attributes": {"name": "app"}}})
    assert event == Event(kind, None, "app:1")
    assert kind.is_activity


@pytest.mark.parametrize(
    ("label", "is_development"),
    [
        ("openhorizon.anax.service_name", False),
        ("openhorizon.anax.infrastructure", False),
        ("openhorizon.anax.dev_service", True),
        ("openhorizon.hzn-dev.service", True),
        ("openhorizon.hzn-dev.cssess", True),
    ],
)
def test_containers_of_hzn_dev_are_not_of_the_agent(label: str, is_development: bool) -> None:
    labels = {"openhorizon.anax.service_name": "web", label: ""}
    row = {"Id": "c" * 64, "Image": "web:1", "ImageID": f"sha256:{'a' * 64}", "Labels": labels}
    assert container_from(row).agent_dev is is_development
    event = {
        "Type": "container",
        "Action": "create",
        "Actor": {"ID": "c" * 64, "Attributes": {"image": "web:1"} | labels},
    }
    received = event_from(event)
    assert received is not None
    assert received.by_agent is not is_development
