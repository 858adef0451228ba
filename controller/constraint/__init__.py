"""The constraint language of Open Horizon, exactly as anax reads it.

Text becomes tokens (`tokens`), an expression (`parser`, `expression`) and, with properties, a result (`evaluate`).
"""
