"""Queries the agent outside the passes: a query may take 30 s, and a pass waits a few seconds for it.

The agent is asked at most once a minute, unless an engine event or a removal needs a newer answer.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import field, replace

from controller.adapters.node.agent import Agent
from controller.log_events import LogEvent
from controller.plan.node.agent import NodeAnswer
from controller.value import dataclass

ANSWERS_LAST_SECONDS = 60.0
PASS_WAITS_SECONDS = 5.0
REMOVAL_WAITS_SECONDS = 30.0
EVENT_DISTANCE_SECONDS = 5.0
DISTANCE_IN_QUESTIONS = 10.0
"""Events cause a query only after this many times the duration of the last one."""
_SLICE_SECONDS = 0.5
_log = logging.getLogger("controller")


@dataclass
class _Question:
    """One query in a thread of its own."""

    began: float
    done: threading.Event = field(default_factory=threading.Event)
    ended: float = 0.0
    answer: NodeAnswer | None = None


class PatientAgent:
    """The agent's latest answer, and a new one where it is needed."""

    def __init__(
        self,
        agent: Agent,
        wake: Callable[[], None] = lambda: None,
        uptime: Callable[[], float] = time.monotonic,
        pass_waits_seconds: float = PASS_WAITS_SECONDS,
        removal_waits_seconds: float = REMOVAL_WAITS_SECONDS,
    ) -> None:
        """`wake` wakes the loop for an answer that came after the pass that waited for it."""
        self._agent = agent
        self._wake = wake
        self._uptime = uptime
        self._pass_waits = pass_waits_seconds
        self._removal_waits = removal_waits_seconds
        self._asked: _Question | None = None
        self._answered: _Question | None = None
        self._used: NodeAnswer | None = None
        self._has_event = False
        self._is_late = False

    def expect_change(self) -> None:
        """An engine event: the next pass needs a newer answer."""
        self._has_event = True

    def ask(self) -> NodeAnswer:
        """The latest answer; a new one if it is old and the agent answers within a few seconds."""
        if self._is_due():
            question = self._begin()
            if not question.done.wait(self._pass_waits):
                self._report_late()
        return self._latest()

    def ask_again(self, may_wait: Callable[[], bool]) -> NodeAnswer:
        """The answer to a query that starts now. Waits at most 30 s, as long as `may_wait` is true."""
        deadline = self._uptime() + self._removal_waits
        before = self._asked
        if before and not self._wait(before, deadline, may_wait):
            return self._silence()
        if not self._wait(self._begin(), deadline, may_wait):
            return self._silence()
        return self._latest()

    def _is_due(self) -> bool:
        if self._asked and not self._asked.done.is_set():
            return False
        last = self._answered
        if last is None:
            return True
        distance = ANSWERS_LAST_SECONDS
        if self._has_event:
            distance = max(EVENT_DISTANCE_SECONDS, DISTANCE_IN_QUESTIONS * (last.ended - last.began))
        return self._uptime() - last.ended >= min(distance, ANSWERS_LAST_SECONDS)

    def _begin(self) -> _Question:
        self._has_event = False
        question = _Question(self._uptime())
        self._asked = question
        threading.Thread(target=self._run, args=(question,), name="agent", daemon=True).start()
        return question

    def _run(self, question: _Question) -> None:
        try:
            question.answer = self._agent.ask()
        finally:  # Also after an error of this program: the request then has no answer.
            question.ended = self._uptime()
            self._answered = question
            is_waited_for = question.ended - question.began < self._pass_waits
            question.done.set()
        if is_waited_for:
            self._is_late = False
        elif question.answer != self._used:
            self._wake()

    def _wait(self, question: _Question, deadline: float, may_wait: Callable[[], bool]) -> bool:
        """True if the query is answered before the deadline."""
        while not question.done.wait(min(_SLICE_SECONDS, max(0.0, deadline - self._uptime()))):
            if self._uptime() >= deadline or not may_wait():
                return False
        return True

    def _latest(self) -> NodeAnswer:
        last = self._answered
        if last is None or last.answer is None:
            return self._agent.no_answer(f"has not answered within {self._pass_waits:g} s yet")
        self._used = last.answer
        return last.answer if last.answer.is_silence else replace(last.answer, age_seconds=self._uptime() - last.ended)

    def _silence(self) -> NodeAnswer:
        self._report_late()
        return self._agent.no_answer(f"did not answer within {self._removal_waits:g} s before a removal")

    def _report_late(self) -> None:
        """One log line until the agent answers in time again."""
        if not self._is_late:
            text = "%s takes longer than %g s to answer: passes use its last answer meanwhile"
            _log.warning(text, self._agent.name, self._pass_waits, extra={"event": LogEvent.AGENT_LATE})
        self._is_late = True
