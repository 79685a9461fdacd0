"""s3po: an S3 client that knows just a few tricks, and does them well."""
