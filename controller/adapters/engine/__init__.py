"""The container engine. Differences between engines end in this package.

`engine.py` has the requests, `events.py` the event stream. Under both are the connection (`connection.py`, `client.py`,
`transport.py`) and the conversion of answers to our values: `json_rows.py` reads JSON, `fields.py` its values,
`images.py`, `containers.py`, `event_rows.py` and `answers.py` what they mean.

An answer may contain anything. An invalid size is unknown; any other value of the wrong form is an error that names its
place, and the pass ends.
"""
