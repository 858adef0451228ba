"""Removes container images that an edge node no longer needs, by policy, and never one that it does.

The map, from top to bottom; imports go downwards only, and a test of the architecture sees to it:

    cli/          speaks: commands, tables, exit codes
    daemon/       moves: one pass is observe, remember, plan, execute, report; the loop, metrics, status over HTTP
    adapters/     touches: the engine and its events, the ledger, the policy folder, the agent, the Exchange, clocks
    ── below this line nothing touches anything: values in, values out ──
    plan/         decides: which documents are in force, for how long an image was unused, what goes, waits or stays
    policy/       reads: policy documents, and everything that is wrong with them
    image/        names: references, selectors over them, layers and what removing them frees
    constraint/   judges: the property and constraint language of Open Horizon
    settings, instant, quantity, errors

Begin with plan/verdict.py, plan/planner.py, plan/decision.py, daemon/reconcile.py and daemon/loop.py.
"""

__version__ = "0.1.0"
