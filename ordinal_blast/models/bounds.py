"""What the numbers of a network may be."""

from __future__ import annotations

from ordinal_blast.ranges import number, whole

WIDTH = whole(1)
RATE = number(least=0, below=1)  # of dropout: what is kept is divided by 1 − rate
MOMENTUM = number(least=0, below=1)  # at 1 the running statistics would never move
EPSILON = number(above=0)
