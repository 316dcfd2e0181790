#!/usr/bin/env bash
# Starts a server as a unit or an engine does: as somebody without rights, with a root that cannot be written and a folder for data,
# twice, and says what became of a lock.  Everything ends with this script.  confined.sh PROGRAM FOLDER [NAME=VALUE ...]
set -euo pipefail
program=$1 folder=$2
shift 2

if [ "${INSIDE:-}" = "" ]; then
    INSIDE=1 exec unshare --net --mount --pid --fork --kill-child "$0" "$program" "$folder" "$@"
fi

user=10001
mount -t proc proc /proc
ip link set lo up
install --directory --owner=$user --group=$user --mode=0700 "$folder/data"
touch "$folder/quartet"
chmod 1777 "$folder"
mount --bind "$program" "$folder/quartet"
# A mount of its own stays writable when the root does not.
mount --bind "$folder/data" "$folder/data"
mount -o remount,bind,ro /

# In place of a subshell, so that a signal reaches the program itself.
unprivileged() {
    exec setpriv --reuid=$user --regid=$user --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
        env -i PATH="$PATH" "$@"
}

for _ in 1 2; do
    (cd "$folder/data" && unprivileged "$@" "$folder/quartet" > "$folder/data/log" 2>&1) &
    server=$!
    healthy=no
    for _ in $(seq 3000); do
        if (unprivileged "$@" "$folder/quartet" health > /dev/null 2>&1); then healthy=yes; break; fi
        kill -0 $server 2> /dev/null || break
        read -r -t 0.01 _ <> <(:) || true
    done
    [ $healthy = yes ] || { cat "$folder/data/log" >&2; exit 1; }
    if (unprivileged touch "$folder/elsewhere" 2> /dev/null); then echo "the root can be written"; fi
    exec 3<> /dev/tcp/127.0.0.1/6379
    printf 'LOCK.ACQUIRE printer alice TTL 600000\r\nQUIT\r\n' >&3
    head -n 1 <&3 | tr -d '\r'
    exec 3>&-
    kill -TERM $server
    code=0
    wait $server || code=$?
    echo "ended with $code"
done
