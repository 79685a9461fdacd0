"""Batches: the verbs of Connection, many at once, in bounded memory, with every outcome accounted for.

A verb makes a `Handle`, and its caller waits until the `Limiter` has capacity (that is how a producer is
slowed down). A `Worker`, one of at most `poolsize` greenlets, performs the call on a Connection of its own
that is bound to the batch's counters and limits; then the callback runs, and the worker takes the next
call.
"""

from s3po.batch.batch import Batch
from s3po.batch.handle import Handle

__all__ = ["Batch", "Handle"]
