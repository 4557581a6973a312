"""A chat that reads web pages and answers with citations, as a durable workflow on the Hatchet SDK."""
