"""The loop that decides nothing and does everything: fold, decide, record, act, wait."""
