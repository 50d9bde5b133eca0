"""How it learns: state, step, parallel, plateau, loop, checkpoints."""
