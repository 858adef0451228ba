"""The agent is asked outside the passes: at most once a minute, sooner after events, and again before a removal."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from controller.adapters.node.agent import Agent
from controller.adapters.node.patient_agent import ANSWERS_LAST_SECONDS, EVENT_DISTANCE_SECONDS, PatientAgent
from controller.plan.node.agent import AgentAnswer, NodeAnswer
from controller.plan.node.node import Node

URL = "http://localhost:8510"


class SlowAgent(Agent):
    """Answers when the test lets it."""

    def __init__(self) -> None:
        super().__init__(URL)
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.needed: tuple[str, ...] = ()
        self.is_silent = False

    def ask(self) -> NodeAnswer:
        self.asked += 1
        needed, is_silent = self.needed, self.is_silent
        self.may_answer.wait()
        said = NodeAnswer(Node("myorg", "gw-1"), "", URL, agent=AgentAnswer(needed=needed), has_agent=True)
        return self.no_answer("answered 500") if is_silent else said


@pytest.fixture
def slow() -> Iterator[SlowAgent]:
    slow = SlowAgent()
    yield slow
    slow.may_answer.set()


class Watch:
    def __init__(self) -> None:
        self.now = 1000.0
        self.wake_ups = threading.Semaphore(0)

    def uptime(self) -> float:
        return self.now

    def patient(self, slow: SlowAgent, waits: float = 10.0) -> PatientAgent:
        return PatientAgent(slow, self.wake_ups.release, self.uptime, waits, removal_waits_seconds=30.0)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def always() -> bool:
    return True


def test_an_answer_lasts_a_minute(slow: SlowAgent, watch: Watch) -> None:
    patient = watch.patient(slow)
    assert patient.ask().age_seconds == 0.0
    watch.now += ANSWERS_LAST_SECONDS - 1
    assert patient.ask().age_seconds == ANSWERS_LAST_SECONDS - 1
    assert slow.asked == 1
    watch.now += 1
    assert patient.ask().age_seconds == 0.0
    assert slow.asked == 2


def test_an_event_asks_sooner_but_not_at_once(slow: SlowAgent, watch: Watch) -> None:
    patient = watch.patient(slow)
    patient.ask()
    patient.expect_change()
    patient.ask()
    assert slow.asked == 1
    watch.now += EVENT_DISTANCE_SECONDS
    patient.ask()
    assert slow.asked == 2


def test_a_removal_gets_the_answer_to_a_new_question(slow: SlowAgent, watch: Watch) -> None:
    patient = watch.patient(slow)
    patient.ask()
    slow.needed = ("web:1",)
    assert patient.ask().agent.needed == ()
    assert patient.ask_again(always).agent.needed == ("web:1",)
    assert patient.ask().agent.needed == ("web:1",)


def test_a_question_that_began_before_is_not_an_answer_for_a_removal(slow: SlowAgent, watch: Watch) -> None:
    patient = watch.patient(slow, waits=0.0)
    slow.may_answer.clear()
    patient.ask()
    slow.needed = ("web:1",)
    slow.may_answer.set()
    assert patient.ask_again(always).agent.needed == ("web:1",)
    assert slow.asked == 2


def ticking(watch: Watch, calls: list[float]) -> Callable[[], bool]:
    """Every read of the clock takes ten seconds."""

    def may_wait() -> bool:
        calls.append(watch.now)
        watch.now += 10.0
        return True

    return may_wait


def test_a_removal_waits_thirty_seconds_and_beats_meanwhile(slow: SlowAgent, watch: Watch) -> None:
    patient, calls = watch.patient(slow), list[float]()
    patient.ask()
    slow.may_answer.clear()
    answer = patient.ask_again(ticking(watch, calls))
    assert answer.is_without_agent
    assert answer.why == f"the agent at {URL} did not answer within 30 s before a removal"
    assert calls == [1000.0, 1010.0, 1020.0]


def test_a_stop_ends_the_wait(slow: SlowAgent, watch: Watch) -> None:
    patient = watch.patient(slow)
    slow.may_answer.clear()
    assert patient.ask_again(lambda: False).is_without_agent


def test_a_late_answer_rings_and_is_reported_once(
    slow: SlowAgent, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    patient = watch.patient(slow, waits=0.0)
    slow.may_answer.clear()
    first = patient.ask()
    assert (first.is_silence, first.why) == (True, f"the agent at {URL} has not answered within 0 s yet")
    assert patient.ask().is_silence
    slow.may_answer.set()
    assert watch.wake_ups.acquire(timeout=60)
    assert not patient.ask().is_silence
    assert slow.asked == 1
    watch.now += ANSWERS_LAST_SECONDS
    slow.may_answer.clear()
    assert not patient.ask().is_silence
    assert [record.event for record in caplog.records] == ["agent_late"]  # type: ignore[attr-defined]


def test_an_agent_that_does_not_answer_gives_no_answer(slow: SlowAgent, watch: Watch) -> None:
    patient = watch.patient(slow)
    patient.ask()
    slow.is_silent = True
    assert patient.ask_again(always).is_without_agent
    assert patient.ask().is_without_agent
    slow.is_silent = False
    watch.now += ANSWERS_LAST_SECONDS
    assert not patient.ask().is_silence


def test_a_request_that_fails_has_no_answer_and_the_next_one_is_sent(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    class Broken(SlowAgent):
        def ask(self) -> NodeAnswer:
            if self.is_silent:
                raise ZeroDivisionError
            return super().ask()

    broken = Broken()
    patient = watch.patient(broken)
    patient.ask()
    broken.is_silent = True
    watch.now += ANSWERS_LAST_SECONDS
    assert patient.ask().is_without_agent
    broken.is_silent = False
    assert not patient.ask_again(always).is_silence
