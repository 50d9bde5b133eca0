"""How it learns: optimiser and schedule, problem, step, parallel, loop, course, selection, journal, checkpoints."""
