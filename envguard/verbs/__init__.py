"""What each command does, in order: one readable story per command, without words or colours."""
