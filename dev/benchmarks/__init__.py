"""What this series is fast at, and by how much: `make bench`; see README.md beside this file."""
