"""How fast, beside others and beside what the machine can do: `ordinal-blast bench`.

Every row is measured in one run by alternating repeats, so that its ratios hold on a busy machine too.
"""

from ordinal_blast.bench.bench_page import write
from ordinal_blast.bench.command import Result, bench, names, table
from ordinal_blast.report.manifest import check

__all__ = ["Result", "bench", "check", "names", "table", "write"]
