"""A small shop's stock, kept in a text file."""
