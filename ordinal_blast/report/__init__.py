"""What it means: result rows to tables, figures and one self-contained page. No JAX."""
