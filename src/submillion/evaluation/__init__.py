"""From scored rows to a report."""
