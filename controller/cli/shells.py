"""Completion in bash, which splits words at colons; click does not handle that, and image names contain colons."""

from __future__ import annotations

from click.shell_completion import BashComplete, add_completion_class, split_arg_string

from controller import settings

# bash replaces only what follows the last colon or equals sign.
_BASH = """\
%(complete_func)s() {
    local typed=${COMP_LINE:0:COMP_POINT} kind text
    typed=${typed##*[[:space:]]}
    local kept=${typed%%"${typed##*[:=]}"}
    while IFS=, read -r kind text; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${text#"$kept"}") ;;
        esac
    done < <(COMP_WORDS=${COMP_LINE:0:COMP_POINT} %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Completion for bash 4.4 and later."""

    name = "bash"
    source_template = _BASH

    @staticmethod
    def _check_version() -> None:
        """No check: the script may be for another bash than the one here."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The complete words and the one that is being typed, split as a shell splits them."""
        line = settings.environment()["COMP_WORDS"]
        words = split_arg_string(line)
        return (words[1:], "") if line[-1:].isspace() else (words[1:-1], words[-1])


def register() -> None:
    """Use it for bash."""
    add_completion_class(Bash)
