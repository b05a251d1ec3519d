"""Round a rule's call: logs, the last sentence of a failed job, digests of code, patches."""
