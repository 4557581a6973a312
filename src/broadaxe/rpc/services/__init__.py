"""The services SDKs call, one module each: wire message in, command out, reply back."""
