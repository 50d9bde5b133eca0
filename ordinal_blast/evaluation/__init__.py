"""How well: metrics, ROC curves and significance, in float64 numpy and scipy, without JAX."""
