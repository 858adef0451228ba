"""`explain` finds images that were pulled or run as `repo:tag@digest`, of which the engine keeps only the digest."""

from __future__ import annotations

from controller.plan.report.explanation import explained
from controller.plan.report.meaning import rows_without_a_tag
from controller.plan.verdict.judge import Terms
from tests.fakes import a_removal
from tests.host import a_host


def test_a_tag_that_only_a_container_shows_is_found() -> None:
    with a_host() as host:
        host.engine.pull("app@content")
        host.rules(a_removal("*", 60))
        decision = host.last.decision
        (digest,) = (verdict.reference for verdict in decision.plan.verdicts)
        assert explained(decision, Terms(), "app:1.2") == []
        assert len(explained(decision, Terms(), "app:1.2", rows_without_a_tag)) == 1

        host.engine.create(digest, written=f"app:1.2@{digest.partition('@')[2]}")
        decision = host.run_pass().decision
        ((_, row),) = explained(decision, Terms(), "app:1.2")
        assert row.reference == digest
        assert explained(decision, Terms(), "app:1.2", rows_without_a_tag) == []
