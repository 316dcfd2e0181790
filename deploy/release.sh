#!/usr/bin/env bash
# Makes the archive that is handed out: deploy/release.sh [x86_64|aarch64] [FOLDER]
# It holds the stripped binary, its debugging information, the man page, completions, the units and the documents.
# Another processor than this machine's needs its linker (Debian: gcc-aarch64-linux-gnu) and `rustup target add`.
set -euo pipefail
cd "$(dirname "$0")/.."

processor=${1:-$(uname -m)}
folder=${2:-target/release-archives}
case $processor in
    x86_64 | aarch64) target=$processor-unknown-linux-gnu ;;
    *) echo "release.sh: $processor is neither x86_64 nor aarch64" >&2; exit 1 ;;
esac

prefix=""
if [ "$processor" != "$(uname -m)" ]; then
    prefix=$processor-linux-gnu-
    command -v "${prefix}gcc" > /dev/null ||
        { echo "release.sh: ${prefix}gcc is missing: install gcc-${processor/_/-}-linux-gnu" >&2; exit 1; }
    variable=CARGO_TARGET_$(echo "$target" | tr 'a-z-' 'A-Z_')_LINKER
    export "$variable=${prefix}gcc" "CC_${target//-/_}=${prefix}gcc"
fi

version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
name=quartet-$version-$processor-linux
made=$folder/$name
rm -rf "$made"
mkdir -p "$made"

cargo build --locked --release --bin quartet --target "$target"
built=${CARGO_TARGET_DIR:-target}/$target/release/quartet

# Whoever has quartet.debug beside the binary sees names and lines in gdb, perf and backtraces.
"${prefix}objcopy" --only-keep-debug --compress-debug-sections=zlib "$built" "$made/quartet.debug"
"${prefix}objcopy" --strip-all "$built" "$made/quartet"
(cd "$made" && "${prefix}objcopy" --add-gnu-debuglink=quartet.debug quartet)

cp LICENSE README.md CHANGELOG.md SECURITY.md "$made"
cp -r docs "$made/docs"
for part in completions man systemd grafana prometheus; do
    if [ -d "deploy/$part" ]; then cp -r "deploy/$part" "$made/$part"; fi
done

# The same sources make the same archive: names in order, no owner, the time of the commit.
time=$(git log -1 --format=%ct 2> /dev/null || echo 0)
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" -C "$folder" -czf "$folder/$name.tar.gz" "$name"
(cd "$folder" && sha256sum "$name.tar.gz" > "$name.tar.gz.sha256")
ls -l "$made/quartet" "$made/quartet.debug" "$folder/$name.tar.gz"
