#!/usr/bin/env bash
# Runs the unit tests of the store and of the scripts' engine under Valgrind, which finds reads of freed or uninitialised memory, frees
# done twice and leaks in the files that have `unsafe` code.  Takes two minutes; does nothing where Valgrind is missing.
#
#   tests/memory_check.sh [TEST ...]     only tests whose names contain one of these; `store::` and `script::engine::` by default
#
# Miri checks more (aliasing, provenance, alignment), but needs a nightly toolchain:
#
#   rustup toolchain install nightly --component miri
#   PROPTEST_CASES=3 MIRIFLAGS="-Zmiri-permissive-provenance -Zmiri-disable-isolation" \
#       cargo +nightly miri test --lib store::entries store::object
#
# Permissive provenance, since slots of the table keep addresses in 48 bits; no isolation, since proptest reads the
# environment.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v valgrind > /dev/null; then
    echo "skipped: valgrind is missing"
    [ "${QUARTET_REQUIRE_PEERS:-0}" != 1 ]
    exit
fi

program=$(cargo test --package quartet --lib --no-run --message-format=json 2> /dev/null \
    | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -1)

# A few cases and steps of each random test: every instruction takes thirty times as long.  Tests that only measure how much memory
# many elements take are left out.
under_valgrind() {
    QUARTET_SHORT=1 PROPTEST_CASES=${PROPTEST_CASES:-3} valgrind --quiet --error-exitcode=1 "$@"
}
leaks=(--leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite)

if [ $# -gt 0 ]; then
    under_valgrind "${leaks[@]}" "$program" --quiet "$@"
    exit
fi
under_valgrind "${leaks[@]}" "$program" --quiet --skip few_bytes_for_a_ --skip a_list_takes_little_more store::
stopped=script::engine::tests::runs_are_stopped
under_valgrind "${leaks[@]}" "$program" --quiet "$stopped"
# A state of Lua keeps addresses where Valgrind does not look for them, so what the other tests leave in one would seem to be lost.
under_valgrind "$program" --quiet --skip "$stopped" script::engine::
