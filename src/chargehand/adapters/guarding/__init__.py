"""Which commands need a yes, and how agents' programs are made to wait for it (SPEC 7.2)."""
