//! Connections of our own, made as those of the client that the user has configured: same address, password and TLS.
//!
//! A connection that waits for a lock answers nothing else meanwhile, and a renewal must not wait for others, so each request
//! has a connection to itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, Value};

use crate::{Error, Result};

/// Most connections that are kept for the next request.
const IDLE_MAX: usize = 16;

/// Sends commands and waits for the replies as long as it is told.
pub(crate) struct Transport {
    client: Client,
    timeout: Duration,
    idle: Mutex<Vec<MultiplexedConnection>>,
}

impl Transport {
    pub(crate) fn new(client: Client, timeout: Duration) -> Transport {
        Transport { client, timeout, idle: Mutex::new(Vec::new()) }
    }

    /// The reply of a command that may wait so long in the server.
    pub(crate) async fn call(&self, command: Cmd, wait: Duration) -> Result<Value> {
        let commands = [command];
        let timeout = self.timeout + wait;
        let mut replies = match self.batch(&commands, timeout).await {
            // A connection that was idle may have been closed meanwhile.  Requests about locks have an id, and a check that
            // is repeated only costs somebody a little of a limit.
            Err(Error::Redis(error)) if error.is_io_error() || error.is_connection_dropped() => {
                // The other end of the one has closed it, and so probably those of the others.
                self.idle().clear();
                self.batch(&commands, timeout).await?
            }
            other => other?,
        };
        match replies.pop().unwrap_or(Value::Nil) {
            Value::ServerError(error) => Err(Error::of_server(&error)),
            reply => Ok(reply),
        }
    }

    /// The replies of several commands, in which errors of the server are values.
    pub(crate) async fn batch(&self, commands: &[Cmd], timeout: Duration) -> Result<Vec<Value>> {
        let asking = async {
            let mut connection = self.take().await?;
            let mut pipeline = Pipeline::with_capacity(commands.len());
            for command in commands {
                pipeline.add_command(command.clone());
            }
            let replies = connection.req_packed_commands(&pipeline, 0, commands.len()).await?;
            Ok::<_, Error>((connection, replies))
        };
        // A connection that is dropped with its request is closed, and the server withdraws what it has not answered yet.
        let (connection, replies) =
            tokio::time::timeout(timeout, asking).await.map_err(|_| Error::Timeout)??;
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        Ok(replies)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<MultiplexedConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self) -> Result<MultiplexedConnection> {
        let kept = self.idle().pop();
        if let Some(connection) = kept {
            return Ok(connection);
        }
        let settings = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(self.timeout));
        Ok(self.client.get_multiplexed_async_connection_with_config(&settings).await?)
    }
}
