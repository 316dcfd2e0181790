//! `GET /ws`: turns a connection into a WebSocket.  After the handshake its socket leaves the HTTP door and goes to a worker.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use quartet_protocol::websocket::handshake::{self, Subprotocol};

use super::access::{Admitted, Peer};
use super::activity::ActiveStream;
use crate::client::SharedClient;
use crate::command::Services;
use crate::http::endpoint::{Context, OpenApiRouter, Problem, State, problems, routes};
use crate::net::dealer::{Accepted, Dealer};
use crate::session::{self, Agreement, Protocol};

/// What the door knows of a request for a WebSocket.
#[derive(Clone)]
pub(super) struct Arriving {
    pub(super) peer: Peer,
    pub(super) admitted: Admitted,
    /// Takes the connection; none if the request came over none.
    pub(super) dealer: Option<Dealer>,
}

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(websocket))
}

/// Opens a WebSocket
///
/// Without a subprotocol it carries the protocol of NATS in binary frames, as clients of NATS for browsers speak it.  With the
/// subprotocol `quartet.json` each text frame is a JSON object.  The password is given there and not needed here.
#[utoipa::path(get, path = "/ws", tag = "broker", security(()),
    extensions(("x-takes-ticket" = json!(true)),
        ("x-upgrades" = json!(true))),
    params(("Sec-WebSocket-Protocol" = Option<String>, Header, description = "`quartet.json`, or absent")),
    responses((status = 101, description = "The connection is a WebSocket"),
        (status = 426, description = "The request does not ask for a WebSocket, or came over HTTP/2",
            body = crate::http::endpoint::ProblemBody, content_type = "application/problem+json")))]
async fn websocket(
    State(context): State<Context>,
    arriving: Option<Extension<Arriving>>,
    mut request: Request,
) -> Result<Response, Refused> {
    let wanted = Wanted::read(&request)?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let arriving = arriving.map(|Extension(arriving)| arriving);
    let (Some(Arriving { peer, admitted, dealer: Some(dealer) }), Some(upgrade)) = (arriving, upgrade) else {
        let problem = Problem::new(problems::UNAVAILABLE).detail("the request came over no connection");
        return Err(Refused::Problem(problem));
    };
    let services = context.services();
    let has_compression = wanted.offers_compression && services.settings.current().websocket_compression;
    let agreement = Agreement { subprotocol: wanted.subprotocol, has_compression };
    let protocol = Protocol::WebSocket(agreement);
    let newcomer = Newcomer::admit(&context, protocol, peer).map_err(Refused::Problem)?;
    let settings = services.settings.current();
    let is_checked = settings.has_password() && admitted != Admitted::ForLater;
    let authenticated = is_checked || !protocol.needs_password(&settings);
    drop(settings);
    tokio::spawn(async move {
        match hand_over(upgrade).await {
            Some((stream, input)) => {
                let shared = newcomer.keep();
                dealer.deal(Accepted { stream, input, protocol, shared, authenticated });
            }
            None => {
                tracing::debug!(peer = %peer.address(), "a connection was lost before it was a WebSocket")
            }
        }
    });
    Ok(switching(&wanted, agreement))
}

/// A client's wish for a WebSocket.
struct Wanted {
    /// The answer to its key.
    accept: String,
    subprotocol: Subprotocol,
    offers_compression: bool,
}

impl Wanted {
    fn read(request: &Request) -> Result<Wanted, Refused> {
        let headers = request.headers();
        if request.version() != Version::HTTP_11 {
            return Err(Refused::WrongHttp);
        }
        let names = |name, token| lists(headers, name).any(|list| handshake::has_token(list, token));
        let asks = names(header::CONNECTION, "upgrade") && names(header::UPGRADE, "websocket");
        // The router has HEAD answered as GET.
        if !asks || request.method() != Method::GET {
            return Err(Refused::NoUpgrade);
        }
        let version = headers.get(header::SEC_WEBSOCKET_VERSION);
        if version.is_none_or(|version| version.as_bytes() != handshake::VERSION.as_bytes()) {
            return Err(Refused::Version);
        }
        let wrong = |detail: &str| Refused::Problem(Problem::new(problems::INVALID_REQUEST).detail(detail));
        let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
        let (key, another) = (keys.next(), keys.next());
        let Some(accept) =
            key.filter(|_| another.is_none()).and_then(|key| handshake::accept(key.as_bytes()))
        else {
            return Err(wrong("Sec-WebSocket-Key is not 16 bytes in base64"));
        };
        if !request.body().is_end_stream() {
            return Err(wrong("a request for a WebSocket has no body"));
        }
        let Some(subprotocol) = Subprotocol::choose(lists(headers, header::SEC_WEBSOCKET_PROTOCOL)) else {
            let detail = format!(
                "Sec-WebSocket-Protocol names no subprotocol that is served here: offer {} or none",
                handshake::JSON
            );
            return Err(wrong(&detail));
        };
        let offers = lists(headers, header::SEC_WEBSOCKET_EXTENSIONS);
        Ok(Wanted { accept, subprotocol, offers_compression: handshake::offers_compression(offers) })
    }
}

/// The values of a header that is a list.  What is no text names nothing.
fn lists(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// Why a request gets no WebSocket.
enum Refused {
    Problem(Problem),
    /// It came over HTTP/2 or HTTP/1.0.
    WrongHttp,
    /// It does not ask for one.
    NoUpgrade,
    /// It asks for one of another version.
    Version,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let upgrade_required = |detail: &str| Problem::new(problems::UPGRADE_REQUIRED).detail(detail);
        match self {
            Refused::Problem(problem) => problem.into_response(),
            Refused::WrongHttp => upgrade_required("a WebSocket needs HTTP/1.1").into_response(),
            Refused::NoUpgrade => {
                let told = [(header::UPGRADE, "websocket"), (header::CONNECTION, "upgrade")];
                let detail = "the headers Connection and Upgrade do not ask for a WebSocket";
                (told, upgrade_required(detail)).into_response()
            }
            Refused::Version => {
                let told = [(header::SEC_WEBSOCKET_VERSION, handshake::VERSION)];
                (told, upgrade_required("Sec-WebSocket-Version is not 13")).into_response()
            }
        }
    }
}

/// The response with which the connection becomes a WebSocket.
fn switching(wanted: &Wanted, agreement: Agreement) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    let accept = HeaderValue::from_str(&wanted.accept).expect("base64 is plain text");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(name) = agreement.subprotocol.name() {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    if agreement.has_compression {
        let compression = HeaderValue::from_static(handshake::COMPRESSION);
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, compression);
    }
    response
}

/// A client of the broker that is counted, and forgotten if it does not arrive.
struct Newcomer {
    services: Arc<Services>,
    shared: Option<Arc<SharedClient>>,
}

impl Newcomer {
    /// Counts the client, if there is room for it.
    fn admit(context: &Context, protocol: Protocol, peer: Peer) -> Result<Newcomer, Problem> {
        let services = context.services();
        let refuse = |detail: &str| Err(Problem::new(problems::UNAVAILABLE).detail(detail).retry_after(1));
        if context.stopping().is_cancelled() || services.announcement.is_ending() {
            return refuse("the server stops");
        }
        let most = protocol.connections_max(&services.settings.current());
        if protocol.connections(&services.clients) >= most {
            let (address, reason) = (peer.address(), session::Refused::Full.reason());
            services.clients.note_rejected(protocol.door(), address, reason, services.clock.now());
            return refuse("the limit of connections to the broker is reached");
        }
        let now = services.clock.now().millis();
        let shared = services.clients.connect(protocol.door(), peer.address(), peer.own_address(), now);
        Ok(Newcomer { services: Arc::clone(services), shared: Some(shared) })
    }

    /// The client, which has arrived.
    fn keep(mut self) -> Arc<SharedClient> {
        self.shared.take().expect("it is taken once")
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            self.services.clients.disconnect(shared.id, self.services.clock.now().millis());
        }
    }
}

/// Takes the socket out of the HTTP door, which no longer counts it, with the input that was read already.  None if the
/// connection was lost.
async fn hand_over(upgrade: OnUpgrade) -> Option<(std::net::TcpStream, Bytes)> {
    let upgraded = upgrade.await.ok()?;
    let parts = auto::upgrade::downcast::<TokioIo<ActiveStream>>(upgraded).ok()?;
    let stream = parts.io.into_inner().into_inner().into_std().ok()?;
    Some((stream, parts.read_buf))
}
