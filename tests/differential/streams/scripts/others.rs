//! What is asked in odd ways, and about what there is not.

/// Bodies of all shapes.
pub(super) const ODD_BODIES: &str = r##"
STREAM.CREATE.V
STREAM.CREATE.V null
STREAM.CREATE.V []
STREAM.CREATE.V {}
STREAM.CREATE.V {"name":5}
STREAM.CREATE.V {"name":"V","max_msgs":"5"}
STREAM.CREATE.V {"name":"V","max_msgs":1.5}
STREAM.CREATE.V {"name":"V","max_msgs":1e3}
STREAM.CREATE.V {"name":"V","retention":"x"}
STREAM.CREATE.V {"name":"V","retention":5}
STREAM.CREATE.V {"name":"V","retention":null}
STREAM.CREATE.V {"name":"V","storage":"x"}
STREAM.CREATE.V {"name":"V","discard":"x"}
STREAM.CREATE.V {"name":"V","zork":1}
STREAM.CREATE.V {"name":"V"
STREAM.CREATE.V {"name":"V","subjects":"a"}
STREAM.CREATE.V {"name":"V","subjects":[1]}
STREAM.CREATE.V {"name":"V","max_msg_size":3000000000}
STREAM.CREATE.V {"name":"V","max_msgs":99999999999999999999}
STREAM.CREATE.V {"name":"V","first_seq":-1}
STREAM.CREATE.V {"name":"V","sealed":"yes"}
STREAM.CREATE.V {"name":"V","metadata":{"a":1}}
STREAM.CREATE.V {"name":"V","metadata":[]}
STREAM.CREATE.V {"name":"V","compression":"x"}
STREAM.CREATE.V "a"
STREAM.CREATE.V 5
STREAM.CREATE.V true
STREAM.CREATE.V {"name":"V","republish":"a"}
STREAM.CREATE.V {"name":"V","consumer_limits":{"x":1}}
STREAM.CREATE.V {"name":"V","persist_mode":"x"}
STREAM.CREATE.V {"name":"V","max_age":"1s"}
STREAM.CREATE.V {"name":"V","name":"W"}
STREAM.CREATE.V {"name":"V","NUM_REPLICAS":1,"subjects":[]}
differs: what is no JSON is explained in other words
STREAM.CREATE.V {"name":"V"}x
differs: what is no JSON is explained in other words
STREAM.CREATE.V {"name":"V",}
differs: what is no JSON is explained in other words
STREAM.CREATE.V {name:1}
differs: what is no JSON is explained in other words
STREAM.CREATE.V {"name":"V","subjects":["a",]}
STREAM.INFO.V
STREAM.INFO.V {}
STREAM.INFO.V null
STREAM.INFO.V []
STREAM.INFO.V x
STREAM.INFO.V {"x":1}
STREAM.INFO.V {"offset":"a"}
STREAM.NAMES
STREAM.NAMES {}
STREAM.NAMES null
STREAM.NAMES []
STREAM.NAMES x
STREAM.NAMES {"x":1}
STREAM.NAMES {"offset":"a"}
STREAM.LIST
STREAM.LIST {}
STREAM.LIST null
differs: one type reads the requests for lists and names
STREAM.LIST []
STREAM.LIST x
STREAM.LIST {"x":1}
differs: one type reads the requests for lists and names
STREAM.LIST {"offset":"a"}
STREAM.PURGE.V
STREAM.PURGE.V {}
STREAM.PURGE.V null
STREAM.PURGE.V []
STREAM.PURGE.V x
STREAM.PURGE.V {"x":1}
STREAM.PURGE.V {"offset":"a"}
CONSUMER.NAMES.V
CONSUMER.NAMES.V {}
CONSUMER.NAMES.V null
CONSUMER.NAMES.V []
CONSUMER.NAMES.V x
CONSUMER.NAMES.V {"x":1}
CONSUMER.NAMES.V {"offset":"a"}
STREAM.MSG.DELETE.V
STREAM.MSG.DELETE.V {}
STREAM.MSG.DELETE.V null
STREAM.MSG.DELETE.V []
STREAM.MSG.DELETE.V {"x":1}
STREAM.MSG.DELETE.V {"offset":"a"}
"##;

/// What there is not, and what is asked wrongly.
pub(super) const OTHERS: &str = r##"
INFO
INFO []
STREAM.INFO.X
STREAM.INFO.*
STREAM.INFO.>
STREAM.INFO.a/b
CONSUMER.INFO.S.a/b
STREAM.DELETE.a/b
STREAM.DELETE.X
STREAM.DELETE.X x
STREAM.PURGE.X
CONSUMER.LIST.X
CONSUMER.NAMES.X
CONSUMER.INFO.X.C
CONSUMER.PAUSE.X.C
STREAM.MSG.GET.X {"seq":1}
STREAM.MSG.DELETE.X {"seq":1}
STREAM.LEADER.STEPDOWN.S
STREAM.PEER.REMOVE.S {"peer":"a"}
CONSUMER.LEADER.STEPDOWN.S.C
STREAM.CREATE.S {"name":"S"}
CONSUMER.INFO.S.C
CONSUMER.INFO.S.C {}
CONSUMER.INFO.S.C x
CONSUMER.INFO.S.C []
CONSUMER.INFO.S.C null
CONSUMER.INFO.S.C  { }
CONSUMER.DELETE.S.C null
CONSUMER.DELETE.S.C
CONSUMER.DELETE.S.C {}
CONSUMER.PAUSE.S.C
CONSUMER.PAUSE.S.C []
CONSUMER.PAUSE.S.C {"pause_until":5}
STREAM.PURGE.S {"seq":1,"keep":1}
STREAM.PURGE.S {"keep":-1}
STREAM.MSG.GET.S
STREAM.MSG.GET.S {}
STREAM.MSG.GET.S null
STREAM.MSG.GET.S {"seq":9}
STREAM.MSG.GET.S {"seq":0}
STREAM.MSG.GET.S {"last_by_subj":"q"}
STREAM.MSG.GET.S {"seq":1,"last_by_subj":"s.1"}
STREAM.MSG.GET.S {"seq":1,"next_by_subj":"s.2"}
STREAM.MSG.GET.S {"seq":"a"}
STREAM.MSG.GET.S []
STREAM.MSG.GET.S {"batch":3,"seq":1}
STREAM.MSG.GET.S {"multi_last":["s.>"]}
STREAM.MSG.GET.S {"x":1}
STREAM.MSG.DELETE.S
STREAM.MSG.DELETE.S {}
STREAM.MSG.DELETE.S {"seq":9}
STREAM.MSG.DELETE.S {"seq":0}
STREAM.MSG.DELETE.S []
STREAM.MSG.DELETE.S null
STREAM.MSG.DELETE.S {"x":1}
"##;
