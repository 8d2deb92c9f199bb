"""How gates come to their results: one job from checkout to results, in parts (SPEC 3.7, 5)."""
