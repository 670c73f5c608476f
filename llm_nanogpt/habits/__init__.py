"""What the rows of a table have in common, and a text that is written should have too."""
