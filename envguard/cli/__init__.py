"""Words in, exit code out: a command declares options, calls one verb, shows the result."""
