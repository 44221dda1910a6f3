"""Reviews: what arrives, what the contract lets through, and the versioned tables that keep it."""
