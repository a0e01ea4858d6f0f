"""The workshop: tools, benchmarks and the stress, apart from what a reader came for."""
