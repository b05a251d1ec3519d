"""The authors' files: released checkpoints, tables and numbers, read without executing anything."""
