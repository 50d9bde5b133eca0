"""Where examples come from: sources, built data sets, splits, batches, random views."""
