#!/bin/bash
# Makes the virtual environment `test-venv` of the parts directory from test-requirements.txt: the LiteLLM proxy the
# tests run against. Says and does nothing when it is there.
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/parts-directory.sh"

mkdir -p "$parts"
exec 9>"$parts/.lock"
flock 9

# An environment cannot be moved, so it is made in its place and its stamp written last.
venv=$parts/test-venv
pins=$(sha256sum <"$here/test-requirements.txt" | cut -c1-64)
if [[ -f $venv/.pins && $(<"$venv/.pins") == "$pins" ]]; then exit 0; fi
echo "Installing the tests' LiteLLM proxy into $venv (750 MB)"
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    -r "$here/test-requirements.txt"
echo "$pins" >"$venv/.pins"
