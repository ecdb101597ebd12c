"""A run, written for a runtime that needs nothing of this package: one file a format, and the gate that each passes."""

from submillion.exporters.export import export_run

__all__ = ["export_run"]
