"""The questions that the gate asks, each a pure function of evidence and policy."""
