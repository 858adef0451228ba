"""What the Open Horizon agent beside us says: which images its agreements need, and which names it fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from controller.plan.node.node import Node


class NodeSource(StrEnum):
    """How we know that the agent downloaded an image."""

    AGENT_CONTAINER = "used by a container of the agent"
    RECORDED = "recorded with record-download"
    AGREEMENT = "named by an agreement of the agent"
    SERVICE = "named by a service of the agent"


AN_AGREEMENT_IS_YOUNG_SECONDS = 3600.0
"""While it names no image yet it may still be pulling, one image after the other over a slow link."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One active agreement."""

    id: str
    images: tuple[str, ...] = ()
    """The images of its deployment; none until its containers are about to be made."""


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """The agreements and services of one answer; the last good one holds while the agent is silent."""

    agreements: tuple[Agreement, ...] = ()
    named: Mapping[str, NodeSource] = field(default_factory=dict)
    """Image names in agreements and services, active and archived: evidence of a download, not of use."""

    @property
    def images_in_use(self) -> frozenset[str]:
        """Names that active agreements need, whether their containers exist or not."""
        return frozenset(image for agreement in self.agreements for image in agreement.images)


NO_AGENT = AgentAnswer()


class Half(StrEnum):
    """What is left of an answer if one of two who should give it is silent."""

    NODE = "the node, by its file"
    AGENT = "the agent's agreements and services"


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """Which node this is: by a node file, by the agent, or by nobody."""

    node: Node | None = Node()
    """None: no document applies, because the node is not known, or is none that this program serves."""
    why: str = "neither a node file nor an agent was named"
    """Where the answer is from and how old it is, or why there is none; in words."""
    source: str = ""
    """The file or address that was asked; empty if none was named."""
    is_silence: bool = False
    """It was asked and gave no valid answer, or only half of one."""
    agent: AgentAnswer = NO_AGENT
    half: Half | None = None
    """The half that there is."""

    @property
    def is_degraded(self) -> bool:
        """Should somebody look after it?"""
        return self.is_silence or self.node is None


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The last good answer, and when it came, on the ledger's clock."""

    answer: NodeAnswer
    at: float


def believed(fresh: NodeAnswer, kept: KeptAnswer | None, now: float) -> NodeAnswer:
    """The answer to go by: while one who should answer is silent, the last good answer holds for what is missing. If
    there never was one, nobody knows which node this is.
    """
    if not fresh.is_silence:
        return fresh
    if kept is None or kept.answer.source != fresh.source:
        return replace(fresh, node=None)
    age = f"{(now - kept.at) / 60:.0f} min of watched time"
    return replace(
        fresh,
        node=fresh.node if fresh.half is Half.NODE else kept.answer.node,
        agent=fresh.agent if fresh.half is Half.AGENT else kept.answer.agent,
        why=f"{fresh.why}; its last answer, {age} old, holds",
    )


def kept_after(before: KeptAnswer | None, believed: NodeAnswer, now: float) -> KeptAnswer | None:
    """What to keep of an answer that was gone by; of half an answer that half, as old as the other one."""
    if not believed.is_silence:
        return KeptAnswer(believed, now)
    if before is None or before.answer.source != believed.source:
        return before
    return replace(before, answer=replace(before.answer, node=believed.node, agent=believed.agent))


@dataclass(frozen=True, slots=True)
class Beginning:
    """When an agreement began, as far as anybody can tell; on the ledger's clock."""

    after: float
    """The agent was last heard before it."""
    first_seen: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Images that came or were wanted since then may be what a young agreement needs, until then."""

    since: float
    until: float


def beginnings_after(
    before: Mapping[str, Beginning], agreements: Iterable[Agreement], last_heard: float, now: float
) -> dict[str, Beginning]:
    """The beginnings of all active agreements, after an answer; one that is new may be as old as the last answer."""
    new = Beginning(last_heard, now)
    return {agreement.id: before.get(agreement.id, new) for agreement in agreements}


def hold_of(answer: AgentAnswer, beginnings: Mapping[str, Beginning], now: float) -> Hold | None:
    """What is held for agreements that are young and name no image yet; None if there is no such agreement."""
    imageless = [beginnings.get(each.id, Beginning(now, now)) for each in answer.agreements if not each.images]
    young = [each for each in imageless if now - each.first_seen < AN_AGREEMENT_IS_YOUNG_SECONDS]
    if not young:
        return None
    last = max(each.first_seen for each in young)
    return Hold(min(each.after for each in young), last + AN_AGREEMENT_IS_YOUNG_SECONDS)
