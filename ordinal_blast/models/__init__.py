"""Who grades: networks as pure init and apply."""
