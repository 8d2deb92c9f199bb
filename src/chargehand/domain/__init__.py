"""The pure core: values, rules and the state machine. No IO, no clock, no randomness."""
