"""What a change does to the tests that judge it: read from git objects, compared by syntax (SPEC 3.7, item 4)."""
