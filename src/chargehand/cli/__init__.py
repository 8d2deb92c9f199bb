"""The command line (SPEC 10.1): one file a command; what they print is made in `render`."""
