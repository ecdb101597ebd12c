"""What is wrong with labelled rows: duplicates, labels that contradict each other, labels that look wrong, lengths, balance."""

from submillion.auditing.audit import audit_rows

__all__ = ["audit_rows"]
