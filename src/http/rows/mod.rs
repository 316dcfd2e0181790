//! Every command over HTTP, from its row of the command table.
//!
//! Requests and responses follow the REST convention of the npm package `@upstash/redis`: a command is a JSON array, its reply
//! is `{"result": ...}` or `{"error": "ERR ..."}`.  `request` reads commands, `permission` checks them, `run` runs them and
//! `reply` writes their replies.
//!
//! A link or a form must never run a command, so these routes are closed to requests that a browser makes without a script;
//! see `http::access`.

mod attempt;
mod permission;
mod refused;
mod reply;
mod request;
mod run;

use std::net::SocketAddr;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use quartet_protocol::resp::OwnedArguments;
use serde::Serialize;
use utoipa::openapi::OpenApi;

use self::permission::{Permission, is_for_operators, is_served};
use self::refused::{ErrorBody, Refused};
use self::reply::{Spelled, Value};
use self::request::Encoding;
use self::run::{Outcome, Run};
use crate::catalog::command_table;
use crate::command::{Flags, Row};
use crate::http::endpoint::{
    Body, Context, Json, OpenApiRouter, Problem, Room, State, json_with_status, problems, routes,
};

pub(super) use self::refused::with_error;

/// The prefix of the path of one command.
const PREFIX: &str = "/redis/";

/// A path with arguments, as the router wants it; the description of the API has no way to say it.
pub(super) const PATH_WITH_ARGUMENTS: &str = "/redis/{command}/{*arguments}";

/// The path of the operation that is documented for it.
pub(super) const PATH: &str = "/redis/{command}";

/// Replies of so many bytes together are spelled without delay to speak of.
const QUICKLY_SPELLED_MAX: usize = 64 * 1024;

/// The client that runs commands: an extension of each request that may.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    /// Where the request came from.
    pub(super) address: SocketAddr,
    /// It carries the password as a bearer token.
    pub(super) is_operator: bool,
}

/// A command that ran.
#[derive(Serialize, utoipa::ToSchema)]
struct CommandResult {
    /// The reply of the command in RESP2: text, an integer, null, or an array of these.
    result: serde_json::Value,
}

/// One of several commands: `result` or `error`.
#[derive(Serialize, utoipa::ToSchema)]
struct CommandOutcome {
    /// The reply, if the command ran.
    result: Option<serde_json::Value>,
    /// The error, if the command was refused or failed.
    error: Option<String>,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new()
        .routes(routes!(body_command))
        .routes(routes!(pipeline))
        .routes(routes!(transaction))
        .routes(routes!(path_command, path_command_with_body))
        .route(PATH_WITH_ARGUMENTS, axum::routing::get(path_command).post(path_command_with_body))
}

/// Runs a command
#[utoipa::path(post, path = "/redis", tag = "commands", extensions(("x-runs-commands" = json!(true))),
    params(("Upstash-Encoding" = Option<String>, Header, description = "`base64` has all text of replies but `OK` in base64, so that it may be any bytes")),
    request_body(content = Vec<serde_json::Value>, description = "The name of the command and its arguments: strings, numbers or booleans",
        example = json!(["SET", "greeting", "hello", "EX", 60])),
    responses((status = 200, description = "The reply", body = CommandResult, example = json!({"result": "OK"})),
        (status = 400, description = "The command was refused or failed", body = ErrorBody)))]
async fn body_command(State(context): State<Context>, request: Request) -> Result<Response, Refused> {
    let asked = Asked::read(request, &context).await?;
    let command = request::command(&asked.body)?;
    asked.answer(&context, command).await
}

/// Runs a command that is spelled as a path
///
/// Arguments follow the name, each behind a slash and percent-encoded: `/redis/get/greeting`.  Names and values of the query
/// come after them.  GET runs only commands that read keys.
#[utoipa::path(get, path = "/redis/{command}", tag = "commands", extensions(("x-runs-commands" = json!(true))),
    params(("command" = String, Path, description = "The name of the command, and behind slashes its arguments", example = "dbsize"),
        ("Upstash-Encoding" = Option<String>, Header, description = "`base64` has all text of replies but `OK` in base64")),
    responses((status = 200, description = "The reply", body = CommandResult),
        (status = 400, description = "The command was refused or failed", body = ErrorBody)))]
async fn path_command(State(context): State<Context>, request: Request) -> Result<Response, Refused> {
    // The body of a GET has no meaning.
    let asked = Asked::read(request.map(|_| axum::body::Body::empty()), &context).await?;
    let command = asked.path_command()?;
    asked.answer(&context, command).await
}

/// Runs a command that is spelled as a path, with a body
///
/// The body, if there is one, is the argument after those of the path: `POST /redis/set/greeting?EX=60` with the value.
#[utoipa::path(post, path = "/redis/{command}", tag = "commands", extensions(("x-runs-commands" = json!(true))),
    params(("command" = String, Path, description = "The name of the command, and behind slashes its arguments", example = "ping"),
        ("Upstash-Encoding" = Option<String>, Header, description = "`base64` has all text of replies but `OK` in base64")),
    request_body(content = Option<String>, description = "The argument behind those of the path", content_type = "text/plain"),
    responses((status = 200, description = "The reply", body = CommandResult),
        (status = 400, description = "The command was refused or failed", body = ErrorBody)))]
async fn path_command_with_body(
    State(context): State<Context>,
    request: Request,
) -> Result<Response, Refused> {
    let asked = Asked::read(request, &context).await?;
    let command = asked.path_command()?;
    asked.answer(&context, command).await
}

/// Runs several commands one after the other
///
/// Other clients may run commands in between.  The response has a result or an error for each command, in their order.
#[utoipa::path(post, path = "/redis/pipeline", tag = "commands", extensions(("x-runs-commands" = json!(true))),
    params(("Upstash-Encoding" = Option<String>, Header, description = "`base64` has all text of replies but `OK` in base64")),
    request_body(content = Vec<Vec<serde_json::Value>>, description = "The commands, 10,000 at most",
        example = json!([["INCR", "visits"], ["EXPIRE", "visits", 60]])),
    responses((status = 200, description = "The replies", body = Vec<CommandOutcome>,
            example = json!([{"result": 1}, {"result": 1}])),
        (status = 400, description = "The body is not a list of commands", body = ErrorBody)))]
async fn pipeline(State(context): State<Context>, request: Request) -> Result<Response, Refused> {
    let asked = Asked::read(request, &context).await?;
    let commands = request::commands(&asked.body)?;
    let commands = commands.into();
    let outcomes = asked.run(&context).each(&commands).await?;
    asked.admit(&context, &commands, &outcomes)?;
    let (encoding, length) = (asked.encoding, outcomes.iter().map(Outcome::length).sum());
    let spell = move || {
        let values = outcomes.iter().map(|outcome| outcome.value(encoding));
        spell_all(&values.collect::<Vec<_>>(), encoding)
    };
    spelled(&context, length, spell).await
}

/// Runs several commands as one, as MULTI and EXEC do
///
/// Other clients see all of it or nothing.  If one of the commands may not run, none runs, and the response is one error.
#[utoipa::path(post, path = "/redis/multi-exec", tag = "commands", extensions(("x-runs-commands" = json!(true))),
    params(("Upstash-Encoding" = Option<String>, Header, description = "`base64` has all text of replies but `OK` in base64")),
    request_body(content = Vec<Vec<serde_json::Value>>, description = "The commands, 10,000 at most",
        example = json!([["SET", "a", 1], ["INCR", "a"]])),
    responses((status = 200, description = "The replies", body = Vec<CommandOutcome>,
            example = json!([{"result": "OK"}, {"result": 2}])),
        (status = 400, description = "Nothing ran", body = ErrorBody)))]
async fn transaction(State(context): State<Context>, request: Request) -> Result<Response, Refused> {
    let asked = Asked::read(request, &context).await?;
    let commands = request::commands(&asked.body)?;
    let commands = commands.into();
    let outcome = asked.run(&context).together(&commands).await?;
    asked.admit(&context, &commands, std::slice::from_ref(&outcome))?;
    let (encoding, length) = (asked.encoding, outcome.length());
    let spell = move || match outcome.value(encoding) {
        Value::Array(values) => spell_all(&values, encoding),
        value => spell(&value, encoding),
    };
    spelled(&context, length, spell).await
}

/// A request as far as it is read before its commands run.
struct Asked {
    visitor: Visitor,
    permission: Permission,
    encoding: Encoding,
    room: Room,
    uri: Uri,
    body: Bytes,
}

impl Asked {
    async fn read(request: Request, context: &Context) -> Result<Asked, Refused> {
        let (mut parts, body) = request.into_parts();
        let encoding = Encoding::of(&parts.headers)?;
        let visitor = parts.extensions.get::<Visitor>().copied();
        let visitor = visitor.ok_or_else(|| Problem::new(problems::INTERNAL))?;
        let only_reads = matches!(parts.method, Method::GET | Method::HEAD);
        let permission = Permission { only_reads, is_operator: visitor.is_operator };
        let Ok(room) = Room::from_request_parts(&mut parts, context).await;
        let uri = parts.uri.clone();
        let Body(body) = Body::from_request(Request::from_parts(parts, body), context).await?;
        Ok(Asked { visitor, permission, encoding, room, uri, body })
    }

    /// The command that the path and the body spell.
    fn path_command(&self) -> Result<OwnedArguments, Refused> {
        let path = self.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        request::path_command(path, self.uri.query(), &self.body)
    }

    fn run(&self, context: &Context) -> Run {
        Run::new(context, &self.visitor, self.permission)
    }

    /// Runs one command and answers with its reply.
    async fn answer(&self, context: &Context, command: OwnedArguments) -> Result<Response, Refused> {
        let commands = [command].into();
        let mut outcomes = self.run(context).each(&commands).await?;
        self.admit(context, &commands, &outcomes)?;
        match outcomes.pop() {
            Some(Outcome::Refused(refused)) => Err(refused),
            Some(outcome) => {
                let (encoding, length) = (self.encoding, outcome.length());
                spelled(context, length, move || spell(&outcome.value(encoding), encoding)).await
            }
            None => Err(Problem::new(problems::INTERNAL).into()),
        }
    }

    /// Lets a large response be made unless the client leaves others unread.  After a command that may have changed something,
    /// the client must learn the result, and the length of replies is bounded.
    fn admit(
        &self,
        context: &Context,
        commands: &[OwnedArguments],
        outcomes: &[Outcome],
    ) -> Result<(), Refused> {
        let table = &context.services().commands;
        let only_reads = commands.iter().all(|command| {
            let command = command.as_arguments();
            let row = table.resolve(command.at(0), command.get(1));
            row.is_none_or(|row| row.command.flags.contains(Flags::READONLY))
        });
        if only_reads {
            self.room.admit(outcomes.iter().map(Outcome::length).sum())?;
        }
        Ok(())
    }
}

/// The response that `spell` makes of replies of so many bytes: on a runner if that takes long.
async fn spelled(
    context: &Context,
    length: usize,
    spell: impl FnOnce() -> Response + Send + 'static,
) -> Result<Response, Refused> {
    if length <= QUICKLY_SPELLED_MAX { Ok(spell()) } else { Ok(context.do_on_runner(|_| spell()).await?) }
}

fn spell(value: &Value<'_>, encoding: Encoding) -> Response {
    let spelled = Spelled { value, encoding };
    json_with_status(spelled.status(), spelled)
}

fn spell_all(values: &[Value<'_>], encoding: Encoding) -> Response {
    let spelled = values.iter().map(|value| Spelled { value, encoding });
    Json(spelled.collect::<Vec<_>>()).into_response()
}

/// Adds the commands that HTTP runs to the description of the API.
pub(super) fn list_commands(description: &mut OpenApi) {
    let table = command_table();
    let served = |wanted: &dyn Fn(&Row) -> bool| {
        let rows = table.rows().iter().filter(|row| row.command.subcommands.is_empty() && is_served(row));
        let names = rows.filter(|row| wanted(row)).map(|row| row.name.to_uppercase().replace('|', " "));
        names.collect::<Vec<_>>().join(", ")
    };
    let reads = |row: &Row| row.command.flags.contains(Flags::READONLY);
    let text = format!(
        "The commands are those of the Redis protocol, which COMMAND DOCS explains.  A command that works on a \
         connection (SUBSCRIBE, MULTI, CLIENT REPLY) is refused.\n\nBy GET too: {}.\n\nBy POST: {}.\n\nWith the \
         password as bearer token: {}.",
        served(&|row| reads(row) && !is_for_operators(row)),
        served(&|row| !reads(row) && !is_for_operators(row)),
        served(&|row| is_for_operators(row)),
    );
    let operation = description.paths.paths.get_mut("/redis").and_then(|path| path.post.as_mut());
    if let Some(operation) = operation {
        operation.description = Some(text);
    }
}
