"""WHAT it means: result rows to tables, figures and one self-contained page. Needs no JAX."""

from ordinal_blast.report.page import write
from ordinal_blast.report.text import table

__all__ = ["table", "write"]
