"""Many requests that act as one: uploads in parts, downloads by ranges, copies, mass deletes."""
