"""How it learns: state, step, parallel, plateau, selection, loop, checkpoints."""
