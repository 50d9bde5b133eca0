"""How it learns: optimiser and schedule, problem, step, parallel, loop, selection, journal, checkpoints."""
