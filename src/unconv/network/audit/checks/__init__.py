"""The rules of the audit, a family of them in each file: from a subject to its findings."""
