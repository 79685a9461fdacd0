"""The batch on a Dask cluster: `conn.batch(50, cluster=client)`. Needs the extra `s3po[dask]`.

Calls are shared out in tasks of bounded count and bytes (`scheduler`). Each worker process makes one
Connection of the settings, and performs a task as a local batch (`worker`).
"""

from s3po.cluster.batch import ClusterBatch

__all__ = ["ClusterBatch"]
