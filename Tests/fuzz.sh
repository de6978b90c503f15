#!/bin/bash
# Fuzzes every parser for so many seconds (default 60) with libFuzzer under AddressSanitizer, as many at a time as there
# are processors. What it finds stays in .build/fuzz/findings and is printed; the inputs that it learns from in
# .build/fuzz/corpus.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}

# The package has no dependencies when it is built for the fuzzer, and SwiftPM forgets their versions.
mkdir -p .build/fuzz/findings
if [[ -f Package.resolved ]]; then
    cp Package.resolved .build/fuzz/
    trap 'cp .build/fuzz/Package.resolved .' EXIT
fi
export KELTER_FUZZING=1
# Swift's tasks and libFuzzer's coverage need no more than the release build; checks of overflow and bounds stay in it.
swift build --configuration release --sanitize fuzzer --sanitize address --scratch-path .build/fuzz \
    -Xswiftc -sanitize-coverage=edge,inline-8bit-counters,pc-table,trace-cmp --product kelter-fuzz
fuzzer=$PWD/.build/fuzz/release/kelter-fuzz

. Config/parts-directory.sh
export KELTER_PDFIUM=$parts/pdfium/libpdfium.so
# PDFium and libxml2 keep what they have initialised until the process ends.
export ASAN_OPTIONS=detect_leaks=0
export SWIFT_BACKTRACE=enable=no

fuzz() {
    local target=$1 log=.build/fuzz/$1.log
    mkdir -p ".build/fuzz/corpus/$target" ".build/fuzz/seeds/$target"
    if KELTER_FUZZ_TARGET=$target KELTER_FUZZ_SEEDS=.build/fuzz/seeds/$target "$3" -max_total_time="$2" -timeout=10 \
        -rss_limit_mb=1024 -dict=Tests/Fuzzing/tokens.dict -max_len=65536 -print_final_stats=1 \
        -artifact_prefix=".build/fuzz/findings/$target-" \
        ".build/fuzz/corpus/$target" ".build/fuzz/seeds/$target" >"$log" 2>&1; then
        awk -v target="$target" '/number_of_executed_units/ { printf "%-6s %9d inputs, nothing found\n", target, $2 }' "$log"
    else
        echo "$target: FOUND something:"
        grep -aE 'Fatal error|ERROR|Test unit written|Base64:' "$log" || tail -n 20 "$log"
        return 1
    fi
}
export -f fuzz
targets=$("$fuzzer" || true)
[[ -n $targets ]]
printf '%s\n' $targets | xargs -P "$(nproc)" -I{} bash -c 'fuzz "$@"' - {} "$seconds" "$fuzzer"
