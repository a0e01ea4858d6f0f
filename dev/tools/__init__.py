"""What runs, stamps and checks the series, and builds the site."""
