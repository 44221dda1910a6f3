"""The BentoML service that answers over HTTP; the only code that imports bentoml."""
