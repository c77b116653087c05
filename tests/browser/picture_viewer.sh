#!/usr/bin/env bash
# Usage: tests/browser/picture_viewer.sh PHASEWISE FOLDER
# Simulates both scales and puts pictures of the viewer, light and dark, into FOLDER.
set -euo pipefail
phasewise=$1 folder=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$phasewise" run philly --quiet --out "$work/philly" >/dev/null
"$phasewise" run alibaba --quiet --rounds 400 --out "$work/alibaba" >/dev/null
"$phasewise" run alibaba --quiet --rounds 400 --placement random --out "$work/alibaba-random" >/dev/null
"$phasewise" view "$work/philly" --out "$work/philly.html" >/dev/null
"$phasewise" view "$work/alibaba" --out "$work/alibaba.html" >/dev/null
"$phasewise" view "$work/alibaba" "$work/alibaba-random" --out "$work/both.html" >/dev/null
# Rounds in which as many jobs come as go.
node "$(dirname "$0")/picture_viewer.mjs" "$(command -v chromium)" "$folder" \
  "viewer-philly+hover+charts+jct=$work/philly.html#round=700" \
  "viewer-philly+job=$work/philly.html#round=700&job=118" \
  "viewer-alibaba+hover+charts+jct=$work/alibaba.html#round=200" \
  "viewer-two-runs=$work/both.html#round=200" \
  "viewer-phone+phone=$work/alibaba.html#round=200"
