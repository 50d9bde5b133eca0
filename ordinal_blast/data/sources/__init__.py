"""One file a dataset: a function `source(root, **options)` that returns a `store.Source`."""
