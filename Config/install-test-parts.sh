#!/bin/bash
# Makes the tests' virtual environments in the parts directory; says and does nothing when they are there. Without argument:
# `test-venv` from test-requirements.txt, the LiteLLM proxy the tests run against. With the argument `http`:
# `http-test-venv` from http-test-requirements.txt, schemathesis. With the argument `s3`: `s3-test-venv` from
# s3-test-requirements.txt, moto's server of buckets. With the argument `bench`: `bench-venv` from
# bench-requirements.txt, the openai client that `kelter-bench embedding` measures beside Kelter's. With the argument
# `documents`: `documents-test-venv/documents`, what is in the source distributions of documents-test-sdists.txt.
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/parts-directory.sh"

case ${1:-} in
'') name=test what="the tests' LiteLLM proxy" size="750 MB" ;;
http) name=http-test what="schemathesis" size="60 MB" ;;
s3) name=s3-test what="moto" size="310 MB" ;;
documents) name=documents-test what="sample documents" size="70 MB" ;;
bench) name=bench what="Python's openai client" size="140 MB" ;;
*) echo "usage: install-test-parts.sh [http|s3|documents|bench]" >&2 && exit 2 ;;
esac
requirements=$here/$name-requirements.txt
sdists=$here/$name-sdists.txt
venv=$parts/$name-venv

mkdir -p "$parts"
exec 9>"$parts/.lock"
flock 9

# An environment cannot be moved, so it is made in its place and its stamp written last.
pinned=("$requirements")
if [[ -f $sdists ]]; then pinned+=("$sdists"); fi
pins=$(cat "${pinned[@]}" | sha256sum | cut -c1-64)
if [[ -f $venv/.pins && $(<"$venv/.pins") == "$pins" ]]; then exit 0; fi
echo "Installing $what into $venv ($size)"
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    -r "$requirements"
if [[ -f $sdists ]]; then
    "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        --no-build-isolation --no-binary=:all: --dest "$venv/sdists" -r "$sdists"
    mkdir "$venv/documents"
    for archive in "$venv"/sdists/*.tar.gz; do
        tar --extract --no-same-owner --file "$archive" --directory "$venv/documents"
    done
    rm -r "$venv/sdists"
fi
echo "$pins" >"$venv/.pins"
