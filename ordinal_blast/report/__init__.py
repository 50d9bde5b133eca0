"""WHAT it means: records to frames, tables, figures and one self-contained page. Needs no JAX."""

from ordinal_blast.report.compare import Study
from ordinal_blast.report.datasets import Together
from ordinal_blast.report.joining import load, read
from ordinal_blast.report.page import write
from ordinal_blast.report.text import table

__all__ = ["Study", "Together", "load", "read", "table", "write"]
