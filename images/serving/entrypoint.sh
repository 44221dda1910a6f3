#!/bin/sh
# As in BentoML's own images: `serve` and flags serve the Bento at BENTO_PATH; anything else is run as it is.
set -eu
if [ "${1:-serve}" = serve ]; then
  shift $(($# > 0))
  exec bentoml serve "$@" "$BENTO_PATH"
fi
exec "$@"
