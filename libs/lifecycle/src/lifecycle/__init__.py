"""One process that serves and consumes, and falls as one; settings, health, clock."""
