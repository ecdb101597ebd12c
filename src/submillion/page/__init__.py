"""Pages to look at: one HTML file each, with charts inside, that loads nothing and runs nothing."""
