"""What answers requests: the scorer. Needs numpy only, so that the served image stays small."""
