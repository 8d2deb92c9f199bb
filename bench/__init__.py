"""What coordination costs, measured against the least that the same work can cost."""
