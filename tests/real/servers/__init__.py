"""The real servers, one module each: how to unpack, start, empty and stop it."""
