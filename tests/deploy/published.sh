#!/usr/bin/env bash
# Gives a server the environment of compose.yaml in a network namespace, and asks it from another one, as whoever comes
# through a published port does.  Both end with this script.  published.sh PROGRAM FOLDER PASSWORD
set -euo pipefail
program=$1 folder=$2 password=$3

if [ "${INSIDE:-}" = "" ]; then
    # A process of its own, so that this shell and the machine keep their network.
    INSIDE=1 exec unshare --net --mount --pid --fork --kill-child "$0" "$@"
fi

# The addresses are those that documents use for examples: nobody has them.
server=192.0.2.1 client=192.0.2.2
mount -t proc proc /proc
ip link set lo up
unshare --net sleep infinity &
elsewhere=$!
# Until the other namespace is there, the two are the same.
until [ "$(readlink /proc/$elsewhere/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
ip link add inner type veth peer name outer netns "$elsewhere"
ip address add $server/24 dev inner
ip link set inner up
nsenter --target "$elsewhere" --net ip address add $client/24 dev outer
nsenter --target "$elsewhere" --net ip link set outer up

export QUARTET_BIND=0.0.0.0 QUARTET_DIR=$folder/data QUARTET_HTTP_PORT="8080 8000 5000" QUARTET_REQUIREPASS=$password
"$program" > "$folder/log" 2>&1 &
for _ in $(seq 3000); do
    if "$program" health > "$folder/health" 2>&1; then break; fi
    read -r -t 0.01 _ <> <(:) || true
done
echo "health: $(cat "$folder/health")"

# Asks from the other namespace: a port, how many lines to read, and what to write.
ask() {
    nsenter --target "$elsewhere" --net bash -c '
        exec 3<> "/dev/tcp/$0/$1"
        printf "$3" >&3
        head -n "$2" <&3' $server "$1" "$2" "$3" | tr -d '\r' | tail -n 1
}

if [ -n "$password" ]; then
    echo "6379: $(ask 6379 2 "AUTH $password\r\nPING\r\n")"
    echo "4222: $(ask 4222 2 "CONNECT {\"auth_token\":\"$password\",\"verbose\":false}\r\nPING\r\n")"
else
    echo "6379: $(ask 6379 1 'PING\r\n')"
fi
for port in 5000 8000 8080; do
    head="Host: quartet\r\nConnection: close\r\nAuthorization: Bearer $password\r\n"
    echo "$port: $(ask $port 1 "GET /cache/absent HTTP/1.1\r\n$head\r\n")"
done
