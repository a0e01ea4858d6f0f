"""A trained network ready for use: its file, its device, and the masks made of its answers."""
