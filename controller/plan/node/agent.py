"""The answer of the Open Horizon agent: which images it needs and which names it downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from enum import StrEnum

from controller.plan.node.node import Node
from controller.value import dataclass


class NodeSource(StrEnum):
    """The evidence that the agent downloaded an image."""

    AGENT_CONTAINER = "used by a container of the agent"
    RECORDED = "recorded with record-download"
    AGREEMENT = "named by an agreement of the agent"
    SERVICE = "named by a service of the agent"


AN_AGREEMENT_IS_YOUNG_SECONDS = 3600.0
"""An agreement that names no image yet may still be pulling over a slow link."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One active agreement."""

    id: str
    images: tuple[str, ...] = ()
    """The images of its deployment; empty until its containers are created."""


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """The agreements and services of one answer; the last valid one is used while the agent does not answer."""

    agreements: tuple[Agreement, ...] = ()
    named: Mapping[str, NodeSource] = field(default_factory=dict)
    """Image names in agreements and services, active and archived: evidence of a download, not of use."""
    needed: tuple[str, ...] = ()
    """Image names in active service definitions. A definition is active before its images are pulled, and no other
    record names the images of required and agreement-less services.
    """
    records: Mapping[str, str] = field(default_factory=dict)
    """The record that names each image, for display in `explain`."""
    is_cut_short: bool = False
    """Not all archived records could be read, so `named` is not complete."""

    @property
    def images_in_use(self) -> frozenset[str]:
        """Names that active agreements and service definitions need, whether their containers exist or not."""
        return frozenset((*self.needed, *(image for agreement in self.agreements for image in agreement.images)))


NO_AGENT = AgentAnswer()


class Half(StrEnum):
    """The valid part of an answer if the node file or the agent does not answer."""

    NODE = "the node, by its file"
    AGENT = "the agent's agreements and services"


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """Which node this is: from a node file, from the agent, or without both."""

    node: Node | None = Node()
    """None: no document applies, because the node is unknown or not supported."""
    why: str = "no node file and no agent is configured"
    """The source of the answer, or why there is none, for display."""
    source: str = ""
    """The file or address; empty if none is configured."""
    is_silence: bool = False
    """It gave no valid answer, or only one part of it."""
    agent: AgentAnswer = NO_AGENT
    half: Half | None = None
    """The valid part, if only one is."""
    text_hash: str = ""
    """Of the text of the node file; empty without one."""
    is_settling: bool = False
    """The node file has a new text, which does not count yet."""
    has_agent: bool = False
    """True if an agent is configured."""
    age_seconds: float = 0.0
    """Time since the agent gave the answer that is used."""

    @property
    def is_without_agent(self) -> bool:
        """True if an agent is configured that gave no valid answer now."""
        return self.has_agent and self.is_silence and self.half is not Half.AGENT

    @property
    def is_degraded(self) -> bool:
        """True if this needs attention."""
        return not self.is_settling and (self.is_silence or self.node is None)


NO_NODE_SOURCE = NodeAnswer()


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The last valid answer, and its time on the ledger's clock."""

    answer: NodeAnswer
    at: float


def without_new_text(fresh: NodeAnswer, *, is_unstable: bool) -> NodeAnswer:
    """The answer while the text of the node file is too new: half-written, it might describe another node."""
    why = "keeps changing" if is_unstable else "has a new text: waiting until the file has been stable for 2 s"
    return replace(
        fresh,
        node=None,
        why=f"the node file {fresh.source} {why}",
        is_silence=True,
        half=None if fresh.half is Half.NODE else Half.AGENT,
        text_hash="",
        is_settling=not is_unstable and fresh.half is None,
    )


def believed(fresh: NodeAnswer, kept: KeptAnswer | None, now: float) -> NodeAnswer:
    """The answer to use: the last valid answer replaces a missing part. Without one, the node is unknown."""
    if not fresh.is_silence:
        return fresh
    if kept is None or kept.answer.source != fresh.source:
        return replace(fresh, node=None)
    return replace(
        fresh,
        node=fresh.node if fresh.half is Half.NODE else kept.answer.node,
        agent=fresh.agent if fresh.half is Half.AGENT else kept.answer.agent,
        why=f"{fresh.why}; its last answer is used",
        age_seconds=fresh.age_seconds if fresh.half is Half.AGENT else now - kept.at,
    )


def kept_after(before: KeptAnswer | None, believed: NodeAnswer, now: float) -> KeptAnswer | None:
    """The answer to keep; of a partial answer that part, with the age of the other one."""
    if not believed.is_silence:
        return KeptAnswer(replace(believed, age_seconds=0.0), max(0.0, now - believed.age_seconds))
    if before is None or before.answer.source != believed.source:
        return before
    return replace(before, answer=replace(before.answer, node=believed.node, agent=believed.agent))


def kept_after_failed_pass(before: KeptAnswer | None, fresh: NodeAnswer) -> KeptAnswer | None:
    """The answer to keep if the pass fails: the agent's new agreements count, the node's text is not judged yet."""
    if before is None or not fresh.has_agent or fresh.is_without_agent or before.answer.source != fresh.source:
        return before
    return replace(before, answer=replace(before.answer, agent=fresh.agent))


@dataclass(frozen=True, slots=True)
class Beginning:
    """The possible time of the start of an agreement, on the ledger's clock."""

    after: float
    """The last answer without the agreement."""
    first_seen: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Images with activity after `since` may belong to a young agreement and are kept until `until`."""

    since: float
    until: float


def beginnings_after(
    before: Mapping[str, Beginning], agreements: Iterable[Agreement], last_heard: float, now: float
) -> dict[str, Beginning]:
    """The start times of all active agreements after an answer; a new one may be as old as the last answer."""
    new = Beginning(last_heard, now)
    return {agreement.id: before.get(agreement.id, new) for agreement in agreements}


def hold_of(answer: AgentAnswer, beginnings: Mapping[str, Beginning], now: float) -> Hold | None:
    """The hold for young agreements that name no image yet, or None."""
    imageless = [beginnings.get(each.id, Beginning(now, now)) for each in answer.agreements if not each.images]
    young = [each for each in imageless if now - each.first_seen < AN_AGREEMENT_IS_YOUNG_SECONDS]
    if not young:
        return None
    last = max(each.first_seen for each in young)
    return Hold(min(each.after for each in young), last + AN_AGREEMENT_IS_YOUNG_SECONDS)
