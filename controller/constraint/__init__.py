"""The language in which Open Horizon says which node a policy is for, as anax reads it, oddities included.

A text becomes tokens (`tokens`), an expression (`parser`, `expression`) and, with properties, an answer (`evaluate`).
"""
