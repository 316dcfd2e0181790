# Generated from the rows of the settings and the subcommands by `quartet completions`.
_quartet() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words
    case $previous in
        stream) words='verify export import' ;;
        completions) words='bash zsh fish' ;;
        --config) COMPREPLY=($(compgen -f -- "$current")); return ;;
        --bind) return ;;
        --port) return ;;
        --broker-port) return ;;
        --http-port) return ;;
        --ports-file) COMPREPLY=($(compgen -f -- "$current")); return ;;
        --protected-mode) words='yes no' ;;
        --requirepass) return ;;
        --users) return ;;
        --enable-debug-command) words='no yes local' ;;
        --threads) return ;;
        --http-threads) return ;;
        --databases) return ;;
        --maxclients) return ;;
        --timeout) return ;;
        --tcp-keepalive) return ;;
        --tcp-backlog) return ;;
        --http-connection-limit) return ;;
        --http-body-limit) return ;;
        --http-connection-in-flight-limit) return ;;
        --http-in-flight-limit) return ;;
        --http-request-timeout) return ;;
        --http-idle-timeout) return ;;
        --http-cors-origins) return ;;
        --http-hosts) return ;;
        --console) words='yes no' ;;
        --http-log-requests) words='yes no' ;;
        --websocket-compression) words='yes no' ;;
        --shutdown-delay) return ;;
        --busy-reply-threshold) return ;;
        --script-time-limit) return ;;
        --script-memory-limit) return ;;
        --broker-connection-limit) return ;;
        --broker-max-payload) return ;;
        --broker-max-control-line) return ;;
        --broker-max-subscriptions) return ;;
        --broker-max-pending) return ;;
        --broker-memory-limit) return ;;
        --broker-slow-consumer) words='disconnect drop-oldest drop-newest keep-latest' ;;
        --broker-ping-interval) return ;;
        --broker-max-pings-out) return ;;
        --broker-auth-timeout) return ;;
        --broker-write-deadline) return ;;
        --broker-lame-duck-grace) return ;;
        --broker-lame-duck-duration) return ;;
        --maxmemory) return ;;
        --maxmemory-policy) words='volatile-lru volatile-lfu volatile-random volatile-ttl allkeys-lru allkeys-lfu allkeys-random noeviction volatile-adaptive allkeys-adaptive' ;;
        --maxmemory-samples) return ;;
        --lfu-log-factor) return ;;
        --lfu-decay-time) return ;;
        --ttl-default) return ;;
        --ttl-max) return ;;
        --hash-max-listpack-entries) return ;;
        --hash-max-listpack-value) return ;;
        --list-max-listpack-size) return ;;
        --set-max-intset-entries) return ;;
        --set-max-listpack-entries) return ;;
        --set-max-listpack-value) return ;;
        --zset-max-listpack-entries) return ;;
        --zset-max-listpack-value) return ;;
        --max-value-size) return ;;
        --notify-keyspace-events) return ;;
        --client-output-buffer-limit) return ;;
        --client-query-buffer-limit) return ;;
        --proto-max-bulk-len) return ;;
        --slowlog-log-slower-than) return ;;
        --slowlog-max-len) return ;;
        --latency-monitor-threshold) return ;;
        --latency-tracking) words='yes no' ;;
        --log-level) words='trace debug info warn error' ;;
        --log-format) words='text json' ;;
        --dir) COMPREPLY=($(compgen -f -- "$current")); return ;;
        --appendonly) return ;;
        --save) return ;;
        --lock-durability) words='auto full fence none' ;;
        --lock-maxmemory) return ;;
        --limit-maxmemory) return ;;
        --limit-kept-from) return ;;
        --limit-host-prefix) return ;;
        *) words='--help --version --config --bind --port --broker-port --http-port --ports-file --protected-mode --requirepass --users --enable-debug-command --threads --http-threads --databases --maxclients --timeout --tcp-keepalive --tcp-backlog --http-connection-limit --http-body-limit --http-connection-in-flight-limit --http-in-flight-limit --http-request-timeout --http-idle-timeout --http-cors-origins --http-hosts --console --http-log-requests --websocket-compression --shutdown-delay --busy-reply-threshold --script-time-limit --script-memory-limit --broker-connection-limit --broker-max-payload --broker-max-control-line --broker-max-subscriptions --broker-max-pending --broker-memory-limit --broker-slow-consumer --broker-ping-interval --broker-max-pings-out --broker-auth-timeout --broker-write-deadline --broker-lame-duck-grace --broker-lame-duck-duration --maxmemory --maxmemory-policy --maxmemory-samples --lfu-log-factor --lfu-decay-time --ttl-default --ttl-max --hash-max-listpack-entries --hash-max-listpack-value --list-max-listpack-size --set-max-intset-entries --set-max-listpack-entries --set-max-listpack-value --zset-max-listpack-entries --zset-max-listpack-value --max-value-size --notify-keyspace-events --client-output-buffer-limit --client-query-buffer-limit --proto-max-bulk-len --slowlog-log-slower-than --slowlog-max-len --latency-monitor-threshold --latency-tracking --log-level --log-format --dir --appendonly --save --lock-durability --lock-maxmemory --limit-maxmemory --limit-kept-from --limit-host-prefix' ;;
    esac
    if [ "$COMP_CWORD" = 1 ]; then words+=' health bench stream man completions'; fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _quartet quartet
