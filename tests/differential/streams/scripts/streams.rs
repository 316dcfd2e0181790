//! What is asked about streams.

/// Streams that are created, and created again.
pub(super) const CREATED_STREAMS: &str = r##"
STREAM.CREATE.S {"name":"S"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","max_msgs":0,"max_bytes":0,"max_age":0,"max_msgs_per_subject":0,"max_msg_size":0,"max_consumers":0,"num_replicas":0}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","max_msgs":-5,"max_bytes":-5,"max_consumers":-5,"max_msgs_per_subject":-5,"max_msg_size":-5}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","max_msgs":-5,"pedantic":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","max_bytes":-5,"pedantic":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","max_msg_size":-5,"pedantic":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","pedantic":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","max_age":-1}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","max_age":5}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","max_age":1000000000}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","max_age":1000000000,"pedantic":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","duplicate_window":-1}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","duplicate_window":5}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","duplicate_window":2000000000,"max_age":1000000000}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","deny_purge":true,"allow_rollup_hdrs":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","discard_new_per_subject":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","discard_new_per_subject":true,"discard":"new"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","discard_new_per_subject":true,"discard":"new","max_msgs_per_subject":3}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subject_delete_marker_ttl":5}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subject_delete_marker_ttl":1000000000}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subject_delete_marker_ttl":1000000000,"deny_purge":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subject_delete_marker_ttl":1000000000,"pedantic":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subject_delete_marker_ttl":1000000000,"allow_msg_ttl":true,"pedantic":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subject_delete_marker_ttl":-1}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["a..b"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["a","a"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["a.*","a.b"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["*.b","a.*"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":[">"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":[">"],"no_ack":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["$JS.x"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["$JS.EVENT.>"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["*.x"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["$SYS.a"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["$SYS.ACCOUNT.>"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["*"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["*.>"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":[""]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["a b"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["a.>.b"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["é.x"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["$KV.b.>"],"max_msgs_per_subject":5,"discard":"new","allow_rollup_hdrs":true,"deny_delete":true,"allow_direct":true,"mirror_direct":false,"num_replicas":1,"allow_msg_ttl":true,"compression":"none"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","description":"<4096>"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","description":"<4097>"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","metadata":{"a":"<131072>"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","num_replicas":3}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","num_replicas":6}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","num_replicas":-1}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","sources":[]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","mirror":null,"sources":null,"placement":null,"subject_transform":null,"republish":null,"metadata":null,"subjects":null,"consumer_limits":null}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","placement":{}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"S","dest":"x"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"S","dest":"S"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"dest":"x.>"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"dest":"x.>"},"pedantic":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"a.*","dest":"x.{{wildcard(1)}}"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"a.*","dest":"x.$1"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"a.*","dest":"x.{{wildcard(2)}}"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"a.*","dest":"x"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"a.>","dest":"x"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"a.*","dest":"x.*"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":">","dest":"x.>","headers_only":true}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"a..b","dest":"x"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"a.*","dest":"x.{{partition(3,1)}}"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","republish":{"src":"a.>","dest":"x.>.y"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","sealed":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","sealed":true,"max_age":5}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","allow_msg_schedules":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","allow_msg_schedules":true,"discard":"new"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","allow_msg_schedules":true,"pedantic":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","allow_atomic":false,"allow_batched":false,"allow_msg_counter":false,"allow_msg_schedules":false}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","persist_mode":"default"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","persist_mode":""}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","persist_mode":"async"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","persist_mode":"async","storage":"memory"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","storage":"memory"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","template_owner":""}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","first_seq":100}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","mirror_direct":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","consumer_limits":{"inactive_threshold":5,"max_ack_pending":7}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","consumer_limits":{"inactive_threshold":-5,"max_ack_pending":-7}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","retention":"interest","discard":"new","no_ack":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","description":"d","metadata":{"a":"b","_nats.x":"1"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","metadata":{}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","retention":"limits "}
STREAM.DELETE.S
differs: this server does not have it and says so
STREAM.CREATE.S {"name":"S","compression":"s2"}
differs: it was created there only
STREAM.DELETE.S
differs: this server does not have it and says so
STREAM.CREATE.S {"name":"S","mirror":{"name":"X"}}
differs: it was created there only
STREAM.DELETE.S
differs: this server does not have it and says so
STREAM.CREATE.S {"name":"S","sources":[{"name":"X"}]}
differs: it was created there only
STREAM.DELETE.S
differs: this server does not have it and says so
STREAM.CREATE.S {"name":"S","placement":{"cluster":"c"}}
differs: it was created there only
STREAM.DELETE.S
differs: this server does not have it and says so
STREAM.CREATE.S {"name":"S","subject_transform":{"src":"a","dest":"b"}}
differs: it was created there only
STREAM.DELETE.S
differs: this server does not have it and says so
STREAM.CREATE.S {"name":"S","allow_atomic":true}
differs: it was created there only
STREAM.DELETE.S
differs: this server does not have it and says so
STREAM.CREATE.S {"name":"S","allow_batched":true}
differs: it was created there only
STREAM.DELETE.S
differs: this server does not have it and says so
STREAM.CREATE.S {"name":"S","allow_msg_counter":true}
differs: it was created there only
STREAM.DELETE.S
STREAM.CREATE.S/a {"name":"S/a"}
STREAM.CREATE.Sé {"name":"Sé"}
STREAM.CREATE.<256> {"name":"<256>"}
STREAM.CREATE.S; {"name":"S;"}
STREAM.CREATE.S*a {"name":"S*a"}
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"description":"x"}
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"metadata":{"_nats.ver":"1"}}
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"metadata":{"a":"b"}}
STREAM.CREATE.N {"name":"N","subjects":["s.>"]}
STREAM.CREATE.N {"name":"N","subjects":["*"]}
"##;

/// What of a stream may change.
pub(super) const UPDATED_STREAMS: &str = r##"
STREAM.UPDATE.Z {"name":"Z"}
STREAM.UPDATE.Z {"name":"Y"}
differs: the name is looked at first
STREAM.UPDATE.Z
STREAM.UPDATE.Z {"name":"Z","max_age":5}
STREAM.CREATE.O {"name":"O","subjects":["o.>"]}
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["o.x"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"storage":"memory"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"retention":"interest"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"retention":"workqueue"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"retention":"workqueue"}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"retention":"limits"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"max_consumers":5}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"sealed":true,"max_age":10000000000,"allow_rollup_hdrs":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"deny_delete":true}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"deny_delete":false}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"deny_purge":true}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"deny_purge":false}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"allow_msg_ttl":true}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"allow_msg_ttl":false}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"allow_msg_ttl":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"allow_msg_schedules":true}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"allow_msg_schedules":false}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"persist_mode":"async"}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"persist_mode":"async"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"persist_mode":"default"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"first_seq":10}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"first_seq":20}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"first_seq":10}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"num_replicas":3}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S"}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"discard_new_per_subject":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"Q","subjects":["s.>"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"duplicate_window":1000000000,"max_age":10000000000}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"max_age":1000000000}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"description":"x","max_msgs":5,"max_bytes":6,"max_msg_size":7,"max_msgs_per_subject":8,"discard":"new","no_ack":true,"allow_direct":true,"allow_rollup_hdrs":true,"deny_delete":true,"metadata":{"k":"v"},"republish":{"dest":"r.>"},"consumer_limits":{"max_ack_pending":4}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"],"metadata":{"a":"b"}}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"]}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"mirror_direct":true}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
differs: this server does not have it and says so
STREAM.UPDATE.S {"name":"S","mirror":{"name":"X"}}
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"sealed":true}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"]}
STREAM.INFO.S
STREAM.DELETE.S
STREAM.CREATE.S {"name":"S","subjects":["s.>"]}
CONSUMER.CREATE.S.C {"stream_name":"S","config":{"durable_name":"C","ack_policy":"explicit"}}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"consumer_limits":{"max_ack_pending":4}}
STREAM.UPDATE.S {"name":"S","subjects":["s.>"],"consumer_limits":{"max_ack_pending":1000}}
"##;
