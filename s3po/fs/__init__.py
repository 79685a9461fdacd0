"""S3 as a filesystem of fsspec: `fsspec.open("s3po://bucket/key")`, and all that works on fsspec.

fsspec finds it by an entry point under the protocol `s3po`. `register()` makes it the filesystem of
`s3://` as well, in place of s3fs.

```python
import pandas as pd

pd.read_parquet("s3po://bucket/data", storage_options={"endpoint_url": "http://localhost:9000"})
```

Needs the extra `s3po[fsspec]`.
"""

from s3po.fs.file import S3File
from s3po.fs.filesystem import S3FileSystem, register

__all__ = ["S3File", "S3FileSystem", "register"]
