# What a session of a document has: its own network, and tools that print as they do on a terminal.
# The session itself never stops at a failure: each command tells its exit code.
ip link set lo up
mkdir -p "$SESSION/work"
cd "$SESSION/work" || exit 1
exec < /dev/null

tools=$SESSION/tools.sh
cat > "$tools" <<'END'
curl() { command curl --silent --show-error "$@"; }
redis-cli() {
    command redis-cli --no-raw "$@" || return
    # Nobody types the next command before the server has ended.
    if [ "$1" = SHUTDOWN ]; then wait "$server_process"; fi
}
redis-benchmark() { command redis-benchmark "$@" -n 2000; }
quartet() { "$QUARTET" "$@"; }
# The program is built already.  Serving goes on in the background, as in a terminal of its own.
cargo() {
    case $1 in
        run)
            while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
            [ $# -eq 0 ] || shift
            "$QUARTET" "$@" >> "$SESSION/server-log" 2>&1 &
            server_process=$!
            for _ in $(seq 6000); do
                if "$QUARTET" health "$@" > /dev/null 2>&1; then return 0; fi
                kill -0 $server_process 2> /dev/null || { cat "$SESSION/server-log" >&2; return 1; }
                pause
            done
            return 1
            ;;
        *) echo "cargo $*: not run in a session" >&2 ;;
    esac
}
# Lets a moment pass for another process.
pause() { read -r -t 0.01 _ <> <(:) || true; }
END
source "$tools"

# Runs the commands on standard input in a shell that has the tools.
bash_with_tools() { bash -c "source '$tools'; $(cat)"; }

python_program() { "$PYTHON" -; }

node_program() { (cd "$NODE_FOLDER" && node --input-type=module); }

# Starts a command that goes on, and waits until the server has begun to answer it.
listen() {
    local heard=$SESSION/heard-$1
    bash -c "source '$tools'; $(cat)" > "$heard" &
    for _ in $(seq 6000); do
        [ -s "$heard" ] && return 0
        pause
    done
}

# Prints what such a command has heard, once that has so many lines.
heard() {
    local heard=$SESSION/heard-$1
    for _ in $(seq 6000); do
        [ "$(wc -l < "$heard")" -ge "$2" ] && break
        pause
    done
    head -n "$2" "$heard"
}

# Tells the exit code and the output of the command before.
tell() {
    printf '\n\001command %s\n' "$1"
    cat "$SESSION/printed"
}
trap 'kill $(jobs -p) 2> /dev/null' EXIT
