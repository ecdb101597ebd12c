"""A study: many plans trained for a short while, one recommended and trained in full."""
