"""How a network is trained: settings, losses, the state of a run, and several processes."""
