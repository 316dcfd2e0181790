#!/usr/bin/env python3
"""Writes the dashboards below `dashboards/`, or below another folder, from the tables in this file: `deploy/grafana/make.py`.

A panel is a row: its title, what it shows, its unit, and pairs of an expression and a legend.  Every selector is limited
to the servers that the reader has chosen (`$instance`), and every rate to what Grafana finds fit (`$__rate_interval`).
A test has Prometheus evaluate each expression (tests/deploy).
"""

import json
import pathlib
import re
import sys

FOLDER = pathlib.Path(__file__).parent / "dashboards"

# Version of the format of dashboards that Grafana 10 to 12 read.
SCHEMA = 39

PANEL_WIDTH, PANEL_HEIGHT, GRID_WIDTH = 8, 8, 24

SOURCE = {"type": "prometheus", "uid": "${source}"}


def rate(metric, by="", where=""):
    """The rate of a counter, summed by labels."""
    summed = f"sum by ({by})" if by else "sum"
    return f"{summed} (rate({metric}{{{where}}}[$__rate_interval]))"


def quantile(share, metric, by="", where=""):
    """A quantile of a histogram, for each value of the labels."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{where}}}[$__rate_interval])))"


def latencies(title, where_resp, where_http, what):
    return (title, what, "s", [
        (quantile(0.5, "quartet_command_seconds", where=where_resp), "RESP p50"),
        (quantile(0.99, "quartet_command_seconds", where=where_resp), "RESP p99"),
        (quantile(0.5, "quartet_http_request_seconds", where=where_http), "HTTP p50"),
        (quantile(0.99, "quartet_http_request_seconds", where=where_http), "HTTP p99"),
    ])


def of_service(service):
    return f'service="{service}"'


def requests(service):
    where = of_service(service)
    return ("Requests", "Commands that ran and HTTP requests that were answered, each second.", "reqps", [
        (rate("quartet_commands_total", "command", where), "{{command}}"),
        (rate("quartet_http_requests_total", "method, route", where), "{{method}} {{route}}"),
    ])


def faults(service):
    where = of_service(service)
    return ("Errors", "Commands that answered an error or were refused, and HTTP requests by class of status.", "reqps", [
        (rate("quartet_commands_failed_total", where=where), "commands failed"),
        (rate("quartet_commands_rejected_total", where=where), "commands refused"),
        (rate("quartet_http_requests_total", "status", where + ', status!="2xx"'), "HTTP {{status}}"),
    ])


JOURNAL = [
    ("Journal", "Writes that were synced to the disk, each second.", "ops", [
        ("max by (instance) (rate(quartet_journal_syncs_total{}[$__rate_interval]))", "{{instance}}"),
    ]),
    ("Last sync", "How long the last write took, with its sync.", "s", [
        ("max by (instance) (quartet_journal_last_sync_seconds{})", "{{instance}}"),
    ]),
]

DASHBOARDS = {
    "overview": ("Quartet", [
        ("Up", "1 for each server that Prometheus reaches.", "short", [
            ("up{}", "{{instance}}"),
            ("max by (instance, version, commit) (quartet_build_info{})", "{{instance}} {{version}} {{commit}}"),
        ]),
        ("Commands", "Commands of RESP clients, by service.", "reqps", [
            (rate("quartet_commands_total", "service"), "{{service}}"),
        ]),
        ("HTTP", "Requests over HTTP, by service.", "reqps", [
            (rate("quartet_http_requests_total", "service"), "{{service}}"),
        ]),
        ("Messages", "Messages that were published (in) and sent to receivers (out), by listener.", "mps", [
            (rate("quartet_broker_messages_total", "listener, direction"), "{{listener}} {{direction}}"),
        ]),
        ("Latency of commands", "99 of 100 commands took no longer.", "s", [
            (quantile(0.99, "quartet_command_seconds", "service"), "{{service}}"),
        ]),
        ("Latency of HTTP", "99 of 100 requests took no longer; those that wait for locks and messages take as long as they wait.", "s", [
            (quantile(0.99, "quartet_http_request_seconds", "service"), "{{service}}"),
        ]),
        ("Processor", "Cores that the process takes.", "short", [
            ("rate(process_cpu_seconds_total{}[$__rate_interval])", "{{instance}}"),
        ]),
        ("Memory", "Memory of the process, and what each service counts of it.", "bytes", [
            ("process_resident_memory_bytes{}", "process"),
            ("sum by (instance) (quartet_cache_memory_bytes{})", "cache"),
            ("quartet_limit_memory_bytes{}", "limits"),
            ("quartet_lock_memory_bytes{}", "locks"),
            ("quartet_broker_waiting_bytes{}", "messages that wait"),
        ]),
        ("Connections", "Connections there are, and those that were turned away each second.", "short", [
            ("sum by (listener) (quartet_connections{})", "{{listener}}"),
            (rate("quartet_connections_rejected_total", "listener"), "{{listener}} turned away"),
        ]),
        ("Error replies", "Error replies to RESP clients, by code.", "reqps", [
            (rate("quartet_error_replies_total", "code"), "{{code}}"),
        ]),
        ("HTTP by status", "Responses by class of status.", "reqps", [
            (rate("quartet_http_requests_total", "status"), "{{status}}"),
        ]),
        ("Wrong passwords", "Passwords that were wrong, and those that were not looked at since their address had given too many.", "reqps", [
            (rate("quartet_authentications_failed_total", "reason"), "{{reason}}"),
        ]),
        ("Traffic of RESP", "Bytes each second.", "Bps", [
            (rate("quartet_resp_bytes_total", "direction"), "{{direction}}"),
        ]),
        ("Bytes that wait", "Output until clients read it, input until it is run, and HTTP bodies under way.", "bytes", [
            ("sum by (queue) (quartet_queue_bytes{})", "RESP {{queue}}"),
            ("quartet_http_response_bytes_in_flight{}", "HTTP responses"),
            ("quartet_http_request_bytes_in_flight{}", "HTTP bodies"),
        ]),
        *JOURNAL,
        ("Uptime", "Since the start of the server.", "s", [("quartet_uptime_seconds{}", "{{instance}}")]),
        ("Lost lines of the log", "Lines that nobody read in time.", "short", [
            ("increase(quartet_log_lines_dropped_total{}[$__rate_interval])", "{{instance}}"),
        ]),
        ("Scripts", "Scripts and functions that the server knows, and the memory of the scripts' texts.", "short", [
            ("quartet_scripts{}", "scripts"),
            ("quartet_functions{}", "functions"),
            ("quartet_scripts_memory_bytes{}", "bytes"),
        ]),
    ]),
    "cache": ("Quartet: cache", [
        requests("cache"),
        latencies("Latency", of_service("cache"), of_service("cache"), "Half and 99 of 100 took no longer."),
        faults("cache"),
        ("Hit ratio", "Reads that found their key, of all reads.", "percentunit", [
            ("sum (rate(quartet_cache_hits_total{}[$__rate_interval])) / (sum (rate(quartet_cache_hits_total{}[$__rate_interval]))"
             " + sum (rate(quartet_cache_misses_total{}[$__rate_interval])))", "hits"),
        ]),
        ("Keys", "Keys, and those with a time to live, by database.", "short", [
            ("sum by (database) (quartet_cache_keys{})", "database {{database}}"),
            ("sum by (database) (quartet_cache_keys_with_ttl{})", "database {{database}} with TTL"),
        ]),
        ("Memory", "Memory of the data by what it is for, and its limit; 0 is no limit.", "bytes", [
            ("sum by (part) (quartet_cache_memory_bytes{})", "{{part}}"),
            ("sum (quartet_cache_memory_limit_bytes{})", "limit"),
        ]),
        ("Keys that left", "Keys that were evicted to make room, and those whose time had come.", "ops", [
            (rate("quartet_cache_evictions_total"), "evicted"),
            (rate("quartet_cache_expired_total"), "expired"),
        ]),
        ("Expiry lag", "The longest time that the memory of a key was kept after its deadline; readers never see such a key.", "s", [
            ("max by (instance) (quartet_cache_expiry_lag_max_seconds{})", "{{instance}}"),
        ]),
        ("Adaptive eviction", "Hits that each member would have had, of the sampled reads; with an adaptive policy only.", "percentunit", [
            ("sum by (member) (rate(quartet_cache_eviction_member_hits_total{}[$__rate_interval]))"
             " / sum by (member) (rate(quartet_cache_eviction_member_lookups_total{}[$__rate_interval]))", "{{member}}"),
        ]),
        ("Member in force", "1 for the member that decides, and how often another one took over.", "short", [
            ("max by (member) (quartet_cache_eviction_member{})", "{{member}}"),
            ("sum (increase(quartet_cache_eviction_member_switches_total{}[$__rate_interval]))", "switches"),
        ]),
    ]),
    "limits": ("Quartet: rate limits", [
        requests("limits"),
        latencies("Latency", of_service("limits"), of_service("limits"), "Half and 99 of 100 took no longer."),
        faults("limits"),
        ("Decisions", "Decisions each second, by what was decided.", "ops", [
            (rate("quartet_limit_decisions_total", "decision"), "{{decision}}"),
        ]),
        ("Refusals by policy", "Refused checks each second.", "ops", [
            (rate("quartet_limit_decisions_total", "policy", 'decision="refused"'), "{{policy}}"),
        ]),
        ("Share refused", "Refused checks of all checks, by policy.", "percentunit", [
            ("sum by (policy) (rate(quartet_limit_decisions_total{decision=\"refused\"}[$__rate_interval]))"
             " / sum by (policy) (rate(quartet_limit_decisions_total{}[$__rate_interval]))", "{{policy}}"),
        ]),
        ("Memory of counters", "Memory of the counters, and its limit.", "bytes", [
            ("sum (quartet_limit_memory_bytes{})", "counters"),
            ("sum (quartet_limit_memory_limit_bytes{})", "limit"),
        ]),
        ("Without room", "Checks of a new key that found no room for a counter, so that the policy's rule for that case decided.", "ops", [
            (rate("quartet_limit_without_room_total", "policy"), "{{policy}}"),
        ]),
        ("Policies", "Policies there are.", "short", [("sum (quartet_limit_policies{})", "policies")]),
    ]),
    "locks": ("Quartet: locks", [
        requests("locks"),
        latencies("Latency", of_service("locks"), of_service("locks"), "Half and 99 of 100 took no longer; a request that waits takes as long as it waits."),
        faults("locks"),
        ("Holders and waiters", "Leases that are held, requests that wait, owners and sessions.", "short", [
            ("sum by (kind) (quartet_locks{})", "{{kind}}"),
        ]),
        ("Grants and ends", "What happened to leases, each second.", "ops", [
            (rate("quartet_lock_events_total", "event", 'event=~"granted|released|renewed|expired|forced|lost"'), "{{event}}"),
        ]),
        ("Hand-off", "Requests that had to wait each second, and those that gave up; the others were handed the lock.", "ops", [
            (rate("quartet_lock_events_total", where='event="waited"'), "had to wait"),
            (rate("quartet_lock_events_total", where='event=~"timed_out|withdrawn"'), "gave up"),
        ]),
        ("Deadlocks", "Requests that were refused since their wait would have closed a deadlock.", "short", [
            ("sum (increase(quartet_lock_events_total{event=\"deadlock\"}[$__rate_interval]))", "deadlocks"),
        ]),
        ("Memory", "Memory of the locks, and its limit.", "bytes", [
            ("sum (quartet_lock_memory_bytes{})", "locks"),
            ("sum (quartet_lock_memory_limit_bytes{})", "limit"),
        ]),
        *JOURNAL,
    ]),
    "broker": ("Quartet: broker", [
        ("Messages", "Messages each second that were published (in) and sent to receivers (out), by listener.", "mps", [
            (rate("quartet_broker_messages_total", "listener, direction"), "{{listener}} {{direction}}"),
        ]),
        ("Bytes", "The same in bytes of headers and payloads.", "Bps", [
            (rate("quartet_broker_message_bytes_total", "listener, direction"), "{{listener}} {{direction}}"),
        ]),
        ("Fan-out", "Messages sent for each one published.", "short", [
            ("sum (rate(quartet_broker_messages_total{direction=\"out\"}[$__rate_interval]))"
             " / sum (rate(quartet_broker_messages_total{direction=\"in\"}[$__rate_interval]))", "receivers"),
        ]),
        requests("broker"),
        faults("broker"),
        ("Subscriptions", "Subscriptions, and the channels and patterns that have any.", "short", [
            ("sum (quartet_broker_subscriptions{})", "subscriptions"),
            ("sum by (kind) (quartet_broker_channels{})", "{{kind}}"),
        ]),
        ("Slow consumers", "Receivers that became too slow, by what happened to them.", "ops", [
            (rate("quartet_broker_slow_consumers_total", "policy"), "{{policy}}"),
        ]),
        ("Missed messages", "Messages that receivers were too slow for.", "mps", [
            (rate("quartet_broker_messages_missed_total"), "missed"),
        ]),
        ("Messages that wait", "Memory of all messages that wait for receivers, and its limit.", "bytes", [
            ("sum (quartet_broker_waiting_bytes{})", "waiting"),
            ("sum (quartet_broker_waiting_limit_bytes{})", "limit"),
        ]),
        ("Lookups", "Lookups of the subscriptions to a subject each second; remembered ones need none.", "ops", [
            (rate("quartet_broker_lookups_total"), "lookups"),
            ("sum (quartet_broker_lookups_remembered{})", "remembered subjects"),
        ]),
    ]),
    "streams": ("Quartet: streams", [
        requests("streams"),
        ("Messages", "Messages that came to streams or left them, each second.", "mps", [
            (rate("quartet_stream_events_total", "event"), "{{event}}"),
        ]),
        ("Stream lag", "Messages that a consumer has not been given yet.", "short", [
            ("sum by (stream, consumer) (quartet_stream_consumer_pending{})", "{{stream}} {{consumer}}"),
        ]),
        ("Acknowledgements", "Messages that wait for their acknowledgement, and those of them that were delivered again.", "short", [
            ("sum by (stream, consumer) (quartet_stream_consumer_ack_pending{})", "{{stream}} {{consumer}}"),
            ("sum by (stream, consumer) (quartet_stream_consumer_redelivered{})", "{{stream}} {{consumer}} again"),
        ]),
        ("Requests that wait", "Requests that wait for messages of a consumer.", "short", [
            ("sum by (stream, consumer) (quartet_stream_consumer_waiting_requests{})", "{{stream}} {{consumer}}"),
        ]),
        ("Stored", "Messages of each stream.", "short", [
            ("sum by (stream) (quartet_stream_messages{})", "{{stream}}"),
        ]),
        ("Bytes", "Bytes of the messages of each stream.", "bytes", [
            ("sum by (stream) (quartet_stream_bytes{})", "{{stream}}"),
        ]),
        ("Written", "Sequence numbers that each stream gives, each second.", "mps", [
            ("sum by (stream) (rate(quartet_stream_last_sequence{}[$__rate_interval]))", "{{stream}}"),
        ]),
        ("On the way to the disk", "Messages that wait for the disk, so that nobody sees them yet, and those that are in the journal only.", "short", [
            ("sum (quartet_stream_unapplied_messages{})", "wait for the disk"),
            ("sum (quartet_stream_journaled_messages{})", "in the journal only"),
        ]),
        ("Requests of the API", "Requests to manage streams and consumers, and those that were refused.", "reqps", [
            (rate("quartet_stream_requests_total"), "requests"),
            (rate("quartet_stream_request_errors_total"), "refused"),
        ]),
        ("Files", "Files of streams, and those in which damage was found at the start.", "short", [
            ("sum (quartet_stream_files{})", "files"),
            ("sum (quartet_stream_damaged_files{})", "damaged"),
        ]),
        ("Streams and consumers", "How many there are.", "short", [
            ("sum (quartet_streams{})", "streams"),
            ("sum (quartet_stream_consumers{})", "consumers"),
        ]),
        *JOURNAL,
    ]),
}


def of_chosen_servers(expression):
    """Limits each selector to the servers that the reader has chosen."""
    return re.sub(r"\{([^}]*)\}", lambda found: "{%s}" % ", ".join(filter(None, [found[1], 'instance=~"$instance"'])), expression)


def panel(number, row):
    title, what, unit, queries = row
    columns = GRID_WIDTH // PANEL_WIDTH
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "description": what,
        "datasource": SOURCE,
        "gridPos": {"x": number % columns * PANEL_WIDTH, "y": number // columns * PANEL_HEIGHT, "w": PANEL_WIDTH, "h": PANEL_HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 8, "showPoints": "never"}}, "overrides": []},
        "options": {
            "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": of_chosen_servers(expression), "legendFormat": legend}
            for place, (expression, legend) in enumerate(queries)
        ],
    }


def dashboard(name, title, rows):
    return {
        "uid": f"quartet-{name}",
        "title": title,
        "tags": ["quartet"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "title": "Quartet", "tags": ["quartet"], "asDropdown": False, "includeVars": True, "keepTime": True}],
        "annotations": {"list": []},
        "templating": {"list": [
            {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"},
            {
                "name": "instance", "label": "Server", "type": "query", "datasource": SOURCE,
                "query": {"query": "label_values(quartet_build_info, instance)", "refId": "instance"},
                "refresh": 2, "multi": True, "includeAll": True, "allValue": ".*",
                "current": {"text": "All", "value": "$__all"},
            },
        ]},
        "panels": [panel(number, row) for number, row in enumerate(rows)],
    }


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for name, (title, rows) in DASHBOARDS.items():
        text = json.dumps(dashboard(name, title, rows), indent=1)
        (folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
