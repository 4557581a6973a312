"""PostgreSQL servers as other people run them: of any major version, on a port of this machine, without our care."""
