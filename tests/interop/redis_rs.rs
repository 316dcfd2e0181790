//! redis-rs, blocking and on tokio.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use redis::aio::{ConnectionManager, MultiplexedConnection};
use redis::{
    AsyncTypedCommands, Client, Connection, ConnectionLike, RedisError, RedisResult, Script, TypedCommands,
    Value,
};

use crate::support::process::Server;

const KEYS: usize = 1_000;

#[test]
fn blocking() {
    let server = Server::quartet(&[]);
    let client =
        Client::open((server.address().ip().to_string(), server.address().port())).expect("an address");
    let mut connection = client.get_connection().expect("the server listens");
    blocking_values(&mut connection).expect("values");
    blocking_batches(&mut connection).expect("batches");
    blocking_scan(&mut connection).expect("a scan");
    blocking_scripts(&mut connection).expect("scripts");
    blocking_subscription(&client, &mut connection).expect("a subscription");
    check_error(&connection.incr("word", 1).expect_err("a word has no successor"));
    blocking_reconnect(&client, &mut connection).expect("another connection");
}

/// As docs/clients.md has it.
fn check(address: &str) -> redis::RedisResult<Vec<redis::Value>> {
    let client = redis::Client::open(address)?; // "redis://127.0.0.1/"
    let mut connection = client.get_connection()?;
    redis::cmd("RL.CHECK").arg("ann").query(&mut connection)
}

#[test]
fn snippet() {
    let server = Server::quartet(&[]);
    let decision = check(&format!("redis://{}/", server.address())).expect("a decision");
    assert_eq!(decision[0], Value::Int(1));
}

/// Adds its second argument to a key, and its first to the answer.
const SUM: &str = "return ARGV[1] + redis.call('INCRBY', KEYS[1], ARGV[2])";

fn blocking_scripts(connection: &mut Connection) -> RedisResult<()> {
    let sum = Script::new(SUM);
    assert_eq!(sum.key("sum").arg(1).arg(2).invoke::<i64>(connection)?, 3);
    // A script that the server has forgotten is sent whole again.
    redis::cmd("SCRIPT").arg("FLUSH").exec(connection)?;
    assert_eq!(sum.key("sum").arg(1).arg(2).invoke::<i64>(connection)?, 5);
    assert_eq!(sum.prepare_invoke().load(connection)?, sum.get_hash());
    let mut batch = redis::pipe();
    batch.load_script(&sum).ignore().invoke_script(sum.key("sum").arg(1).arg(2)).get("sum");
    assert_eq!(batch.query::<(i64, i64)>(connection)?, (7, 6));
    let error = Script::new("error('no')").invoke::<()>(connection).expect_err("it ends with an error");
    assert!(error.to_string().contains("user_script:1: no"), "{error}");
    Ok(())
}

fn blocking_values(connection: &mut Connection) -> RedisResult<()> {
    assert!(connection.check_connection());
    connection.set("greeting", "hello")?;
    assert_eq!(connection.get("greeting")?, Some("hello".to_owned()));
    assert_eq!(connection.get("absent")?, None);
    assert!(!connection.set_nx("greeting", "again")?);
    assert!(connection.expire("greeting", 100)?);
    assert!((1..=100).contains(&connection.ttl("greeting")?.raw()));
    assert_eq!(connection.ttl("absent")?.raw(), -2);
    connection.mset(&[("first", "1"), ("second", "2")])?;
    assert_eq!(connection.mget(&["first", "absent"])?, [Some("1".to_owned()), None]);
    assert_eq!(connection.del(&["first", "second", "absent"])?, 2);
    connection.set("word", "text")
}

fn blocking_batches(connection: &mut Connection) -> RedisResult<()> {
    let mut batch = redis::pipe();
    (0..KEYS).for_each(|number| {
        batch.set(format!("batch:{number}"), number).ignore();
    });
    let replies: (usize,) = batch.get("batch:7").query(connection)?;
    assert_eq!(replies, (7,));
    let replies: (String, i64) = redis::pipe().atomic().set("one", 1).incr("one", 41).query(connection)?;
    assert_eq!(replies, ("OK".to_owned(), 42));
    let (balance,): (i64,) = redis::transaction(connection, &["balance"], |connection, batch| {
        let balance = connection.get("balance")?.map_or(10, |text| text.parse().expect("we set a number"));
        batch.set("balance", balance + 1).ignore().incr("balance", 0).query(connection)
    })?;
    assert_eq!(balance, 11);
    Ok(())
}

fn blocking_scan(connection: &mut Connection) -> RedisResult<()> {
    let found: RedisResult<BTreeSet<String>> = connection.scan_match("batch:*")?.collect();
    assert_eq!(found?, (0..KEYS).map(|number| format!("batch:{number}")).collect());
    Ok(())
}

fn blocking_subscription(client: &Client, connection: &mut Connection) -> RedisResult<()> {
    let mut other = client.get_connection()?;
    let mut listener = other.as_pubsub();
    listener.subscribe("news")?;
    listener.psubscribe("n?w*")?;
    assert_eq!(connection.publish("news", "extra")?, 2);
    let messages = [listener.get_message()?, listener.get_message()?];
    assert!(messages.iter().all(|message| message.get_payload::<String>().as_deref() == Ok("extra")));
    assert_eq!(messages.iter().filter(|message| message.from_pattern()).count(), 1);
    Ok(())
}

fn blocking_reconnect(client: &Client, connection: &mut Connection) -> RedisResult<()> {
    let identity: u64 = redis::cmd("CLIENT").arg("ID").query(connection)?;
    let killed: i64 =
        redis::cmd("CLIENT").arg("KILL").arg("ID").arg(identity).query(&mut client.get_connection()?)?;
    assert_eq!(killed, 1);
    let error = connection.get("word").expect_err("the server closed this connection");
    assert!(error.is_connection_dropped() || error.is_io_error(), "{error:?}");
    assert_eq!(client.get_connection()?.get("word")?, Some("text".to_owned()));
    Ok(())
}

#[test]
fn tokio() {
    let server = Server::quartet(&[]);
    let client =
        Client::open((server.address().ip().to_string(), server.address().port())).expect("an address");
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = client.get_multiplexed_async_connection().await.expect("the server listens");
        tokio_values(&mut connection).await.expect("values");
        tokio_batches(&mut connection).await.expect("batches");
        tokio_scan(&mut connection).await.expect("a scan");
        tokio_scripts(&mut connection).await.expect("scripts");
        tokio_subscription(&client, &mut connection).await.expect("a subscription");
        check_error(&connection.incr("word", 1).await.expect_err("a word has no successor"));
        tokio_reconnect(&client, &mut connection).await.expect("another connection");
    });
}

async fn tokio_scripts(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let sum = Script::new(SUM);
    let mut clones: Vec<_> = (0..50).map(|_| connection.clone()).collect();
    let calls = clones.iter_mut().map(|clone| async {
        let mut call = sum.key("tokio sum");
        call.arg(0).arg(1).invoke_async::<i64>(clone).await
    });
    let mut sums = Vec::new();
    for answer in futures_util::future::join_all(calls).await {
        sums.push(answer?);
    }
    sums.sort_unstable();
    assert!(sums.into_iter().eq(1..=50));
    Ok(())
}

async fn tokio_values(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    connection.set("greeting", "hello").await?;
    assert_eq!(connection.get("greeting").await?, Some("hello".to_owned()));
    assert!(connection.expire("greeting", 100).await?);
    assert!((1..=100).contains(&connection.ttl("greeting").await?.raw()));
    connection.mset(&[("first", "1"), ("second", "2")]).await?;
    assert_eq!(connection.del(&["first", "second", "absent"]).await?, 2);
    let mut clones: Vec<_> = (0..50).map(|_| connection.clone()).collect();
    let increments = clones.iter_mut().map(|clone| clone.incr("counter", 1));
    let mut numbers = Vec::new();
    for number in futures_util::future::join_all(increments).await {
        numbers.push(number?);
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=50));
    connection.set("word", "text").await
}

async fn tokio_batches(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut batch = redis::pipe();
    (0..KEYS).for_each(|number| {
        batch.set(format!("batch:{number}"), number).ignore();
    });
    let replies: (usize,) = batch.get("batch:7").query_async(connection).await?;
    assert_eq!(replies, (7,));
    let replies: (String, i64) =
        redis::pipe().atomic().set("one", 1).incr("one", 41).query_async(connection).await?;
    assert_eq!(replies, ("OK".to_owned(), 42));
    redis::cmd("WATCH").arg("one").exec_async(connection).await?;
    connection.incr("one", 1).await?;
    let refused: Value = redis::pipe().atomic().set("one", 1).query_async(connection).await?;
    assert_eq!(refused, Value::Nil);
    Ok(())
}

async fn tokio_scan(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut found = BTreeSet::new();
    let mut keys = connection.scan_match::<_, String>("batch:*").await?;
    while let Some(key) = keys.next_item().await {
        found.insert(key?);
    }
    assert_eq!(found, (0..KEYS).map(|number| format!("batch:{number}")).collect());
    Ok(())
}

async fn tokio_subscription(client: &Client, connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut listener = client.get_async_pubsub().await?;
    listener.subscribe("news").await?;
    listener.psubscribe("n?w*").await?;
    assert_eq!(connection.publish("news", "extra").await?, 2);
    let messages: Vec<_> = listener.on_message().take(2).collect().await;
    assert!(messages.iter().all(|message| message.get_payload::<String>().as_deref() == Ok("extra")));
    Ok(())
}

async fn tokio_reconnect(client: &Client, connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let mut manager = ConnectionManager::new(client.clone()).await?;
    let identity: u64 = redis::cmd("CLIENT").arg("ID").query_async(&mut manager).await?;
    let mut kill = redis::cmd("CLIENT");
    assert_eq!(kill.arg("KILL").arg("ID").arg(identity).query_async::<i64>(connection).await?, 1);
    // The manager tells of the cut at the first use after it, and has a new connection for a later one.
    loop {
        match manager.get("word").await {
            Ok(value) => break assert_eq!(value, Some("text".to_owned())),
            Err(error) => assert!(error.is_connection_dropped() || error.is_io_error(), "{error:?}"),
        }
    }
    let another: u64 = redis::cmd("CLIENT").arg("ID").query_async(&mut manager).await?;
    assert_ne!(another, identity);
    Ok(())
}

fn check_error(error: &RedisError) {
    assert_eq!(error.code(), Some("ERR"));
    assert_eq!(error.detail(), Some("value is not an integer or out of range"));
}
