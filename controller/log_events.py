"""The values of the field `event` of a log line. They are an interface: texts may change, values do not."""

from __future__ import annotations

from enum import StrEnum


class LogEvent(StrEnum):
    """What a log line reports. A rename breaks alerts on logs: add a value instead."""

    CONTROLLER_STARTED = "controller_started"
    CONTROLLER_STOPPED = "controller_stopped"

    IMAGE_REMOVED = "image_removed"
    IMAGE_UNTAGGED = "image_untagged"
    IMAGE_GONE = "image_gone"
    """Another process removed it first."""
    REMOVAL_REFUSED = "removal_refused"
    REMOVAL_FAILED = "removal_failed"
    UNEXPECTED_DELETION = "unexpected_deletion"
    """The engine deleted more than was requested."""
    REMOVAL_SKIPPED_DRY_RUN = "removal_skipped_dry_run"
    BYTES_MEASURED = "bytes_measured"
    """The measurement of several removals is final."""

    POLICY_IN_FORCE = "policy_in_force"
    POLICY_WAITING = "policy_waiting"
    POLICY_NOT_APPLICABLE = "policy_not_applicable"
    POLICY_DISABLED = "policy_disabled"
    POLICY_NO_IMAGE_POLICY = "policy_no_image_policy"
    POLICY_INVALID = "policy_invalid"
    POLICY_REMOVED = "policy_removed"
    POLICY_FILE_PROBLEM = "policy_file_problem"
    """A file in the policy folder cannot be read, or contains no document."""
    POLICY_ERRORS = "policy_errors"
    """Degraded: some documents have errors."""
    POLICY_UNSTABLE = "policy_unstable"
    """Degraded: some documents keep changing."""
    POLICY_FOLDER_UNAVAILABLE = "policy_folder_unavailable"
    """Degraded: the folder is missing, empty or cannot be read."""
    POLICY_FOLDER_EMPTY = "policy_folder_empty"
    """Nothing was ever delivered into the folder."""
    POLICY_FOLDER_NOT_WATCHED = "policy_folder_not_watched"
    POLICY_REVISION = "policy_revision"
    REMOVALS_STOPPED = "removals_stopped"
    """A file STOP appeared in the policy folder."""
    REMOVALS_RESUMED = "removals_resumed"

    DISK_PRESSURE_BEGAN = "disk_pressure_began"
    DISK_PRESSURE_ENDED = "disk_pressure_ended"
    DISK_UNKNOWN = "disk_unknown"
    """Degraded: marks of disk pressure are set, and the disk with the images cannot be measured."""

    NODE_UNKNOWN = "node_unknown"
    """Degraded: the node file or the agent gave no valid answer, or only an old one."""

    AGENT_LATE = "agent_late"
    """The agent needs longer to answer than a pass waits."""
    AGENT_ANSWER_CUT_SHORT = "agent_answer_cut_short"
    """Not all archived records of the agent could be read."""

    ENGINE_CHOSEN = "engine_chosen"
    """This host has several engines, and none was named."""
    ENGINE_UNREACHABLE = "engine_unreachable"
    ENGINE_CHANGED = "engine_changed"
    """Another engine answers than before."""
    ENGINE_EVENTS_MISSED = "engine_events_missed"
    """Image use may have gone unnoticed; the settle time starts again."""
    ENGINE_EVENTS_DOWN = "engine_events_down"
    """Degraded: the event stream is not connected."""
    ENGINE_EVENTS_BROKEN = "engine_events_broken"
    """The event stream ended with an error and is reconnected."""
    ENGINE_EVENT_INVALID = "engine_event_invalid"

    LEDGER_UNAVAILABLE = "ledger_unavailable"
    LEDGER_RESET = "ledger_reset"
    """Degraded: the ledger was damaged and recreated."""

    LEDGER_RESTORED = "ledger_restored"
    """An older copy of the ledger was put back."""

    HTTP_OPEN_TO_NETWORK = "http_open_to_network"
    TEXTFILE_UNAVAILABLE = "textfile_unavailable"
    """The file of `--textfile` cannot be written."""
    PASSWORDS_UNREADABLE = "passwords_unreadable"
    CERTIFICATE_RENEWED = "certificate_renewed"
    CERTIFICATE_INVALID = "certificate_invalid"
    """The changed certificate or key cannot be loaded; the old one is still used."""

    RESOLVED = "resolved"
    """A degraded state has ended; the field `resolved` has its event."""
    LIBRARY_MESSAGE = "library_message"
    """A library of this program logged it."""
