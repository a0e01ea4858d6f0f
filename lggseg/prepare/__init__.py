"""From a volume to what the network sees, and back."""
