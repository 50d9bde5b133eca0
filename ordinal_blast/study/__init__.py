"""Which variants: ablation grid to cells to result rows."""
