#!/bin/sh
# Makes empty sources for all targets that the manifests name, so that cargo can compile the dependencies alone.
set -eu
cd "$(dirname "$0")/../.."

stub() {
    mkdir -p "$(dirname "$1")"
    echo 'fn main() {}' > "$1"
}

for manifest in Cargo.toml protocol/Cargo.toml; do
    folder=$(dirname "$manifest")
    mkdir -p "$folder/src"
    : > "$folder/src/lib.rs"
    # Tests name their paths; a benchmark lies where its name says.
    sed -n '/^\[\[test\]\]/,/^$/s/^path = "\(.*\)"/\1/p' "$manifest" |
        while read -r path; do stub "$folder/$path"; done
    sed -n '/^\[\[bench\]\]/,/^$/s/^name = "\(.*\)"/benches\/\1.rs/p' "$manifest" |
        while read -r path; do stub "$folder/$path"; done
done
stub src/main.rs
