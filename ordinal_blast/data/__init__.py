"""Where examples come from: simulator, dataset builders, time-lapse selection, batches."""
