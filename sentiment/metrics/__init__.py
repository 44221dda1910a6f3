"""The platform's state as Prometheus metrics, read from the ledger and the tables when it is asked for."""
