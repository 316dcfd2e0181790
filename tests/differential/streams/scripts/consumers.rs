//! What is asked about consumers.

/// What consumers may be.
pub(super) const CREATED_CONSUMERS: &str = r##"
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S {"stream_name":"S","config":{}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"x"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":null}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"undefined"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"ack_policy":"x"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"ack_policy":3}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"replay_policy":"x"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_policy":"x"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"opt_start_time":"x"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"opt_start_time":""}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"opt_start_time":"2026-01-01T00:00:00Z"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"by_start_time","opt_start_time":"2026-01-01T01:00:00.123+01:00"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"by_start_time"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"by_start_time","opt_start_time":"2026-01-01T00:00:00Z","opt_start_seq":4}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"by_start_sequence"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"by_start_sequence","opt_start_seq":5}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"by_start_sequence","opt_start_seq":5,"opt_start_time":"2026-01-01T00:00:00Z"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"last_per_subject"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"last_per_subject","filter_subject":"s.*"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"last","opt_start_seq":1}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_policy":"new","opt_start_seq":1}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"ack_wait":-1}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"backoff":[-1]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"backoff":["a"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"backoff":[1,2],"max_deliver":1}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"backoff":[1,2]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"backoff":[1,2],"max_deliver":2,"ack_policy":"explicit"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"a.*"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"a b"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"a..b"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"s.x"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"d","max_waiting":3}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"d","max_ack_pending":3}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"d","idle_heartbeat":5}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"d","idle_heartbeat":1000000000,"flow_control":true,"ack_policy":"none","ack_wait":79200000000000,"max_deliver":1,"mem_storage":true,"num_replicas":1,"headers_only":true,"deliver_policy":"last_per_subject","filter_subjects":["s.a","s.b"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"rate_limit_bps":4}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"d","rate_limit_bps":4}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"max_waiting":-4}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"idle_heartbeat":100000000}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"flow_control":true}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"max_batch":-1,"max_expires":-1,"max_bytes":-1}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"max_expires":5}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subject":"s.a","filter_subjects":["s.b"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subject":"s..a"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subjects":[""]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subjects":["s.a","s.*"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subjects":["s.a","s.a"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subjects":["s.*.b","s.a.*"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subject":"q"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subjects":["s.a","q"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subjects":["s.a"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subjects":[]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"filter_subject":">"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"sample_freq":"x"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"sample_freq":"30%"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"sample_freq":"-1"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"d","flow_control":true}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"num_replicas":3}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"num_replicas":-1}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"num_replicas":1}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"metadata":{"a":"<140000>"}}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"metadata":{"a":"b"}}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"name":"a.b"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"name":"a b"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"name":"a/b"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"name":"é"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_policy":"overflow"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_policy":"overflow","priority_groups":["a"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_policy":"pinned_client","priority_groups":["a"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_groups":["a"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_timeout":5}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_policy":"overflow","priority_groups":["a b"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_policy":"overflow","priority_groups":[""]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_policy":"overflow","priority_groups":["a","b"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_policy":"overflow","priority_groups":["<17>"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"d","priority_policy":"overflow","priority_groups":["a"]}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"pause_until":"2100-01-01T00:00:00Z"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"pause_until":"2020-01-01T00:00:00Z"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"pause_until":null}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"inactive_threshold":-1}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"inactive_threshold":300000000000}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"mem_storage":true,"headers_only":true}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_group":"g"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"deliver_subject":"d","deliver_group":"g"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"description":"<5000>"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"max_deliver":-7,"max_ack_pending":-9}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"zork":1}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"ack_policy":"all"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"ack_policy":"explicit","ack_wait":0,"idle_heartbeat":0,"inactive_threshold":0,"max_ack_pending":65536}}
differs: it came with 2.14
CONSUMER.CREATE.S {"stream_name":"S","config":{"ack_policy":"flow_control"}}
differs: it came with 2.12
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_policy":"prioritized","priority_groups":["a"]}}
differs: this server does not have it and says so
CONSUMER.CREATE.S {"stream_name":"S","config":{"direct":true}}
differs: the name is refused, not its file
CONSUMER.CREATE.S {"stream_name":"S","config":{"name":"<256>"}}
CONSUMER.CREATE.S {"stream_name":"S","config":{"max_deliver":-5},"pedantic":true}
CONSUMER.CREATE.S {"stream_name":"S","config":{"max_waiting":-5},"pedantic":true}
CONSUMER.CREATE.S {"stream_name":"S","config":{"max_ack_pending":-5},"pedantic":true}
CONSUMER.CREATE.S {"stream_name":"S","config":{"max_batch":-5},"pedantic":true}
CONSUMER.CREATE.S {"stream_name":"S","config":{"max_expires":-5},"pedantic":true}
CONSUMER.CREATE.S {"stream_name":"S","config":{"max_bytes":-5},"pedantic":true}
CONSUMER.CREATE.S {"stream_name":"S","config":{"idle_heartbeat":-5},"pedantic":true}
CONSUMER.CREATE.S {"stream_name":"S","config":{"inactive_threshold":-5},"pedantic":true}
CONSUMER.CREATE.S {"stream_name":"S","config":{"priority_timeout":-5},"pedantic":true}
CONSUMER.CREATE.S {"stream_name":"S","config":{"backoff":[5],"ack_policy":"explicit"},"pedantic":true}
STREAM.CREATE.L {"name":"L","consumer_limits":{"max_ack_pending":7,"inactive_threshold":90000000000}}
CONSUMER.CREATE.L {"stream_name":"L","config":{"ack_policy":"explicit"}}
CONSUMER.CREATE.L {"stream_name":"L","config":{"ack_policy":"explicit","max_ack_pending":9}}
CONSUMER.CREATE.L {"stream_name":"L","config":{"inactive_threshold":100000000000}}
CONSUMER.CREATE.L {"stream_name":"L","config":{}}
CONSUMER.CREATE.L {"stream_name":"L","config":{"max_ack_pending":-1}}
CONSUMER.CREATE.L {"stream_name":"L","config":{},"pedantic":true}
STREAM.CREATE.M {"name":"M","max_consumers":1}
CONSUMER.CREATE.M {"stream_name":"M","config":{}}
CONSUMER.CREATE.M {"stream_name":"M","config":{}}
"##;

/// How consumers get their names.
pub(super) const NAMED_CONSUMERS: &str = r##"
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S {"stream_name":"S","config":{},"action":""}
CONSUMER.CREATE.S {"stream_name":"S","config":{"durable_name":"D"},"action":""}
CONSUMER.CREATE.S {"stream_name":"S","config":{"name":"E"},"action":""}
CONSUMER.CREATE.S {"stream_name":"S","config":{"durable_name":"D2","name":"D3"},"action":""}
CONSUMER.CREATE.S.F {"stream_name":"S","config":{"name":"F"},"action":""}
CONSUMER.CREATE.S.F {"stream_name":"S","config":{},"action":""}
CONSUMER.CREATE.S.F {"stream_name":"S","config":{"name":"G"},"action":""}
differs: it keeps the threshold that it had without a durable name
CONSUMER.CREATE.S.F {"stream_name":"S","config":{"durable_name":"F","name":"F"},"action":""}
CONSUMER.CREATE.S.F2 {"stream_name":"S","config":{"durable_name":"F2"},"action":""}
CONSUMER.CREATE.S.F2 {"stream_name":"S","config":{"durable_name":"F9"},"action":""}
CONSUMER.CREATE.S.F3.s.a {"stream_name":"S","config":{"durable_name":"F3"},"action":""}
CONSUMER.CREATE.S.F3.s.a {"stream_name":"S","config":{"durable_name":"F3","filter_subject":"s.a"},"action":""}
CONSUMER.CREATE.S.F4.s.a {"stream_name":"S","config":{"durable_name":"F4","filter_subject":"s.b"},"action":""}
CONSUMER.CREATE.S.F4.s.a {"stream_name":"S","config":{"durable_name":"F4","filter_subjects":["s.b"]},"action":""}
CONSUMER.CREATE.S.F4.s.> {"stream_name":"S","config":{"durable_name":"F4","filter_subject":"s.>"},"action":""}
CONSUMER.CREATE.S.F5.s.a {"stream_name":"S","config":{"durable_name":"F9","filter_subject":"s.a"},"action":""}
CONSUMER.DURABLE.CREATE.S.H {"stream_name":"S","config":{"durable_name":"H"},"action":""}
CONSUMER.DURABLE.CREATE.S.H {"stream_name":"S","config":{"name":"H"},"action":""}
CONSUMER.DURABLE.CREATE.S.H {"stream_name":"S","config":{"durable_name":"I"},"action":""}
CONSUMER.DURABLE.CREATE.S.H {"stream_name":"S","config":{},"action":""}
CONSUMER.CREATE.S.a/b {"stream_name":"S","config":{},"action":""}
CONSUMER.CREATE.S.a*b {"stream_name":"S","config":{},"action":""}
CONSUMER.DURABLE.CREATE.S.a/b {"stream_name":"S","config":{"durable_name":"a/b"},"action":""}
CONSUMER.CREATE.S {"config":{}}
CONSUMER.CREATE.S {"stream_name":"X","config":{}}
CONSUMER.CREATE.X {"stream_name":"X","config":{}}
CONSUMER.CREATE.X {"stream_name":"X","config":{"max_expires":5}}
CONSUMER.CREATE.S {"stream_name":"S"}
CONSUMER.CREATE.S {"stream_name":"S","config":null}
CONSUMER.CREATE.S {"stream_name":"S","config":{},"action":"zork"}
CONSUMER.CREATE.S {"stream_name":"S","config":{},"action":null}
CONSUMER.CREATE.S {"stream_name":"S","config":{"name":"N9"},"action":"update"}
CONSUMER.CREATE.S.F2 {"stream_name":"S","config":{"durable_name":"F2"},"action":"create"}
CONSUMER.CREATE.S.F2 {"stream_name":"S","config":{"durable_name":"F2","description":"x"},"action":"create"}
CONSUMER.CREATE.S.F2 {"stream_name":"S","config":{"durable_name":"F2","description":"x"},"action":"update","pedantic":false}
CONSUMER.CREATE.S
CONSUMER.CREATE.S null
CONSUMER.CREATE.S []
CONSUMER.CREATE.S {}
CONSUMER.CREATE.S 5
"##;

/// What of a consumer may change.
pub(super) const UPDATED_CONSUMERS: &str = r##"
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"all"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_policy":"last"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","mem_storage":true}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_policy":"by_start_sequence","opt_start_seq":4}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_policy":"by_start_sequence","opt_start_seq":4}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_policy":"by_start_sequence","opt_start_seq":5}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_policy":"by_start_time","opt_start_time":"2026-01-01T00:00:00Z"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_policy":"by_start_time","opt_start_time":"2026-01-01T01:00:00+01:00"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_policy":"by_start_time","opt_start_time":"2026-01-01T00:00:00Z"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_policy":"by_start_time","opt_start_time":"2026-01-01T00:00:01Z"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","replay_policy":"original"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"e"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d","idle_heartbeat":1000000000}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d","idle_heartbeat":1000000000}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d","idle_heartbeat":1000000000,"flow_control":true}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","max_waiting":5}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","ack_wait":5,"max_deliver":6,"filter_subject":"s.a","description":"x","max_ack_pending":3,"headers_only":true,"max_batch":5,"sample_freq":"5","inactive_threshold":10000000000,"metadata":{"a":"b"},"backoff":[1,2]}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","backoff":[1,2],"max_deliver":1}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"ack_policy":"explicit","name":"C"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","priority_policy":"overflow","priority_groups":["a"]}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","num_replicas":1}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","pause_until":"2100-01-01T00:00:00+01:00"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d","deliver_group":"g"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit","deliver_subject":"d","rate_limit_bps":100}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","pause_until":"2100-01-01T00:00:00Z"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","pause_until":"2101-01-01T00:00:00Z"}}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","pause_until":"2101-01-01T00:00:00Z"},"action":"create"}
"##;

/// Consumers of a work queue.
pub(super) const WORK_QUEUES: &str = r##"
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"retention":"workqueue"}
CONSUMER.CREATE.S.C0 {"stream_name":"S","config":{"durable_name":"C0"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"retention":"workqueue"}
CONSUMER.CREATE.S.C0 {"stream_name":"S","config":{"ack_policy":"all","durable_name":"C0"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"retention":"workqueue"}
CONSUMER.CREATE.S.C0 {"stream_name":"S","config":{"ack_policy":"explicit","deliver_policy":"last","durable_name":"C0"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"retention":"workqueue"}
CONSUMER.CREATE.S.C0 {"stream_name":"S","config":{"ack_policy":"explicit","durable_name":"C0"}}
CONSUMER.CREATE.S.C1 {"stream_name":"S","config":{"ack_policy":"explicit","durable_name":"C1"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"retention":"workqueue"}
CONSUMER.CREATE.S.C0 {"stream_name":"S","config":{"ack_policy":"explicit","filter_subject":"s.a","durable_name":"C0"}}
CONSUMER.CREATE.S.C1 {"stream_name":"S","config":{"ack_policy":"explicit","durable_name":"C1"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"retention":"workqueue"}
CONSUMER.CREATE.S.C0 {"stream_name":"S","config":{"ack_policy":"explicit","filter_subject":"s.a","durable_name":"C0"}}
CONSUMER.CREATE.S.C1 {"stream_name":"S","config":{"ack_policy":"explicit","filter_subject":"s.*","durable_name":"C1"}}
CONSUMER.CREATE.S.C2 {"stream_name":"S","config":{"ack_policy":"explicit","filter_subject":"s.b","durable_name":"C2"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"retention":"workqueue"}
CONSUMER.CREATE.S.C0 {"stream_name":"S","config":{"ack_policy":"none","deliver_subject":"d","durable_name":"C0"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"retention":"workqueue"}
CONSUMER.CREATE.S.C0 {"stream_name":"S","config":{"ack_policy":"explicit","filter_subjects":["s.a","s.b"],"durable_name":"C0"}}
CONSUMER.CREATE.S.C1 {"stream_name":"S","config":{"ack_policy":"explicit","filter_subjects":["s.c","s.b"],"durable_name":"C1"}}
CONSUMER.CREATE.S.C2 {"stream_name":"S","config":{"ack_policy":"explicit","filter_subjects":["s.c","s.d"],"durable_name":"C2"}}
STREAM.DELETE.S
"##;
