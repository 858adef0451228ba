"""The fields of a node management policy and of its forms, declared once.

The validator (`parse`), the JSON Schema (`schema`) and the template (`template`) are derived from them.
"""

from __future__ import annotations

from typing import Any

from controller.constraint.property import LIST_OF_STRINGS, TYPES, Property, allow_privileged_faults, property_faults
from controller.policy.document.document import MOST_KEPT, MOST_MINUTES, MOST_SECONDS
from controller.policy.document.findings import Findings
from controller.policy.document.languages import NOW, Constraint, ImageName, PatternName, PropertyContent, Start
from controller.policy.document.mapping import Field, MappingShape, Values, joined
from controller.policy.document.shapes import Anything, ByName, Flag, Listed, OneOf, Shape, Text, Whole
from controller.policy.text.tree import Node
from controller.value import dataclass

# --- One rule ---

IMAGE_NAME = Field(
    "image_name",
    ImageName(),
    'which images: a complete name; "*" matches any characters',
    upstream="imageId",
    if_missing="error",
    examples=("nginx:*", "registry.local:5000/team/*:1.*", "nginx:1.27", "*"),
)
DELETE_AFTER_MINUTES = Field(
    "delete_after_minutes",
    Whole(most=MOST_MINUTES, unit="minutes", unit_seconds=60),
    "how many minutes an image must have been idle; 0: as soon as it is unused",
    upstream="deleteAfterMinutes",
    if_missing="error",
    examples=(1440, 10080, 43200),
)
AGENT_DOWNLOADED_ONLY = Field(
    "agent_downloaded_only",
    Flag(),
    "true: only images that the Open Horizon agent downloaded; false: images of any origin",
    upstream="agentDownloadedOnly",
    if_missing="error",
    examples=(True, False),
)
KEEP_LAST = Field(
    "keep_last",
    Whole(most=MOST_KEPT, unit="images", unit_seconds=0),
    "how many of the most recently used images of each repository this rule never removes",
    upstream="keepLast",
    examples=(2,),
)
LOST_TAG_ONLY = Field(
    "lost_tag_only",
    Flag(),
    "only images that had a tag and lost it to a newer image (true)",
    upstream="lostTagOnly",
    examples=(True, False),
)
UNDER_PRESSURE = Field(
    "delete_after_minutes_under_pressure",
    Whole(most=MOST_MINUTES, unit="minutes", unit_seconds=60),
    "the limit while the disk is under pressure; smaller than delete_after_minutes",
    upstream="deleteAfterMinutesUnderPressure",
    examples=(60, 0),
)
RULE = MappingShape(
    "a removal rule",
    (IMAGE_NAME, DELETE_AFTER_MINUTES, AGENT_DOWNLOADED_ONLY, KEEP_LAST, LOST_TAG_ONLY, UNDER_PRESSURE),
    is_closed=True,
)


@dataclass(frozen=True, slots=True)
class ReadRule(Shape[Values]):
    """A removal rule, with the check between its two limits."""

    group: MappingShape

    def read(self, node: Node, path: str, found: Findings) -> Values | None:
        values = self.group.read(node, path, found)
        limit, under_pressure = (values[DELETE_AFTER_MINUTES], values[UNDER_PRESSURE]) if values else (None, None)
        if values and limit is not None and under_pressure is not None and under_pressure >= limit:
            at, message = values.node_of(UNDER_PRESSURE) or node, f"must be smaller than delete_after_minutes, {limit}"
            found.error(at, values.path_of(UNDER_PRESSURE), message, "remove it if pressure changes nothing")
        return values


# --- One property ---

PROPERTY_NAME = Field("name", Text(may_be_blank=False), "the name of the property in constraints", if_missing="error")
PROPERTY_VALUE = Field("value", PropertyContent(), "a text, a number, true or false", if_missing="error")
PROPERTY_TYPE = Field("type", OneOf(TYPES), f"the type of the value; a {LIST_OF_STRINGS} is one text with commas")


@dataclass(frozen=True, slots=True)
class ReadProperty(Shape[Property]):
    """A property, with upstream's checks of its parts together."""

    group: MappingShape

    def read(self, node: Node, path: str, found: Findings) -> Property | None:
        values = self.group.read(node, path, found)
        name, value = (values[PROPERTY_NAME], values[PROPERTY_VALUE]) if values else (None, None)
        if values is None or name is None or value is None:
            return None
        prop = Property(name, value, values[PROPERTY_TYPE] or "")
        for fault in [*property_faults(prop), *allow_privileged_faults(prop)]:
            found.error(values.node_of(PROPERTY_VALUE) or node, joined(path, PROPERTY_VALUE.name), fault)
        return prop


# --- The document ---

CONSTRAINTS = Field(
    "constraints",
    Listed(Constraint()),
    "which nodes, by their properties; all must be true; none: every node without a pattern",
    narrows=True,
    examples=(["site == paris || site == lyon", 'openhorizon.arch == "arm64"'],),
)
PATTERNS = Field(
    "patterns",
    Listed(PatternName()),
    "which nodes, by their pattern; cannot be combined with constraints",
    narrows=True,
    examples=(["org/pattern"],),
)
START = Field(
    "start",
    Start(),
    "from when: now (when a node first sees this text), or an RFC 3339 time",
    narrows=True,
    examples=(NOW, "2027-01-31T22:00:00Z", "2027-01-31T22:00:00+01:00"),
)
START_WINDOW = Field(
    "startWindow",
    Whole(most=MOST_SECONDS, unit="seconds", unit_seconds=1),
    "the number of seconds over which the nodes spread their start",
    narrows=True,
    examples=(0, 86400),
)
NARROWING = (CONSTRAINTS, PATTERNS, START, START_WINDOW)

REMOVAL = Field(
    "removal",
    Listed(ReadRule(RULE)),
    "the rules; if several cover an image, the first that is due removes it",
    upstream="imageRemovalPolicies",
    if_missing="error",
)
IMAGE_POLICY = Field(
    "image_policy",
    MappingShape("an image policy", (REMOVAL,), strays=NARROWING),
    "which images are removed, and when",
    upstream="agentImagePolicy",
)

MANIFEST = Field(
    "manifest", Text(), "the manifest of the software to upgrade to; without one there is no upgrade policy"
)
ALLOW_DOWNGRADE = Field("allowDowngrade", Flag(), "whether the upgrade may install an older version")


UPGRADE = Field(
    "upgrade",
    MappingShape("an upgrade policy", (MANIFEST, ALLOW_DOWNGRADE), strays=NARROWING),
    "how the agent upgrades itself; ignored here; cannot be combined with an image policy",
    upstream="agentUpgradePolicy",
    absent_without=MANIFEST.name,  # the Exchange adds an empty one to every document that it returns
)
LABEL = Field("label", Text(), "a short name for people", if_missing="warning", examples=("unused images",))
DESCRIPTION = Field("description", Text(), "a long description", examples=("",))
ENABLED = Field(
    "enabled",
    Flag(),
    "whether the policy is enabled",
    if_missing="error",
    narrows=True,  # Beside the right one, upstream reads `Enabled: false` too, and the last one counts.
    examples=(False, True),
)
PROPERTIES = Field(
    "properties",
    Listed(ReadProperty(MappingShape("a property", (PROPERTY_NAME, PROPERTY_VALUE, PROPERTY_TYPE), strays=NARROWING))),
    "properties of the policy, for the constraints of nodes",
    examples=([{"name": "purpose", "value": "cleaning"}],),
)
OF_THE_EXCHANGE = tuple(Field(name, Text(), "set by the Exchange") for name in ("owner", "created", "lastUpdated"))

DOCUMENT = MappingShape(
    "a node management policy",
    (
        LABEL,
        DESCRIPTION,
        ENABLED,
        CONSTRAINTS,
        PATTERNS,
        PROPERTIES,
        START,
        START_WINDOW,
        IMAGE_POLICY,
        UPGRADE,
        *OF_THE_EXCHANGE,
    ),
)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Two fields of a document that cannot both have content."""

    one: Field[Any]
    other: Field[Any]
    message: str
    hint: str


EXCLUSIONS = (
    Exclusion(CONSTRAINTS, PATTERNS, "cannot be combined with constraints", "use one or the other"),
    Exclusion(IMAGE_POLICY, UPGRADE, "cannot be combined with an image policy", "write two documents"),
)

# --- The forms that a document comes in ---


def _unread(*names: str) -> tuple[Field[object], ...]:
    return tuple(Field(name, Anything(), "ignored") for name in names)


NAME = Field(
    "name",
    Text(
        pattern=r"[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]{0,251}[^\x00-\x20\x7f-\xa0])?",
        says="a name: 1 to 253 characters on one line, without a blank at either end",
    ),
    "the name of the document, which must be unique",
    if_missing="error",
)
METADATA = Field(
    "metadata",
    MappingShape("metadata", (NAME, *_unread("labels", "annotations", "namespace")), strays=NARROWING),
    "the name of the document",
    if_missing="error",
)
API_VERSION = Field("apiVersion", OneOf(("openhorizon.org/v1",)), "openhorizon.org/v1", if_missing="error")
KIND = Field("kind", OneOf(("NodeManagementPolicy",)), "NodeManagementPolicy", if_missing="error")
SPEC = Field("spec", DOCUMENT, "the policy itself", if_missing="error")
ENVELOPE = MappingShape(
    "a NodeManagementPolicy", (API_VERSION, KIND, METADATA, SPEC, *_unread("status")), strays=NARROWING
)
SIGNS_OF_AN_ENVELOPE = (API_VERSION, KIND, SPEC)

MANAGEMENT_POLICY = Field("managementPolicy", ByName(DOCUMENT), "the documents, by org/name", if_missing="error")
ANSWER = MappingShape("an answer of the Exchange", (MANAGEMENT_POLICY, *_unread("lastIndex")), strays=NARROWING)
SIGNS_OF_AN_ANSWER = (MANAGEMENT_POLICY,)
