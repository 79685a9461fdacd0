"""Transfers made of many requests: uploads in parts, downloads by ranges, copies, deletions of many keys."""
