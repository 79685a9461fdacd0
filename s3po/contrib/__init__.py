"""S3 in other frameworks, each in a module that needs its extra: `s3po.contrib.django`."""
