"""From values to lines of text and JSON documents. Nothing here writes anywhere."""
