"""Removes container images that an edge node no longer needs, by policy. In doubt it keeps an image and says why.

The map, from top to bottom; README.md beside this file explains it. Imports go downwards only (`lint-imports`).

    cli/          commands, one file each; output/ has tables, selectors and progress
    daemon/       one pass (reconcile), the loop, status, log lines (journal), wiring
        removal/      which removals, checks before each request, the request, the measurement
        http/ metrics/ page/
    adapters/     what each folder meets: engine/ ledger/ folder/ node/ exchange/ host/
    ── pure from here on: values in, values out ──
    plan/         scope/ (which documents are in force), memory/ (idle times), verdict/ (what is removed, waits or is
                  kept), node/ (which documents match), report/ (rows to show)
    policy/       text/ (bytes to tree), document/ (tree to policy, with all its problems)
    image/        references, patterns over them, layers
    constraint/   the property and constraint language of Open Horizon
    settings, instant, quantity, printable, json_text, pattern, spelling, value, log_events, errors

Read in this order: plan/verdict/verdict.py, plan/verdict/judge.py, plan/verdict/planner.py, plan/verdict/decision.py,
daemon/reconcile.py, daemon/removal/remover.py, daemon/loop.py.
"""

__version__ = "0.2.0"
