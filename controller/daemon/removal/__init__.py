"""Removal: only the image that was judged is removed, by a controller that misses no event; every answer is checked.

Read in this order:

1. `remover.py`: the entrance. Which removals, in which batches; intents are written before the first request.
2. `checks.py`: what must hold before each request. If the event stream or the connection was interrupted since the
   observation, no further request is sent.
3. `requests.py`: the requests, child before parent. The last name of an image is removed by the image ID.
4. `answers.py`: what an answer means. Everything that the engine says it deleted is compared with what was asked; after
   the batch the results are compared with a second observation.
5. `measurement.py`: how many bytes a batch freed, where only the total of the store can show it.
"""
