"""The world behind the ports: one short module per thing outside."""
